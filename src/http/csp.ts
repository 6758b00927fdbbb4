/** Directives by name: one source, several in one text, or a list. */
export type CspDirectives = Record<string, string | readonly string[]>;

/** A policy in which Turnstile runs. */
export function contentSecurityPolicy(directives: CspDirectives = {}): string {
  return Object.keys(directives).join();
}
