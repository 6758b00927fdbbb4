import { COMMITMENTS_PATH, type CommitmentAnswer, SCORES_PATH, type ScoreReceipt, type ScoresAnswer } from "../protocol.ts";
import { refused } from "./answer.ts";
import { json, settle } from "./http.ts";
import { addressOf, assertKnown } from "./state.ts";
import type { Client } from "./types.ts";

/** The board's part of the client. */
export function createScores(base: string, fetch: Client["fetch"]): Pick<Client, "commit" | "submitScore" | "qualifies" | "scores"> {
  /** The answer, when it has the member `key` (or when the gate runs dry). @throws {GatepassError} ERR_CLIENT_REFUSED, ERR_CLIENT_OFFLINE */
  const ask = async <T extends object>(key: keyof T & string, path: string, body?: object): Promise<T> => {
    const is = (data: object): data is T => key in data || "dryRun" in data;
    const answer = await settle(fetch(addressOf(base + path), body && json(body)));
    if (answer.response.ok && is(answer.data)) return answer.data;
    throw refused(answer);
  };
  // Through JSON: without what is undefined.
  const scores = async (query: object = {}): Promise<ScoresAnswer> => {
    assertKnown(query, "board period limit around");
    return ask<ScoresAnswer>("scores", `${SCORES_PATH}?${new URLSearchParams(JSON.parse(JSON.stringify(query)))}`);
  };
  const commit = async (entry: { score: number; board?: string | undefined }): Promise<string> => {
    assertKnown(entry, "score board");
    return (await ask<Partial<CommitmentAnswer>>("commitment", COMMITMENTS_PATH, entry)).commitment ?? "";
  };
  const submit = (body: object): Promise<ScoreReceipt> => ask<ScoreReceipt>("id", SCORES_PATH, body);
  return {
    scores,
    commit,
    async submitScore(entry) {
      assertKnown(entry, "score name board commitment");
      const { score, name, board, commitment } = entry;
      if (commitment) return submit({ name, commitment });
      try {
        return await submit({ name, score, board });
      } catch (error) {
        // Some boards take signed scores only.
        if (Object(Object(error).cause).code !== "COMMITMENT_INVALID") throw error;
        return submit({ name, commitment: await commit({ score, board }) });
      }
    },
    async qualifies(score, board) {
      const TOP = 10;
      const { order, scores: rows } = await scores({ limit: TOP, board });
      const last = rows[TOP - 1]?.score;
      // Ties go to the earlier one. An older gate does not tell that its board rises; the rows do, unless all are equal.
      return last === undefined || (order === "asc" || Number(rows[0]?.score) < last ? score < last : score > last);
    },
  };
}
