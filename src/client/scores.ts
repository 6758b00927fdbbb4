import { COMMITMENTS_PATH, type CommitmentAnswer, SCORES_PATH, type ScoreReceipt, type ScoresAnswer } from "../protocol.ts";
import { addressOf, type Context, type Open } from "./context.ts";
import { json } from "./http.ts";
import { read, refused } from "./response.ts";
import type { Client } from "./types.ts";

/** The board's part of the client. */
export function createScores(
  { baseUrl }: Context,
  fetch: Client["fetch"],
  open: Open,
): Pick<Client, "commit" | "submitScore" | "qualifies" | "scores"> {
  /** The answer, when it has the member `key` (or when the gate runs dry). @throws {GatepassError} ERR_CLIENT_REFUSED, ERR_CLIENT_OFFLINE */
  const ask = async <T extends object>(key: keyof T & string, path: string, body?: object): Promise<T> => {
    const is = (data: object): data is T => key in data || "dryRun" in data;
    const answer = await read(await fetch(addressOf(baseUrl + path), body && json(body)));
    if (answer.response.ok && is(answer.data)) return answer.data;
    throw refused(answer);
  };
  // Through JSON: without what is undefined.
  const scores = (query: object = {}): Promise<ScoresAnswer> =>
    ask<ScoresAnswer>("scores", `${SCORES_PATH}?${new URLSearchParams(JSON.parse(JSON.stringify(query)))}`);
  const commit = async (entry: { score: number; board?: string | undefined; data?: unknown }): Promise<string> =>
    (await ask<Partial<CommitmentAnswer>>("commitment", COMMITMENTS_PATH, entry)).commitment ?? "";
  const submit = (body: object): Promise<ScoreReceipt> => ask<ScoreReceipt>("id", SCORES_PATH, body);
  return {
    scores: open(scores, "board period limit around tag total after score"),
    commit: open(commit, "score board data"),
    submitScore: open(async ({ name, commitment, ...entry }) => {
      if (commitment) return submit({ name, commitment });
      try {
        return await submit({ name, ...entry });
      } catch (error) {
        // Some boards take signed scores only.
        if (Object(error).cause?.code !== "COMMITMENT_INVALID") throw error;
        return submit({ name, commitment: await commit(entry) });
      }
    }, "score name board commitment data"),
    qualifies: open(async (score, board) => {
      const TOP = 10;
      const { order, scores: rows } = await scores({ limit: TOP, board });
      const [first] = rows;
      const last = rows[TOP - 1]?.score;
      // Ties go to the earlier one. An older gate does not tell that its board rises; the rows do, unless all are equal.
      return last === undefined || (order === "asc" || (first?.score ?? last) < last ? score < last : score > last);
    }),
  };
}
