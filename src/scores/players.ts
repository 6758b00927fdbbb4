import type { PlayerRecords } from "../gate/records.ts";
import { cleanName, foldName } from "./names.ts";
import type { Settled } from "./options.ts";

/** What the boards of a gate keep of players. */
export function playerRecords({ store, group, boards }: Settled): PlayerRecords {
  /** Where a board wants unique names, all of the group hold them: they are the group's. */
  const isUnique = boards.some(({ namer }) => namer.unique);
  return {
    async rename(player, typed) {
      const name = cleanName(typed);
      if (name === null) return false;
      return store.rename(player, name, { group, ...(isUnique && { unique: foldName(name) || name }) });
    },
    erase: (player) => store.purge(player, group),
    // Rows are the player's own data, the id that they are kept under included.
    export: async (player) => ({ scores: await store.rowsOf(player, group) }),
    claim: (guest, player) => store.claim(guest, player, group),
  };
}
