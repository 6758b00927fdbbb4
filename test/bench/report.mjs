/** Prints whether a figure is as good as it has to be; one that is not ends the process with an error, as a missed goal of `ratios` does. */
export function report(good, text) {
  console.log(`${good ? "ok  " : "MISS"} ${text}`);
  if (!good) process.exitCode = 1;
}
