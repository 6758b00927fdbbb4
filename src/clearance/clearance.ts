import type { FeatureFactory } from "../gate/types.ts";
import { ambiguityOf } from "./ambiguity.ts";
import { createGuard } from "./guard.ts";
import { mobileRoute } from "./mobile.ts";
import { settle } from "./options.ts";
import { allowsAmbiguous } from "./policy.ts";
import type { ClearanceOptions } from "./types.ts";
import { verifyRoute } from "./verify.ts";

/**
 * Protects the application's own routes. `gate.protect(request)` weighs the risk and asks the policy. Where the policy
 * wants a challenge, it answers `TURNSTILE_REQUIRED`. The client solves the challenge, gets a clearance from `POST
 * /security/turnstile/verify`, and retries once.
 *
 * @throws {TypeError} {RangeError} when the gate is created: a bad policy or option, no signing secret, or no Turnstile
 * secret where the gate or an entry of the policy is in mode `enforce`
 *
 * @example
 * ```ts
 * import { createGate } from "gatepass";
 * import { clearance } from "gatepass/clearance";
 * const gate = createGate({
 *   secrets: "a signing secret of at least 32 bytes",
 *   turnstile: { secret: "1x0000000000000000000000000000000AA", allowedHostnames: ["localhost"], allowTestKeys: true },
 *   features: [clearance({ policy: { always_require_clearance: ["/api/payment/*"] } })],
 * });
 * const admission = await gate.protect(new Request("https://localhost/api/payment/charge", { method: "POST" }));
 * console.assert(!admission.ok && admission.code === "TURNSTILE_REQUIRED");
 * ```
 *
 * @example One path, several operations: GraphQL by the field that is asked for
 * ```ts
 * import { createGate } from "gatepass";
 * import { clearance } from "gatepass/clearance";
 * const gate = createGate({
 *   secrets: "a signing secret of at least 32 bytes",
 *   turnstile: { secret: "1x0000000000000000000000000000000AA", allowedHostnames: ["localhost"], allowTestKeys: true },
 *   features: [
 *     clearance({
 *       policy: { always_require_clearance: [{ path: "/api/graphql", when: "transfers", scope: "/graphql/transfer", max_uses: 1 }] },
 *       when: {
 *         // By the field, not by `operationName`, which the sender chooses freely. A batch or a stored query does
 *         // not show its fields, so it counts as a transfer. So does a body that is not JSON or longer than 64 KiB:
 *         // the condition fails, and then holds.
 *         transfers: async (request) => {
 *           const { query } = await request.json();
 *           return typeof query !== "string" || /\btransferMoney\b/.test(query);
 *         },
 *       },
 *     }),
 *   ],
 * });
 * const ask = (query: string): Request => new Request("https://localhost/api/graphql", { method: "POST", body: JSON.stringify({ query }) });
 * console.assert((await gate.protect(ask("{ me { name } }"))).ok);
 * console.assert(!(await gate.protect(ask("mutation { pay: transferMoney(to: 7) }"))).ok);
 * ```
 */
export function clearance(options: ClearanceOptions): FeatureFactory {
  return (kernel) => {
    const settled = settle(options, kernel);
    return {
      name: "clearance",
      // Without a sitekey there is no widget to show.
      routes: [verifyRoute(settled, kernel), ...(kernel.options.sitekey ? [mobileRoute(settled, kernel)] : [])],
      limits: settled.limits,
      screen({ url, headers, method }) {
        if (kernel.options.mode === "off") return undefined;
        const detail = ambiguityOf(url, headers.get("host"), (path) => allowsAmbiguous(settled.policy, method, path));
        return detail && { code: "PATH_AMBIGUOUS", reason: "path_ambiguous", detail };
      },
      guard: createGuard(settled, kernel),
      reports: settled.counters.reports,
      async report(_request, signal, about, { subjects }) {
        await settled.counters.report(signal, subjects, about);
      },
    };
  };
}
