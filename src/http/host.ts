/** A host and perhaps a port: a name, an IPv4 address, an IPv6 address in brackets. No user, no path, no list. */
const HOST = /^([\w.-]+|\[[\da-f:.]+\])(:\d{0,5})?$/i;

/** Whether a text is a host and perhaps a port (an empty one too), as a Host header or a URL's authority has them. */
export function isHost(text: string): boolean {
  return HOST.test(text) && URL.canParse(`http://${text}/`);
}

/**
 * Whether it can be said where a request goes. Some runtimes make its URL of the Host header, a stranger's text: of `Host: a b` no URL parser makes a URL,
 * and whatever reads the request's address (a handler, a rule of a limit) would throw.
 */
export function hasAddress({ url, headers }: Request): boolean {
  const host = headers.get("host");
  return (host === null || isHost(host)) && URL.canParse(url);
}
