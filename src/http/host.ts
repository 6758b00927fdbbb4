/** A host with an optional port: a name, an IPv4 address, or an IPv6 address in brackets. No user, path or list. */
const HOST = /^([\w.-]+|\[[\da-f:.]+\])(:\d{0,5})?$/i;

/** Whether a text is a host with an optional (also empty) port, as in a Host header or a URL's authority. */
export function isHost(text: string): boolean {
  return HOST.test(text) && URL.canParse(`http://${text}/`);
}

/**
 * Whether the request has a valid URL and Host header. Some runtimes build the URL from the header, which the client
 * writes. With `Host: a b` no parser accepts that URL, and code that reads it (a handler, a rule of a limit) would
 * throw.
 */
export function hasAddress({ url, headers }: Request): boolean {
  const host = headers.get("host");
  return (host === null || isHost(host)) && URL.canParse(url);
}
