// Times alternatives in turns, so that a noisy machine is noisy for all of them, and prints the ratios of their medians.
const ROUNDS = Number(globalThis.process?.env?.BENCH_ROUNDS ?? 9);

/**
 * @param {string} title
 * @param {Record<string, () => Promise<() => Promise<void>>>} makers each prepares a round (not timed) and gives what is timed
 * @param {[string, string, number | undefined][]} goals [ours, theirs, the ratio of speeds to reach; without one it is only told]
 */
export async function ratios(title, makers, goals) {
  const times = Object.fromEntries(Object.keys(makers).map((name) => [name, []]));
  for (let round = -2; round < ROUNDS; round++) {
    const names = Object.keys(makers);
    if (round % 2) names.reverse();
    for (const name of names) {
      const run = await makers[name]();
      const start = performance.now();
      await run();
      if (round >= 0) times[name].push(performance.now() - start);
    }
  }
  const median = (list) => list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)];
  for (const [ours, theirs, goal] of goals) {
    const ratio = median(times[theirs]) / median(times[ours]);
    const verdict = goal === undefined ? "    " : ratio >= goal ? "ok  " : "MISS";
    console.log(`${verdict} ${title}: ${ours} is ${ratio.toFixed(2)} of ${theirs}${goal === undefined ? "" : ` (goal ${goal})`}`);
    if (ratio < goal && globalThis.process) globalThis.process.exitCode = 1;
  }
}
