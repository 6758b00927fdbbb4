import type { ConfigProblem } from "../errors.ts";
import type { EventReason } from "../events/types.ts";
import { weakSecrets } from "../tokens/index.ts";
import { hasSecret, listOf, type Settings } from "./options.ts";
import type { Feature } from "./types.ts";

/** A problem that the configuration alone shows, and the reason of the event that says so at start. */
export interface Finding extends ConfigProblem {
  reason: EventReason;
}

/** What is wrong with these options, without asking any backend. */
export function inspect({ given, resolved, secrets, store }: Settings): Finding[] {
  const found: Finding[] = [];
  const warn = (code: string, reason: EventReason, message: string, fix: string, severity: "error" | "warning" = "warning"): void =>
    void found.push({ code, severity, message, fix, reason });
  const { mode } = resolved;
  if (mode === "monitor") warn("GP101", "mode_monitor", 'Mode is "monitor": checks report and refuse nothing', 'Set mode to "enforce"');
  if (mode === "off") warn("GP102", "mode_off", 'Mode is "off": nothing is checked', 'Set mode to "enforce"');
  if (given.turnstile?.allowTestKeys) {
    warn(
      "GP103",
      "test_keys_allowed",
      "Turnstile's test keys and the emulator are accepted: anybody passes",
      'Remove "allowTestKeys"',
      "error",
    );
  }
  if (store.consistency === "local") {
    warn(
      "GP104",
      "memory_store",
      "The store lives in this process: limits and uses are per process and forgotten at its end",
      "Give a shared store",
    );
  }
  if (store.consistency === "approximate") {
    warn("GP105", "approximate_store", "The store may admit too much: a token can be spent twice for seconds", "Give an exact store");
  }
  if (weakSecrets(secrets).length > 0) {
    warn("GP106", "low_entropy_secret", "A signing secret looks guessable", "Make one with: npx gatepass secret", "error");
  }
  if (secrets.length === 0) {
    warn("GP107", "config", "There is no signing secret: every write needs a fresh Turnstile token", 'Set "secrets"');
  }
  if (!hasSecret(given)) warn("GP108", "config", "There is no Turnstile secret: nobody is verified", 'Set "turnstile.secret"', "error");
  if (resolved.onStoreError === "allow") {
    warn("GP109", "config", 'With onStoreError "allow" there are no limits while the store is down', 'Set "onStoreError" to "deny"');
  }
  if (resolved.onUnavailable === "degraded") {
    warn("GP110", "config", "While Cloudflare is down anybody gets a short session", 'Set "turnstile.onUnavailable" to "deny"');
  }
  const insecure = [given.publicUrl, ...resolved.allowedOrigins].find((url) => url && /^http:\/\/(?!localhost[:/]?|127\.)/.test(url));
  if (insecure) warn("GP111", "config", `Anybody on the line can change the page at "${insecure}"`, "Use https");
  if (listOf(given.turnstile?.allowedHostnames).some((name) => name === "localhost" || name === "127.0.0.1")) {
    warn(
      "GP112",
      "config",
      '"localhost" is an allowed hostname: tokens that anybody solves at home are accepted',
      "Remove it in production",
    );
  }
  return found;
}

/** All that can be found out: the options, the store's and every feature's own check. A check that fails is a finding too. */
export async function findProblems(settings: Settings, features: readonly Feature[]): Promise<ConfigProblem[]> {
  const problems: ConfigProblem[] = inspect(settings).map(({ code, severity, message, fix }) => ({ code, severity, message, fix }));
  const checks = [settings.store, ...features].map(async (part) => {
    try {
      return (await part.check?.()) ?? [];
    } catch {
      const name = "name" in part ? `The feature "${part.name}"` : "The store";
      return [{ code: "GP120", severity: "error" as const, message: `${name} could not be checked`, fix: "See whether its backend is up" }];
    }
  });
  for (const more of await Promise.all(checks)) problems.push(...more);
  return problems;
}
