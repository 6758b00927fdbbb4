import { GatepassError } from "../errors.ts";
import { TYP } from "../protocol.ts";
import { assertString } from "../util/assertions.ts";
import type { Keys } from "./secrets.ts";

/** What a gate's features keep of a player, for accounts that are renamed, deleted, asked for, or claimed by a guest who logs in. */
export interface GatePlayers {
  /**
   * Gives a player another name wherever one is shown, checked as a typed one is.
   *
   * @returns false: the name cannot be one, or is another player's where names are unique
   */
  rename(player: string, name: string): Promise<boolean>;
  /** Removes what is kept of a player, bans excepted, and tells how many entries that were. */
  erase(player: string): Promise<number>;
  /** All that is kept of a player, by feature. */
  export(player: string): Promise<Record<string, unknown>>;
  /**
   * Gives what a guest has to an account: scores are merged by their board's operator, a ban goes along. Again is nothing to do.
   *
   * @param guestToken the player token of the guest's browser: whoever has it is the guest @returns how many entries were moved
   * @throws {GatepassError} `ERR_TOKEN_*`: it is none, or an account's @throws {TypeError} the gate has no signing secret
   */
  claim(guestToken: string, player: string): Promise<number>;
}

/** What a feature keeps of players: its part of {@link GatePlayers}. */
export interface PlayerRecords {
  rename(player: string, name: string): Promise<boolean>;
  erase(player: string): Promise<number>;
  /** By the feature's name. */
  export(player: string): Promise<Record<string, unknown>>;
  claim(guest: string, player: string): Promise<number>;
}

/** What all features keep of players, as one. */
export function createRecords(keys: Keys | undefined, features: readonly { players?: PlayerRecords }[]): GatePlayers {
  /** One after the other: where one fails, calling again does the rest. */
  const each = async <T>(player: string, work: (records: PlayerRecords) => Promise<T>): Promise<T[]> => {
    assertString("player", player, 1, 256);
    const done: T[] = [];
    for (const { players } of features) if (players) done.push(await work(players));
    return done;
  };
  const sum = (counts: readonly number[]): number => counts.reduce((all, count) => all + count, 0);
  return {
    rename: async (player, name) => !(await each(player, (records) => records.rename(player, name))).includes(false),
    erase: async (player) => sum(await each(player, (records) => records.erase(player))),
    export: async (player) => Object.assign({}, ...(await each(player, (records) => records.export(player)))),
    async claim(guestToken, player) {
      if (!keys) throw new TypeError("Cannot claim: the gate has no signing secret");
      const { sub: guest, acc } = await keys.playerTokens.verify(TYP.player, guestToken);
      // What an account has is its own: a token of its browser is no proof that its owner gives it away.
      if (typeof guest !== "string" || !guest || acc) throw new GatepassError("ERR_TOKEN_CLAIM", "Cannot claim: the token is no guest's");
      return guest === player ? 0 : sum(await each(player, (records) => records.claim(guest, player)));
    },
  };
}
