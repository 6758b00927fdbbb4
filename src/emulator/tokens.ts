import { encodeBase64url } from "../util/base64url.ts";
import type { EmulatorWidget } from "./types.ts";

/** Milliseconds a token lives. */
export const TOKEN_LIFE = 300_000;
/** Milliseconds after which a token is forgotten; until then the answer to it is `timeout-or-duplicate`. */
const MEMORY = 4 * TOKEN_LIFE;
/** Tokens remembered at most: a test that loops must not fill the memory. */
const CAPACITY = 20_000;

/** What the emulator knows of a token. */
export interface Issued {
  widget: EmulatorWidget;
  hostname: string;
  action: string;
  cdata: string;
  /** Milliseconds since the epoch. */
  at: number;
  interactive: boolean;
  ephemeralId: string | undefined;
  /** Set by the first validation: its idempotency key, if it had one. */
  spent?: { key: string | undefined };
}

/** The tokens that were handed out. */
export interface TokenBook {
  issue(entry: Omit<Issued, "at">): string;
  /** Spends a token: what it stands for, or the error code. */
  redeem(token: string, widget: EmulatorWidget, key: string | undefined): Issued | string;
}

export function createTokenBook(clock: () => number, random: (bytes: number) => Uint8Array): TokenBook {
  const book = new Map<string, Issued>();
  return {
    issue(entry) {
      const at = clock();
      // A map keeps the order of insertion, so what is old is in front.
      for (const [token, issued] of book) {
        if (at - issued.at <= MEMORY && book.size < CAPACITY) break;
        book.delete(token);
      }
      const token = `0.${encodeBase64url(random(384))}`;
      book.set(token, { ...entry, at });
      return token;
    },
    redeem(token, widget, key) {
      const issued = book.get(token);
      if (issued === undefined || issued.widget !== widget) return "invalid-input-response";
      if (clock() - issued.at > TOKEN_LIFE) return "timeout-or-duplicate";
      if (issued.spent === undefined) issued.spent = { key };
      else if (key === undefined || issued.spent.key !== key) return "timeout-or-duplicate";
      return issued;
    },
  };
}
