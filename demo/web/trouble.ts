/** What went wrong, in words for the person in front of it. */

/** A kind sentence, and whether another try may help. */
export interface Trouble {
  text: string;
  again: boolean;
}

const BY_CODE: Record<string, Trouble> = {
  ERR_CLIENT_SCRIPT: { text: "The bot check could not load. An ad blocker or a strict network may hold it back.", again: true },
  ERR_CLIENT_BLOCKED: { text: "Something in this browser blocks the bot check. A content blocker, perhaps?", again: true },
  ERR_CLIENT_TIMEOUT: { text: "The bot check took too long. Let us try that once more.", again: true },
  ERR_CLIENT_CHALLENGE: { text: "The bot check did not work out this time.", again: true },
  ERR_CLIENT_UNSUPPORTED: {
    text: "This browser is too old for the bot check. The game still plays; only the board is out of reach.",
    again: false,
  },
  ERR_CLIENT_OFFLINE: { text: "You seem to be offline. Your score is safe on this page: come back online and try again.", again: true },
  ERR_CLIENT_BUSY: { text: "That was a lot at once. Give it a moment and try again.", again: true },
  ERR_CLIENT_CONFIG: { text: "The game is set up wrongly on our side. Sorry about that.", again: false },
  RATE_LIMITED: { text: "Too many tries in a short time. Wait a minute and try again.", again: true },
  UNAVAILABLE: { text: "The board is having a rest. Please try again shortly.", again: true },
  VERIFICATION_FAILED: { text: "The bot check did not work out this time.", again: true },
  COMMITMENT_EXPIRED: { text: "That run waited too long for a name, so it cannot be signed any more.", again: false },
  COMMITMENT_USED: { text: "This run is on the board already.", again: false },
  PLAYER_BANNED: { text: "This player cannot write on the board.", again: false },
  SCORE_INVALID: { text: "The board does not take this score.", again: false },
  NAME_INVALID: { text: "The board does not take this name. Letters, digits and a few signs are fine, up to 32 of them.", again: true },
};

const OTHER: Trouble = { text: "That did not reach the board.", again: true };

/** For an error of the client, or of the network. */
export function troubleOf(error: unknown): Trouble {
  const code = codeOf(error);
  if (code !== undefined && BY_CODE[code]) return BY_CODE[code];
  if (!navigator.onLine && BY_CODE["ERR_CLIENT_OFFLINE"]) return BY_CODE["ERR_CLIENT_OFFLINE"];
  return OTHER;
}

/** The most telling code along the causes: the server's public one, where there is one. */
export function codeOf(error: unknown): string | undefined {
  let found: string | undefined;
  for (let at = error, depth = 0; typeof at === "object" && at !== null && depth < 4; depth++) {
    if ("code" in at && typeof at.code === "string") found = at.code;
    at = "cause" in at ? at.cause : undefined;
  }
  return found;
}
