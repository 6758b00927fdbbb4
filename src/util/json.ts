/** Whether `value` is an object that JSON would write in braces. */
export function isJsonObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The JSON object that `text` holds, else null (as where there is no text); never throws. The last of duplicate members wins, as in `JSON.parse`. */
export function parseJsonObject(text: string | null): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text ?? "");
    return isJsonObject(value) ? value : null;
  } catch {
    return null;
  }
}
