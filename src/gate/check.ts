import type { EventReason } from "../events/types.ts";
import { weakSecrets } from "../tokens/index.ts";
import type { Settings } from "./options.ts";

/** A problem that the configuration alone shows. */
export interface Finding {
  /** `GP` and three digits. */
  code: string;
  /** Reason of the event that reports it at the first request. */
  reason: EventReason;
  /** The option to change. */
  option: string;
  severity: "error" | "warning";
}

/**
 * Problems of the options alone; no backend is asked. A problem's code is its position in the list (GP101 is the
 * first), so new lines go to the end.
 */
export function inspect({ given, resolved, secrets, verifierSecrets, store }: Settings): Finding[] {
  const { mode, allowedOrigins, publicUrl = "", onStoreError, onUnavailable } = resolved;
  const { allowTestKeys, allowedHostnames = [] } = given.turnstile ?? {};
  const plain = [publicUrl, ...allowedOrigins].some((url) => /^http:\/\/(?!localhost\b|127\.)/.test(url));
  const list: [bad: unknown, option: string, reason?: EventReason, severity?: "error"][] = [
    [mode === "monitor", "mode", "mode_monitor"],
    [mode === "off", "mode", "mode_off", "error"],
    [allowTestKeys, "turnstile.allowTestKeys", "test_keys_allowed", "error"],
    [store.consistency === "local", "store", "memory_store"],
    [store.consistency === "approximate", "store", "approximate_store"],
    [secrets.length > 0 && weakSecrets(secrets).length > 0, "secrets", "low_entropy_secret", "error"],
    [secrets.length === 0, "secrets"],
    [verifierSecrets.length === 0, "turnstile.secret", "config", "error"],
    [onStoreError === "allow", "onStoreError"],
    [onUnavailable === "degraded", "turnstile.onUnavailable"],
    [plain, "allowedOrigins"],
    [allowedHostnames.includes("localhost"), "turnstile.allowedHostnames"],
  ];
  return list.flatMap(([bad, option, reason = "config", severity], i) =>
    bad ? { code: `GP${101 + i}`, reason, option, severity: severity ?? "warning" } : [],
  );
}
