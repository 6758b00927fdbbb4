import { TYP } from "../protocol.ts";
import { randomId } from "../util/random.ts";
import type { Call } from "./call.ts";
import type { Settings } from "./options.ts";
import type { RequestScope } from "./request-scope.ts";
import { type Keys, shortMac } from "./secrets.ts";

/** Finds the player of a request. */
export interface Players {
  /** The account that the application names; undefined where it has none or nobody is logged in. */
  account(requestScope: RequestScope): Promise<string | undefined>;
  /**
   * The player's id: the account; else the player of an earlier token; else one derived from the solve (`seed`: its
   * token); else a guest of this one call or request.
   */
  of(requestScope: RequestScope, playerToken: string | null | undefined, seed?: string, call?: Call): Promise<string>;
}

export function createPlayers({ given, random }: Settings, keys: Keys | undefined): Players {
  const account: Players["account"] = async ({ request }) => {
    const subject = await given.session?.subject?.(request);
    if (!subject) return undefined;
    if (typeof subject !== "string" || subject.length > 128) throw new TypeError('"session.subject" did not answer 1 to 128 characters');
    return subject;
  };
  /**
   * The player of an earlier player token. The token grants nothing, so a forged or expired one is ignored instead of
   * refused.
   */
  const returning = async (token: string | null | undefined): Promise<string | undefined> => {
    if (!keys || !token) return undefined;
    try {
      const { sub, acc } = await keys.playerTokens.verify(TYP.player, token);
      // Only the application can name an account. A player token, which lives 400 days, must not act for it after a
      // logout.
      return typeof sub === "string" && sub !== "" && sub.length <= 128 && !acc ? sub : undefined;
    } catch {
      return undefined;
    }
  };
  return {
    account,
    of: async (requestScope, playerToken, seed, call) =>
      (await account(requestScope)) ??
      (await returning(playerToken)) ??
      (keys && seed ? shortMac(keys.subkeys, "jti/1", ["player", seed]) : ((await call?.guest()) ?? randomId(random))),
  };
}
