/** What comes after the minute: the score, whether it makes the board, and a name only if it does. */
import type { Client } from "gatepass/client";
import { BOARD } from "../board-name.ts";
import type { Ember } from "../game/rules.ts";
import { type Board, TODAY } from "./board.ts";
import { element, points } from "./dom.ts";
import { codeOf, troubleOf } from "./trouble.ts";

/** The screen after a run. */
export interface Result {
  /** The minute is over. */
  finished(state: Ember): void;
  /** The run was ended before; nothing is kept. */
  aborted(why: "hidden" | "quit"): void;
  hide(): void;
}

const NAME_KEY = "ember-ring.name";

export function createResult(
  client: Client,
  board: Board,
  storage: { get(key: string): string; set(key: string, value: string): void },
): Result {
  const screen = element("screen-result", HTMLElement);
  const title = element("result-title", HTMLElement);
  const final = element("final", HTMLElement);
  const stats = element("stats", HTMLElement);
  const verdict = element("verdict", HTMLElement);
  const form = element("name-form", HTMLFormElement);
  const name = element("name", HTMLInputElement);
  const sign = element("sign", HTMLButtonElement);
  const problem = element("name-problem", HTMLElement);
  const retry = element("retry", HTMLButtonElement);
  /** Each run has a number: an answer for an earlier one is dropped. */
  let run = 0;
  let score = 0;
  let commitment: string | undefined;
  let again: () => void = () => undefined;

  function open(heading: string): void {
    title.textContent = heading;
    form.hidden = true;
    retry.hidden = true;
    problem.textContent = "";
    name.removeAttribute("aria-invalid");
    screen.hidden = false;
    title.focus({ preventScroll: true });
  }

  function fail(error: unknown, repeat: () => void): void {
    const { text, again: useful } = troubleOf(error);
    verdict.textContent = text;
    retry.hidden = !useful;
    again = repeat;
  }

  /** Asks whether the board has a place for it, and commits to the score before anybody types. */
  async function judge(): Promise<void> {
    const turn = run;
    retry.hidden = true;
    verdict.textContent = "Looking at the board…";
    try {
      const [qualifies, mine] = await Promise.all([worthy(score), best()]);
      if (turn !== run) return;
      if (mine !== undefined && mine >= score) {
        title.textContent = "A good minute";
        verdict.textContent = `Your best on the board stays at ${points(mine)}.`;
        return;
      }
      if (!qualifies) {
        title.textContent = "Not this time";
        verdict.textContent = await consolation(score);
        return;
      }
      commitment = await client.commit({ score, board: BOARD });
      if (turn !== run) return;
      title.textContent = "You made the board!";
      verdict.textContent = "Sign it, and it is yours.";
      name.value = storage.get(NAME_KEY);
      form.hidden = false;
      name.focus({ preventScroll: true });
      name.select();
    } catch (error) {
      if (turn === run) fail(error, () => void judge());
    }
  }

  /** The top ten of all time, or at least of today. */
  async function worthy(candidate: number): Promise<boolean> {
    if (candidate <= 0) return false;
    if (await client.qualifies(candidate, BOARD)) return true;
    const { scores } = await client.scores({ board: BOARD, period: TODAY, limit: 10 });
    return scores.length < 10 || scores.some((row) => row.score < candidate);
  }

  async function best(): Promise<number | undefined> {
    const { me } = await client.scores({ board: BOARD, period: TODAY, limit: 1 });
    return me?.score;
  }

  async function consolation(candidate: number): Promise<string> {
    const { scores } = await client.scores({ board: BOARD, period: TODAY, limit: 10 });
    const last = scores.at(-1);
    if (candidate === 0 || !last) return "The sparks got away. They will be back in a moment.";
    return `${points(last.score - candidate + 1)} more and today's board would have had you. One more minute?`;
  }

  async function submit(): Promise<void> {
    const turn = run;
    const typed = name.value.trim();
    if (typed === "" || commitment === undefined || sign.disabled) return;
    sign.disabled = true;
    problem.textContent = "";
    name.removeAttribute("aria-invalid");
    try {
      const receipt = await client.submitScore({ score, name: typed, board: BOARD, commitment });
      storage.set(NAME_KEY, typed);
      if (turn === run) {
        form.hidden = true;
        title.textContent = receipt.rank === 1 ? "Top of the board!" : `Number ${receipt.rank} of all time`;
        verdict.textContent = receipt.best ? "Signed. There you are." : "Signed, though your earlier best stands.";
      }
      await board.reveal(receipt.id);
    } catch (error) {
      if (turn !== run) return;
      problem.textContent = troubleOf(error).text;
      if (codeOf(error) === "NAME_INVALID") {
        name.setAttribute("aria-invalid", "true");
        name.focus();
      }
    } finally {
      sign.disabled = false;
    }
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void submit();
  });
  retry.addEventListener("click", () => again());

  return {
    finished(state) {
      run += 1;
      score = state.score;
      commitment = undefined;
      final.textContent = points(score);
      element("stat-sparks", HTMLElement).textContent = String(state.sparks);
      element("stat-stars", HTMLElement).textContent = String(state.stars);
      element("stat-ash", HTMLElement).textContent = String(state.ash);
      element("stat-peak", HTMLElement).textContent = `×${state.peak}`;
      stats.hidden = false;
      final.parentElement?.removeAttribute("hidden");
      open("Time!");
      void judge();
    },
    aborted(why) {
      run += 1;
      stats.hidden = true;
      final.parentElement?.setAttribute("hidden", "");
      open(why === "hidden" ? "The light went out" : "Run ended");
      verdict.textContent =
        why === "hidden"
          ? "A run ends when its page is hidden: the minute is the same for everybody. Ready for another?"
          : "Nothing was kept. Ready for another?";
    },
    hide() {
      run += 1;
      screen.hidden = true;
    },
  };
}
