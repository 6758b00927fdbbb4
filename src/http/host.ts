/** A host and a port, as a Host header may have them: no user, no path. */
const HOST = /^([\w.-]+|\[[\da-f:.]+\])(:\d{0,5})?$/i;

/**
 * Whether it can be said where a request goes. Some runtimes make its URL of the Host header, a stranger's text: of `Host: a b` no URL parser makes a URL,
 * and whatever reads the request's address (a handler, a rule of a limit) would throw.
 */
export function hasAddress({ url, headers }: Request): boolean {
  const host = headers.get("host");
  return (host === null || HOST.test(host)) && URL.canParse(url);
}
