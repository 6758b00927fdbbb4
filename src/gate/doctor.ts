import type { ConfigProblem } from "../errors.ts";
import type { RateStore, Store } from "../store/contract.ts";
import { rateKey, usesKey } from "../store/index.ts";
import { randomId } from "../util/random.ts";
import type { Finding } from "./check.ts";
import type { Settings } from "./options.ts";
import type { Feature } from "./types.ts";

/** Messages of the problems that `inspect` finds. */
const MESSAGES: Readonly<Record<string, string>> = {
  GP101: 'Mode "monitor" refuses nobody',
  GP102: 'Mode "off" checks nobody',
  GP103: "Test keys let everybody pass",
  GP104: "The store lives in this process only. Other processes do not share it, and a restart clears it",
  GP105: "The store may admit a token twice",
  GP106: "A signing secret looks guessable",
  GP107: "Without a signing secret there are no sessions",
  GP108: "Without a Turnstile secret nobody is verified",
  GP109: "While the store is down there are no limits",
  GP110: "While Cloudflare is down everybody passes",
  GP111: "Without https anybody on the network can change the page",
  GP112: "Solves of any localhost are accepted",
};

/**
 * All problems that can be found: those of the options (`findings`), of the requests so far, of the stores' and
 * features' own checks, and of a trial spend on each store. A check that throws is a problem too.
 */
export async function findProblems(
  findings: readonly Finding[],
  settings: Settings,
  features: readonly Feature[],
): Promise<ConfigProblem[]> {
  const { store, given, warned } = settings;
  const problems: ConfigProblem[] = findings.map(({ code, severity, option }) => ({
    code,
    severity,
    message: MESSAGES[code] ?? code,
    fix: `Change "${option}"`,
  }));
  // A single request without an address may be a health check. If no request had one, the gate does not get addresses
  // at all.
  if (warned.has("client_address_unknown") && !warned.has("ip")) {
    problems.push({
      code: "GP113",
      severity: "error",
      message: "No request had a client address: all visitors share one bucket with a tenth of each limit",
      fix: 'Pass the platform\'s further arguments to the gate, or set "clientIp" (Next.js: { header: "x-real-ip" }, which Vercel sets, and elsewhere your proxy must)',
    });
  }
  const parts: (readonly [name: string, part: Pick<Feature, "check">])[] = [
    ["store", storeOf(store, settings)],
    ...(given.rateStore ? [["rateStore", storeOf(given.rateStore, settings)] as const] : []),
    ...features.map((feature) => [feature.name, feature] as const),
  ];
  for (const [name, part] of parts) {
    try {
      problems.push(...((await part.check?.()) ?? []));
    } catch {
      problems.push({ code: "GP120", severity: "error", message: `Cannot check the ${name}`, fix: "See whether its backend is up" });
    }
  }
  // Store and board may share one database and report the same problem: list it once.
  return [...new Map(problems.map((problem) => [JSON.stringify(problem), problem])).values()];
}

/** A store's own check, and a trial spend where that finds no error. */
function storeOf(store: Store | RateStore, settings: Settings): Pick<Feature, "check"> {
  const check = "check" in store ? store.check : undefined;
  return {
    async check() {
      const own = (await check?.call(store)) ?? [];
      return own.some(({ severity }) => severity === "error") ? own : [...own, ...(await tryStore(store, settings))];
    },
  };
}

/**
 * Charges a use and a rate under random keys and gives them back. A backend may allow everything but a spend (missing
 * permissions, a read-only replica). That shows here, before the first visitor meets it.
 */
async function tryStore(store: Store | RateStore, { random }: Settings): Promise<ConfigProblem[]> {
  try {
    const { at } = await store.spend([]);
    // A store of rates only may support its own window alone, and cannot give back. It gets an empty spend.
    if (isWhole(store)) {
      const id = randomId(random);
      const rate = { key: rateKey({ name: "check", window: 1 }, [id]), limit: 1, window: 1 };
      const quotas = [{ key: usesKey("check", id), limit: 1, expiresAt: at + 60_000 }, rate];
      const charged = await store.spend(quotas);
      if (!charged.ok) return [cannotSpend("")];
      await store.refund(quotas, charged.at);
    }
    return [];
  } catch (error) {
    // Only the error's code: a driver's message may quote keys, which contain addresses.
    const cause: unknown = error instanceof Error ? error.cause : undefined;
    const code: unknown = Object(cause)["code"] ?? /\b[A-Z]{4,}\b/.exec(String(cause))?.[0];
    return [cannotSpend(typeof code === "string" && /^\w{3,40}$/.test(code) ? ` (${code})` : "")];
  }
}

function isWhole(store: Store | RateStore): store is Store {
  return "refund" in store;
}

function cannotSpend(code: string): ConfigProblem {
  const message = `The store takes no spend${code}: every request that is counted is answered 503`;
  return { code: "GP121", severity: "error", message, fix: "See what its backend's log says, and what its user may do" };
}
