/** The gate's routes that the client calls, small and scripted: for what a real gate would not do on command. */
export interface ClientServer {
  handle(request: Request): Promise<Response>;
  /** What came in, in order. */
  log: { method: string; path: string; credential: string; authorization: string | null; player: string | null; body: unknown }[];
  /** Requests to one path below /api, e.g. `POST /session`. */
  calls(route: string): ClientServer["log"];
  /** Answers the next request of a route instead. */
  next(route: string, answer: () => Response | Promise<Response>): void;
  /** Sessions that were made. */
  sessions: string[];
  /** Ends a session: the next write with it is refused with this code. */
  refuse(session: string, code: string): void;
  settings: {
    expiresIn: number;
    mode: "enforce" | "off" | "no-secret";
    rows: { id: string; score: number }[];
    order?: "asc";
    commitments: boolean;
  };
}

export const refusal = (status: number, error: string, headers: Record<string, string> = {}): Response =>
  Response.json({ error }, { status, headers });

/** @param verify redeems a Turnstile token, once */
export function clientServer(verify: (token: string) => Promise<boolean> | boolean): ClientServer {
  const scripted = new Map<string, (() => Response | Promise<Response>)[]>();
  const refused = new Map<string, string>();
  const self: ClientServer = {
    log: [],
    sessions: [],
    settings: { expiresIn: 300, mode: "enforce", rows: [], commitments: false },
    calls: (route) => self.log.filter(({ method, path }) => `${method} ${path}` === route),
    next(route, answer) {
      scripted.set(route, [...(scripted.get(route) ?? []), answer]);
    },
    refuse: (session, code) => void refused.set(session, code),
    async handle(request) {
      const { headers, method } = request;
      const path = new URL(request.url).pathname.replace(/^\/api/, "");
      const text = await request.text();
      const authorization = headers.get("authorization");
      const session = headers.get("x-gatepass-session") ?? /^Bearer (s\d+)$/.exec(authorization ?? "")?.[1];
      const fresh = headers.get("x-turnstile-token");
      const body: Record<string, unknown> = text.startsWith("{") ? JSON.parse(text) : { text };
      const credential = session ?? (fresh ? "fresh" : "");
      self.log.push({ method, path, credential, authorization, player: headers.get("x-gatepass-player"), body });
      const special = scripted.get(`${method} ${path}`)?.shift();
      if (special) return special();
      const { mode, expiresIn, rows, order, commitments } = self.settings;
      if (path === "/session") {
        if (mode === "no-secret") return refusal(404, "NOT_FOUND");
        if (mode === "off") return Response.json({ dryRun: true });
        if (!(await verify(String(body["turnstileToken"])))) return refusal(403, "VERIFICATION_FAILED");
        const sessionToken = `s${self.sessions.length + 1}`;
        self.sessions.push(sessionToken);
        return Response.json({ sessionToken, expiresIn, uses: 20, playerToken: `p-${sessionToken}` });
      }
      if (method === "GET") return Response.json({ scores: rows, ...(order && { order }), ...(session && { me: null }) });
      if (mode !== "off") {
        const code =
          session === undefined ? undefined : (refused.get(session) ?? (self.sessions.includes(session) ? "" : "SESSION_INVALID"));
        if (code) return refusal(401, code);
        if (code === undefined && !(fresh && (await verify(fresh)))) return refusal(401, "SESSION_MISSING");
      }
      if (path === "/commitments") return Response.json({ commitment: `c-${body["score"]}`, expiresIn: 900 });
      if (path === "/scores" && commitments && body["commitment"] === undefined) return refusal(422, "COMMITMENT_INVALID");
      return Response.json({ id: "r1", rank: 1, best: true }, { status: 201 });
    },
  };
  return self;
}
