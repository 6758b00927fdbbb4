/**
 * What the "protected API" page may do in development, on this machine alone: bring signals of its own, bring a policy of its own, and
 * read what the gate said to the log of its requests.
 *
 * None of it may ever exist in production. A client that says what its own risk is has none: `botScore: 99` in a header would be every bot's first
 * line. A client that brings the policy is its own judge. And the log tells an attacker which signal gave it away, so that it can try until none does,
 * which is why a gate's public answers are one code and no reason.
 */
import type { Gate, SecurityEvent } from "gatepass";
import { type PolicyDocument, parsePolicy, type RiskSignals } from "gatepass/clearance";
import { type ProtectedRoutes, protectedRoutes } from "./protected.ts";
import { demoPolicy, LOG_PATH, PAGE_HEADER, POLICY_PATH, SIGNALS_HEADER, signalsIn } from "./protected-policy.ts";

/** One line of a page's log: an event, or who was let through. */
export type LogLine = SecurityEvent | { type: "admitted"; at: number; request: string | null; level: string; limits: string | null };

/** What a page's own gate is made of. */
export interface LabOptions {
  policy: PolicyDocument;
  signals(request: Request): Partial<RiskSignals>;
  onEvent(event: SecurityEvent): void;
}

/** One page. */
interface Seat {
  gate: Gate;
  routes: ProtectedRoutes;
  log: LogLine[];
}

/** Pages that are remembered; with one more the oldest is forgotten, and begins anew when it comes again. */
const SEATS = 32;
const LINES = 200;
const MAX_POLICY = 65_536;

/** @param make a gate as the demo's own, with these options @param isHere whether a request came from this machine, to its own name */
export function createLab(make: (options: LabOptions) => Gate, isHere: (request: Request, second: unknown) => boolean): ProtectedRoutes {
  const seats = new Map<string, Seat>();

  const sit = (page: string, policy: PolicyDocument): Seat => {
    const log = seats.get(page)?.log ?? [];
    const add = (line: LogLine): void => {
      if (line.type !== "config_warning") log.push(line);
      log.splice(0, log.length - LINES);
    };
    const gate = make({
      policy,
      signals: (request) => signalsIn((request.headers.get(SIGNALS_HEADER) ?? "").slice(0, 1024)),
      onEvent: add,
    });
    const routes = protectedRoutes(gate, (request, { level, headers }) =>
      add({
        type: "admitted",
        at: Date.now(),
        request: request.headers.get("x-request-id"),
        level,
        limits: headers.get("ratelimit-policy"),
      }),
    );
    const seat = { gate, routes, log };
    seats.delete(page);
    seats.set(page, seat);
    const [oldest] = seats.keys();
    if (seats.size > SEATS && oldest !== undefined) seats.delete(oldest);
    return seat;
  };

  return async (request, second, third) => {
    const url = new URL(request.url);
    const page = request.headers.get(PAGE_HEADER) ?? "";
    if (!isHere(request, second) || !/^[\w-]{8,64}$/.test(page)) return null;
    if (url.pathname === LOG_PATH && request.method === "GET") return answer(200, { lines: seats.get(page)?.log.splice(0) ?? [] });
    if (url.pathname === POLICY_PATH && request.method === "DELETE") {
      seats.delete(page);
      return answer(200, { applied: true });
    }
    if (url.pathname === POLICY_PATH && request.method === "PUT") {
      const text = await request.text();
      if (text.length > MAX_POLICY) return answer(413, { error: "The policy is too long" });
      try {
        const policy: unknown = JSON.parse(text);
        assertPolicy(policy);
        sit(page, policy);
        return answer(200, { applied: true });
      } catch (error) {
        return answer(422, { error: error instanceof Error ? error.message : "The policy cannot be used" });
      }
    }
    const { gate, routes } = seats.get(page) ?? sit(page, demoPolicy);
    return (
      (await routes(request, second, third)) ?? (url.pathname.startsWith("/api/security/") ? gate.handle(request, second, third) : null)
    );
  };
}

function assertPolicy(value: unknown): asserts value is PolicyDocument {
  parsePolicy(value);
}

function answer(status: number, body: unknown): Response {
  return Response.json(body, { status, headers: { "cache-control": "no-store" } });
}
