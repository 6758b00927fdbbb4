/** Marks our messages among those of other frames. */
export const MARK = "gatepass-emulator";

/** What a frame tells its page. `run` is the load that it belongs to: what an earlier load says is stale. */
export type FromFrame = { mark: typeof MARK; id: string; run: number } & (
  | { event: "hello"; mode: string }
  | { event: "alive" }
  | { event: "ask" }
  | { event: "ticked" }
  | { event: "token"; token: string /** Milliseconds. */; life: number }
  | { event: "error"; code: number }
  | { event: "timeout" }
  | { event: "unsupported" }
);

/** What a page tells a frame. */
export type ToFrame = { mark: typeof MARK; run: number } & ({ event: "ping" } | { event: "run"; action: string; cdata: string });

export function isFromFrame(data: unknown): data is FromFrame {
  return isOurs(data);
}

export function isToFrame(data: unknown): data is ToFrame {
  return isOurs(data);
}

function isOurs(data: unknown): boolean {
  return typeof data === "object" && data !== null && "mark" in data && data.mark === MARK && "run" in data;
}
