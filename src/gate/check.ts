import type { ConfigProblem } from "../errors.ts";
import type { EventReason } from "../events/types.ts";
import { weakSecrets } from "../tokens/index.ts";
import type { Settings } from "./options.ts";
import type { Feature } from "./types.ts";

/** A problem that the configuration alone shows, and the reason of the event that says so at start. */
export interface Finding extends ConfigProblem {
  reason: EventReason;
}

/** What is wrong with these options, without asking any backend. */
export function inspect({ given, resolved, secrets, verifierSecrets, store }: Settings): Finding[] {
  const { mode, allowedOrigins, publicUrl = "", onStoreError, onUnavailable } = resolved;
  const { allowTestKeys, allowedHostnames = [] } = given.turnstile ?? {};
  const found: Finding[] = [];
  const look = (bad: boolean, code: number, reason: EventReason, message: string, option: string, severity: Finding["severity"]): void => {
    if (bad) found.push({ code: `GP${code}`, severity, message, fix: `Change "${option}"`, reason });
  };
  look(mode === "monitor", 101, "mode_monitor", 'Mode "monitor" refuses nobody', "mode", "warning");
  look(mode === "off", 102, "mode_off", 'Mode "off" checks nobody', "mode", "error");
  look(allowTestKeys === true, 103, "test_keys_allowed", "Test keys let everybody pass", "allowTestKeys", "error");
  look(store.consistency === "local", 104, "memory_store", "The store is of one process, and forgets with it", "store", "warning");
  look(store.consistency === "approximate", 105, "approximate_store", "The store may admit a token twice", "store", "warning");
  const weak = secrets.length > 0 && weakSecrets(secrets).length > 0;
  look(weak, 106, "low_entropy_secret", "A signing secret looks guessable", "secrets", "error");
  look(secrets.length === 0, 107, "config", "Without a signing secret there are no sessions", "secrets", "warning");
  look(verifierSecrets.length === 0, 108, "config", "Without a Turnstile secret nobody is verified", "turnstile.secret", "error");
  look(onStoreError === "allow", 109, "config", "While the store is down there are no limits", "onStoreError", "warning");
  look(onUnavailable === "degraded", 110, "config", "While Cloudflare is down everybody passes", "onUnavailable", "warning");
  const plain = [publicUrl, ...allowedOrigins].some((url) => /^http:\/\/(?!localhost\b|127\.)/.test(url));
  look(plain, 111, "config", "A page without https is anybody's on the line", "allowedOrigins", "warning");
  look(allowedHostnames.includes("localhost"), 112, "config", "Solves of any localhost are accepted", "allowedHostnames", "warning");
  return found;
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
