/**
 * A script for a page, to run before any other. Its timers, `Date.now` and `performance.now` go on as ever, and `clock.runFor(ms)` lets them run ahead.
 * Frames keep their own time, and what runs in another process answers in real time.
 */
export const FAKE_CLOCK = `if (window === top) {
  const timers = new Map();
  const [wall, mono, realSetInterval, realNow] = [Date.now(), performance.now(), window.setInterval, performance.now.bind(performance)];
  let passed = 0;
  let running = false;
  let id = 0;
  const set = (repeats) => (task, ms, ...values) => {
    const wait = Math.max(0, Number(ms) || 0);
    timers.set(++id, { task: () => task(...values), at: passed + wait, every: repeats ? Math.max(1, wait) : undefined });
    return id;
  };
  const clear = (one) => void timers.delete(one);
  Object.assign(window, { setTimeout: set(false), setInterval: set(true), clearTimeout: clear, clearInterval: clear });
  Date.now = () => wall + passed;
  performance.now = () => mono + passed;
  const { port1, port2 } = new MessageChannel();
  const turns = [];
  port1.onmessage = () => turns.shift()();
  /** What is ready in the page, promises and messages, has its turn. */
  const turn = () => new Promise((resolve) => {
    turns.push(resolve);
    port2.postMessage(0);
  });
  const runFor = async (ms) => {
    running = true;
    const end = passed + ms;
    for (;;) {
      const [next] = [...timers].filter(([, { at }]) => at <= end).sort(([a, one], [b, other]) => one.at - other.at || a - b);
      if (!next) break;
      const [key, timer] = next;
      passed = Math.max(passed, timer.at);
      if (timer.every) timer.at += timer.every;
      else timers.delete(key);
      try {
        timer.task();
      } catch (error) {
        reportError(error);
      }
      await turn();
    }
    passed = end;
    await turn();
    running = false;
  };
  let last = realNow();
  realSetInterval(() => {
    const now = realNow();
    if (!running) runFor(now - last);
    last = now;
  }, 10);
  window.clock = {
    async runFor(ms) {
      while (running) await turn();
      await runFor(ms);
    },
  };
}`;
