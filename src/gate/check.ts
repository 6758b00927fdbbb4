import type { ConfigProblem } from "../errors.ts";
import type { EventReason } from "../events/types.ts";
import { weakSecrets } from "../tokens/index.ts";
import type { Settings } from "./options.ts";
import type { Feature } from "./types.ts";

/** A problem that the configuration alone shows, and the reason of the event that says so at start. */
export interface Finding extends ConfigProblem {
  reason: EventReason;
}

/** What is wrong with these options, without asking any backend. A problem's code is its place in the list: lines are added at the end only. */
export function inspect({ given, resolved, secrets, verifierSecrets, store }: Settings): Finding[] {
  const { mode, allowedOrigins, publicUrl = "", onStoreError, onUnavailable } = resolved;
  const { allowTestKeys, allowedHostnames = [] } = given.turnstile ?? {};
  const plain = [publicUrl, ...allowedOrigins].some((url) => /^http:\/\/(?!localhost\b|127\.)/.test(url));
  const list: [bad: unknown, message: string, option: string, reason?: EventReason, severity?: "error"][] = [
    [mode === "monitor", 'Mode "monitor" refuses nobody', "mode", "mode_monitor"],
    [mode === "off", 'Mode "off" checks nobody', "mode", "mode_off", "error"],
    [allowTestKeys, "Test keys let everybody pass", "allowTestKeys", "test_keys_allowed", "error"],
    [store.consistency === "local", "The store is of one process, and forgets with it", "store", "memory_store"],
    [store.consistency === "approximate", "The store may admit a token twice", "store", "approximate_store"],
    [secrets.length > 0 && weakSecrets(secrets).length > 0, "A signing secret looks guessable", "secrets", "low_entropy_secret", "error"],
    [secrets.length === 0, "Without a signing secret there are no sessions", "secrets"],
    [verifierSecrets.length === 0, "Without a Turnstile secret nobody is verified", "turnstile.secret", "config", "error"],
    [onStoreError === "allow", "While the store is down there are no limits", "onStoreError"],
    [onUnavailable === "degraded", "While Cloudflare is down everybody passes", "onUnavailable"],
    [plain, "A page without https is anybody's on the line", "allowedOrigins"],
    [allowedHostnames.includes("localhost"), "Solves of any localhost are accepted", "allowedHostnames"],
  ];
  return list.flatMap(([bad, message, option, reason = "config", severity], i) =>
    bad ? { code: `GP${101 + i}`, severity: severity ?? "warning", message, fix: `Change "${option}"`, reason } : [],
  );
}

/** All that can be found out: the options, the store's and every feature's own check. A check that fails is a finding too. */
export async function findProblems(settings: Settings, features: readonly Feature[]): Promise<ConfigProblem[]> {
  const problems: ConfigProblem[] = inspect(settings).map(({ reason: _event, ...problem }) => problem);
  for (const part of [settings.store, ...features]) {
    try {
      problems.push(...((await part.check?.()) ?? []));
    } catch {
      const name = "name" in part ? part.name : "store";
      problems.push({ code: "GP120", severity: "error", message: `Cannot check the ${name}`, fix: "See whether its backend is up" });
    }
  }
  return problems;
}
