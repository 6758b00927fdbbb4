import { TYP } from "../protocol.ts";
import { randomId } from "../util/random.ts";
import type { Settings } from "./options.ts";
import { type Keys, solvePlayer } from "./secrets.ts";
import type { Visit } from "./visit.ts";

/** The account that the application names; undefined where it has none or nobody is logged in. */
export async function accountOf({ given }: Settings, { request }: Visit): Promise<string | undefined> {
  const subject = await given.session?.subject?.(request);
  if (subject === undefined || subject === null || subject === "") return undefined;
  if (typeof subject !== "string" || subject.length > 128) throw new TypeError('"session.subject" did not answer 1 to 128 characters');
  return subject;
}

/** Who plays: the account, else the browser as before, else the solve itself (random, where a test key's constant stands for one). */
export async function playerOf(
  settings: Settings,
  keys: Keys | undefined,
  visit: Visit,
  token: string,
  playerToken: string | undefined,
  testKey: boolean,
): Promise<string> {
  const known = (await accountOf(settings, visit)) ?? (await returning(keys, playerToken));
  if (known !== undefined) return known;
  return testKey || !keys ? randomId(settings.random) : solvePlayer(keys.subkeys, token);
}

/** A player for one request that brought no proof. */
export async function guestOf(settings: Settings, keys: Keys | undefined, visit: Visit, playerToken: string | undefined): Promise<string> {
  return (await accountOf(settings, visit)) ?? (await returning(keys, playerToken)) ?? randomId(settings.random);
}

/** The player of an earlier token. It grants nothing, so that a forged or expired one is ignored, not refused. */
async function returning(keys: Keys | undefined, playerToken: string | undefined): Promise<string | undefined> {
  if (!keys || !playerToken) return undefined;
  try {
    const { sub } = await keys.playerTokens.verify(TYP.player, playerToken);
    return typeof sub === "string" && sub !== "" && sub.length <= 128 ? sub : undefined;
  } catch {
    return undefined;
  }
}
