import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { root } from "../../helpers/sources.ts";

function run(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [`${root}src/cli/index.ts`, ...args], { encoding: "utf8" });
}

describe("gatepass", () => {
  it.each(["--version", "-v"])("%s prints the package's version", (flag) => {
    const { version }: { version: string } = JSON.parse(readFileSync(`${root}package.json`, "utf8"));
    expect(run(flag)).toMatchObject({ status: 0, stdout: `${version}\n` });
  });

  it.each(["secret", "emulator", "policy", "ip-ranges"])("%s --help says what this command takes, and does nothing", (command) => {
    for (const flag of ["--help", "-h"]) {
      const { status, stdout, stderr } = run(command, flag);
      expect([status, stderr]).toEqual([0, ""]);
      expect(stdout).toMatch(new RegExp(`^Usage: gatepass ${command}\\b`));
    }
    expect(run("--help").stdout).toContain(`  ${command}`);
  });

  it("a command that there is not, and none, are exit code 2", () => {
    expect([run("polcy").status, run().status, run("polcy", "--help").status]).toEqual([2, 2, 2]);
    expect(run("polcy").stderr).toContain('"polcy"');
    // Names that every object of JavaScript has.
    for (const name of ["constructor", "toString", "__proto__"]) expect([run(name).status, run(name, "--help").status]).toEqual([2, 2]);
  });
});
