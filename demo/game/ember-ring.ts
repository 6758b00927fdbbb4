/** Ember Ring as a pure module: the same in every browser and on every server. */
import { defineGame, type Game } from "gatepass/game";
import { type Ember, HZ, hash, init, MAX_TICKS, PULSE, step } from "./rules.ts";

export const emberRing: Game<Ember> = defineGame<Ember>({
  id: "ember-ring",
  version: 1,
  hz: HZ,
  maxTicks: MAX_TICKS,
  segmentTicks: PULSE,
  input: { bits: 3, kind: "edge" },
  init,
  step,
  score: (ember) => ember.score,
  hash,
});
