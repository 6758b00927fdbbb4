import { TYP } from "../protocol.ts";
import { randomId } from "../util/random.ts";
import type { Call } from "./call.ts";
import type { Settings } from "./options.ts";
import { type Keys, shortMac } from "./secrets.ts";
import type { Visit } from "./visit.ts";

/** Who plays. */
export interface Players {
  /** The account that the application names; undefined where it has none or nobody is logged in. */
  account(visit: Visit): Promise<string | undefined>;
  /** The account, else the browser as before, else the solve itself (`seed`: its token), else the guest of this one call or request. */
  of(visit: Visit, playerToken: string | null | undefined, seed?: string, call?: Call): Promise<string>;
}

export function createPlayers({ given, random }: Settings, keys: Keys | undefined): Players {
  const account: Players["account"] = async ({ request }) => {
    const subject = await given.session?.subject?.(request);
    if (!subject) return undefined;
    if (typeof subject !== "string" || subject.length > 128) throw new TypeError('"session.subject" did not answer 1 to 128 characters');
    return subject;
  };
  /** The player of an earlier token. It grants nothing, so that a forged or expired one is ignored, not refused. */
  const returning = async (token: string | null | undefined): Promise<string | undefined> => {
    if (!keys || !token) return undefined;
    try {
      const { sub, acc } = await keys.playerTokens.verify(TYP.player, token);
      // An account is its login's to give: a token that is kept for a year must not outlive a logout.
      return typeof sub === "string" && sub !== "" && sub.length <= 128 && !acc ? sub : undefined;
    } catch {
      return undefined;
    }
  };
  return {
    account,
    of: async (visit, playerToken, seed, call) =>
      (await account(visit)) ??
      (await returning(playerToken)) ??
      (keys && seed ? shortMac(keys.subkeys, "jti/1", ["player", seed]) : ((await call?.guest()) ?? randomId(random))),
  };
}
