import { type Context, failure, race } from "./context.ts";
import { load, release } from "./loader.ts";
import { createWidget, type Widget } from "./widget.ts";
import { createLayer } from "./widget-layer.ts";

/** Mints Turnstile tokens, one after another. */
export interface Broker {
  /** One token for one caller. `always`: also when the queue is full, for the session's, which everybody waits for. */
  mint(wish?: { action?: string; cdata?: string; signal?: AbortSignal }, always?: boolean): Promise<string>;
  /**
   * A hold has begun or ended, or the page comes back. `gone`: it goes, and what is under way starts anew afterwards,
   * for a frame does not survive the back-forward cache.
   */
  update(gone?: boolean): void;
  close(): void;
}

export function createBroker(context: Context): Broker {
  /** How many may wait, the running one included. */
  const QUEUE = 8;
  /** Milliseconds before the one new widget. */
  const PAUSE = 1_000;
  const { closing } = context;
  const layer = createLayer(context);
  let waiting = 0;
  let tail = Promise.resolve();
  let wake: (() => void) | undefined;
  let away = false;
  let active: Widget | undefined;
  let spare: Widget | undefined;

  /** Whether a challenge may start, and a promise of it. */
  const isOpen = (): boolean => !context.held && !away;
  const opened = async (): Promise<void> => {
    while (!isOpen()) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  const stop = (): void => {
    active?.drop();
    spare?.drop();
  };

  return {
    async mint({ action = context.action, cdata, signal = closing } = {}, always) {
      if (!always && waiting >= QUEUE) throw failure("BUSY");
      const turn = tail;
      let done = (): void => {};
      tail = new Promise((resolve) => {
        done = resolve;
      });
      waiting++;
      try {
        await race(turn, signal, closing);
        for (let tries = 0; ; ) {
          try {
            context.enter("loading");
            const api = await load(context, signal);
            // Only now: a game may have begun while the script was loading.
            await race(opened(), signal, closing);
            const render = (): Widget => createWidget(api, layer, context, action, cdata);
            const isDefault = action === context.action && !cdata;
            if (isDefault && spare?.usable()) {
              active = spare;
              spare = undefined;
            } else active = render();
            const token = await race(active.run(), signal, closing);
            context.enter("ready");
            // In a later task: Turnstile may still be using it.
            await race(0, signal, closing);
            active.drop();
            // One ahead, so that the next token comes sooner; it executes nothing yet.
            if (isDefault && waiting < 2 && isOpen() && !document.hidden) {
              spare?.drop();
              spare = render();
            }
            return token;
          } catch (reason) {
            // Asked before the pause: after it the page may be back already.
            const gone = away;
            await race(0, closing);
            active?.drop();
            const error = failure("CONFIG", reason);
            const unreachable = /SCRIPT|BLOCKED/.test(error.code);
            if (signal.aborted) context.enter("idle");
            else if (gone) continue;
            // What one more widget may mend.
            else if (!tries++ && /^(removed|10[2346]|110600|[36]00)/.test(`${error.cause}`)) {
              await race(PAUSE, signal, closing);
              continue;
            } else context.enter(unreachable ? "blocked" : "failed");
            // Only a hint: Android's WebViews and VPNs say so while the network works.
            throw unreachable && navigator.onLine === false ? failure("OFFLINE", "", error) : error;
          }
        }
      } finally {
        waiting--;
        turn.then(done);
      }
    },
    update(gone = false) {
      away = gone;
      if (gone) stop();
      layer.show();
      wake?.();
    },
    close() {
      stop();
      layer.close();
      release(context);
    },
  };
}
