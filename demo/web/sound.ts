/** Every sound is made here and now: no file is loaded, and nothing sounds until somebody switches it on. */

/** What can be heard. */
export type Cue = "move" | "turn" | "spark" | "star" | "ash" | "pulse" | "count" | "go" | "end";

/** The game's voice. */
export interface Sound {
  readonly on: boolean;
  /** Has to be called from a click or a key: browsers ask for one. */
  toggle(): void;
  /** `step` 0..7 raises the note. */
  play(cue: Cue, step?: number): void;
}

interface Note {
  shape: OscillatorType;
  /** Hertz. */
  from: number;
  to?: number;
  /** Seconds. */
  at?: number;
  length: number;
  volume: number;
}

/** Semitones of a pentatonic scale: whatever is caught in a row sounds well. */
const SCALE = [0, 2, 4, 7, 9, 12, 14, 16];

function notes(cue: Cue, step: number): Note[] {
  const tone = 440 * 2 ** ((SCALE[step] ?? 0) / 12);
  switch (cue) {
    case "move":
      return [{ shape: "sine", from: 300, to: 360, length: 0.06, volume: 0.1 }];
    case "turn":
      return [{ shape: "triangle", from: 420, to: 260, length: 0.09, volume: 0.12 }];
    case "spark":
      return [
        { shape: "triangle", from: tone, length: 0.16, volume: 0.22 },
        { shape: "sine", from: tone * 2, at: 0.02, length: 0.2, volume: 0.1 },
      ];
    case "star":
      return [0, 4, 7, 12].map((semitone, index) => ({
        shape: "sine" as const,
        from: 587 * 2 ** (semitone / 12),
        at: index * 0.07,
        length: 0.35,
        volume: 0.18,
      }));
    case "ash":
      return [
        { shape: "sawtooth", from: 130, to: 48, length: 0.4, volume: 0.2 },
        { shape: "square", from: 70, to: 40, length: 0.3, volume: 0.08 },
      ];
    case "pulse":
      return [{ shape: "sine", from: 196, to: 194, length: 1.1, volume: 0.14 }];
    case "count":
      return [{ shape: "sine", from: 440, length: 0.16, volume: 0.2 }];
    case "go":
      return [{ shape: "sine", from: 880, length: 0.4, volume: 0.22 }];
    case "end":
      return [0, -5, -12].map((semitone, index) => ({
        shape: "triangle" as const,
        from: 523 * 2 ** (semitone / 12),
        at: index * 0.16,
        length: 0.6,
        volume: 0.18,
      }));
  }
}

/** `remembered` is what the visitor chose last time; sound still waits for the first gesture. */
export function createSound(remembered: boolean, remember: (on: boolean) => void): Sound {
  let on = remembered;
  let context: AudioContext | undefined;

  function ready(): AudioContext | undefined {
    if (!on) return undefined;
    context ??= new AudioContext();
    if (context.state === "suspended") void context.resume().catch(() => undefined);
    return context;
  }

  return {
    get on() {
      return on;
    },
    toggle() {
      on = !on;
      remember(on);
      if (on) ready();
      else void context?.suspend().catch(() => undefined);
    },
    play(cue, step = 0) {
      const audio = ready();
      if (!audio) return;
      for (const note of notes(cue, Math.min(step, SCALE.length - 1))) strike(audio, note);
    },
  };
}

function strike(audio: AudioContext, { shape, from, to = from, at = 0, length, volume }: Note): void {
  const start = audio.currentTime + at;
  const oscillator = audio.createOscillator();
  const gain = audio.createGain();
  oscillator.type = shape;
  oscillator.frequency.setValueAtTime(from, start);
  oscillator.frequency.exponentialRampToValueAtTime(to, start + length);
  gain.gain.setValueAtTime(0.0001, start);
  gain.gain.exponentialRampToValueAtTime(volume, start + 0.012);
  gain.gain.exponentialRampToValueAtTime(0.0001, start + length);
  oscillator.connect(gain).connect(audio.destination);
  oscillator.start(start);
  oscillator.stop(start + length + 0.05);
}
