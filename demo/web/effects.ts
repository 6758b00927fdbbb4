/** Short-lived marks of what happened: shards, points that rise, a ring, the shake of a hit. None of it touches the rules. */
import { ASH, STAR } from "../game/rules.ts";

/** A thing was touched. */
export interface Touch {
  kind: number;
  points: number;
  colour: string;
  x: number;
  y: number;
  now: number;
  /** Reduced motion: no shards, nothing rises. */
  still: boolean;
}

/** Keeps and draws the marks. */
export interface Effects {
  touch(touch: Touch): void;
  pulse(now: number): void;
  /** 0..1, 1 when there is none. */
  pulseAge(now: number): number;
  /** Pixels. */
  shake(now: number): number;
  draw(context: CanvasRenderingContext2D, now: number, size: number): void;
  clear(): void;
}

interface Shard {
  touch: Touch;
  angle: number;
  speed: number;
}

const SHARD_LIFE = 520;
const LABEL_LIFE = 850;
const SHAKE_LIFE = 320;
const PULSE_LIFE = 1100;

export function createEffects(): Effects {
  let shards: Shard[] = [];
  let labels: Touch[] = [];
  let hitAt = Number.NEGATIVE_INFINITY;
  let pulseAt = Number.NEGATIVE_INFINITY;
  return {
    touch(touch) {
      labels.push(touch);
      if (touch.kind === ASH) hitAt = touch.now;
      if (touch.still) return;
      const count = touch.kind === STAR ? 18 : 10;
      for (let index = 0; index < count; index++) {
        shards.push({ touch, angle: ((index + Math.random() * 0.7) / count) * Math.PI * 2, speed: 0.05 + Math.random() * 0.1 });
      }
    },
    pulse(now) {
      pulseAt = now;
    },
    pulseAge: (now) => Math.min(1, Math.max(0, (now - pulseAt) / PULSE_LIFE)),
    shake: (now) => 6 * Math.max(0, 1 - (now - hitAt) / SHAKE_LIFE),
    draw(context, now, size) {
      shards = shards.filter(({ touch }) => now - touch.now < SHARD_LIFE);
      labels = labels.filter((touch) => now - touch.now < LABEL_LIFE);
      context.save();
      for (const { touch, angle, speed } of shards) {
        const age = (now - touch.now) / SHARD_LIFE;
        const way = (1 - (1 - age) ** 2) * speed * size * 1.6;
        context.globalAlpha = 1 - age;
        context.fillStyle = touch.colour;
        const width = Math.max(1.5, size * 0.009) * (1 - age * 0.6);
        context.fillRect(touch.x + Math.cos(angle) * way - width / 2, touch.y + Math.sin(angle) * way - width / 2, width, width);
      }
      context.textAlign = "center";
      context.textBaseline = "middle";
      context.font = `800 ${Math.round(Math.max(15, size * 0.055))}px ui-rounded, "Segoe UI", system-ui, "DejaVu Sans", sans-serif`;
      context.lineJoin = "round";
      for (const touch of labels) {
        const age = (now - touch.now) / LABEL_LIFE;
        const y = touch.y - size * (touch.still ? 0.08 : 0.06 + 0.09 * age);
        context.globalAlpha = Math.min(1, (1 - age) * 2);
        context.strokeStyle = "rgb(6 10 31 / 80%)";
        context.lineWidth = 4;
        const text = touch.kind === ASH ? "Ash" : `+${touch.points}`;
        context.strokeText(text, touch.x, y);
        context.fillStyle = touch.kind === ASH ? "#ff8f80" : touch.colour;
        context.fillText(text, touch.x, y);
      }
      context.restore();
    },
    clear() {
      shards = [];
      labels = [];
      hitAt = Number.NEGATIVE_INFINITY;
      pulseAt = Number.NEGATIVE_INFINITY;
    },
  };
}
