import { describe, expect, it } from "vitest";
import { methodsOf } from "../../../src/clearance/methods.ts";
import { matchPolicy, parsePolicy } from "../../../src/clearance/policy.ts";
import type { PolicyDocument, PolicyEntry } from "../../../src/clearance/types.ts";
import { ORIGIN } from "../../helpers/gate.ts";
import { api, type CallOptions } from "../clearance/tools.ts";

const POLICY: PolicyDocument = {
  always_require_clearance: [{ path: "/v1/account", method: ["DELETE", "PURGE"] }],
  never_require_clearance: [{ path: "/v1/account", method: ["GET", "POST", "PUT"] }],
};
const HEADERS = ["x-http-method-override", "X-HTTP-Method", "X-Method-Override"];
const FORM = "application/x-www-form-urlencoded";
const status = async (options: CallOptions, path = "/v1/account"): Promise<number> =>
  (await api({ policy: POLICY }).call(path, options)).status;
const body = (type: string, text: string): CallOptions => ({ headers: { "content-type": type }, body: text });
const multipart = (...lines: string[]): CallOptions =>
  body("multipart/form-data; boundary=x", ["--x", ...lines, "", "DELETE", "--x--", ""].join("\r\n"));

describe("a method that is claimed in a header counts beside the real one", () => {
  it.each(HEADERS)("%s: also in a list, in any place of it, in any letter case", async (name) => {
    for (const value of ["DELETE", "delete", " Delete ", "PUT, DELETE", "PUT,PUT,PUT,delete", ",DELETE", "DELETE,", "purge,,put"])
      expect([value, await status({ headers: { [name]: value } })]).toEqual([value, 403]);
    for (const value of ["PUT", "put, POST", "", " , ", "GET,HEAD,POST,PUT"])
      expect([value, await status({ headers: { [name]: value } })]).toEqual([value, 200]);
  });

  it("an underscore in the header's name is a hyphen to CGI", async () => {
    for (const name of ["x_http_method_override", "X_HTTP_Method", "x-method_override"])
      expect([name, await status({ headers: { [name]: "DELETE" } })]).toEqual([name, 403]);
  });

  it("two such headers are one list, whatever their order", async () => {
    for (const lines of [
      ["PUT", "DELETE"],
      ["DELETE", "PUT"],
    ]) {
      const headers = new Headers({ "x-device-id": "phone-1" });
      for (const line of lines) headers.append("x-http-method-override", line);
      const at = api({ policy: POLICY });
      const answer = await at.gate.guard(() => Response.json({}))(new Request(`${ORIGIN}/v1/account`, { method: "POST", headers }));
      expect(answer.status).toBe(403);
    }
    expect(await status({ headers: { "x-http-method-override": "PUT", "x-http-method": "DELETE" } })).toBe(403);
  });

  it("what is no method's name may be any: quoted, with parameters, too many, in another alphabet", async () => {
    for (const value of ['"DELETE"', "DELETE;q=1", "DELETE PUT", "D\u00ccLETE", "x".repeat(21), "PUT,PUT,PUT,PUT,PUT", ",,,,,"])
      expect([value, await status({ headers: { "x-http-method-override": value } })]).toEqual([value, 403]);
  });
});

describe("a method that is claimed in the query counts", () => {
  it.each([
    "_method=DELETE",
    "%5Fmethod=delete",
    "%5f%6d%65%74%68%6f%64=DELETE",
    "a=1&_method=DELETE",
    "a=1;_method=DELETE",
    "_method=PUT&_method=DELETE",
  ])("%s", async (query) => {
    expect(await status({}, `/v1/account?${query}`)).toBe(403);
  });
  it.each([
    "_method[]=DELETE",
    "_method%5B0%5D=DELETE",
    "+_method=DELETE",
    ".method=DELETE",
    "[method=DELETE",
    "_method=%44ELETE",
    "?_method=DELETE".slice(1),
  ])("%s, as some parsers read it", async (query) => {
    expect(await status({}, `/v1/account?${query}`)).toBe(403);
  });
  it("another field does not, nor does a read's", async () => {
    for (const query of ["method=DELETE", "payment_method=DELETE", "_methods=DELETE", "x=_method=DELETE", "_method=PUT", "_method=", ""])
      expect([query, await status({}, `/v1/account?${query}`)]).toEqual([query, 200]);
    expect(await status({ method: "GET" }, "/v1/account?_method=DELETE")).toBe(200);
  });
});

describe("a method that is claimed in a body counts", () => {
  it.each([
    ["a form", body(FORM, "a=1&_method=DELETE")],
    ["a form with an encoded name", body(FORM, "%5Fmethod=%44ELETE")],
    ["a form that claims two", body(FORM, "_method=PUT&_method=delete")],
    ["a form of many", body(FORM, "_method=PUT&".repeat(6))],
    ["a form in another alphabet", body(`${FORM}; charset=utf-7`, "+AF8-method=DELETE")],
    ["a form that is compressed", { headers: { "content-type": FORM, "content-encoding": "gzip" }, body: "\u001f\u008b" }],
    ["a form that is too long to read", body(FORM, `a=${"x".repeat(70_000)}&_method=DELETE`)],
    ["JSON", body("application/json", '{"a":1,"_method":"DELETE"}')],
    ["JSON with an escaped name", body("application/merge-patch+json", '{"\\u005fm\\u0065thod" : "DELETE"}')],
    ["JSON in single quotes, as loose parsers take it", body("application/json5", "{'_method':'DELETE'}")],
    ["JSON without quotes", body("application/json5", "{a: 1, _method: 'DELETE'}")],
    ["JSON with a comment", body("application/json", '{"_method" /* */ : "DELETE"}')],
    ["a form whose name ends at a NUL", body(FORM, "_method%00x=DELETE")],
    ["JSON in UTF-16", body("application/json; charset=utf-16le", '{"_method":"DELETE"}')],
    ["multipart", multipart('Content-Disposition: form-data; name="_method"')],
    ["multipart without quotes", multipart("content-disposition: form-data; NAME = _method")],
    ["multipart with an escape", multipart('Content-Disposition: form-data; name="\\_method"')],
    ["multipart with an encoded name", multipart("Content-Disposition: form-data; name*=utf-8''%5Fmethod")],
    ["multipart with a name in pieces", multipart('Content-Disposition: form-data; name*0="_met"; name*1="hod"')],
  ] as const)("%s", async (_name, options) => {
    expect(await status(options)).toBe(403);
    for (const method of ["PUT", "PATCH"]) expect(await status({ ...options, method })).toBe(403);
  });

  it.each([
    ["a form without it", body(FORM, "method=DELETE&payment_method=card")],
    ["a form that claims what is free", body(FORM, "_method=PUT")],
    ["JSON without it", body("application/json", '{"payment_method":"x","method":"DELETE","x":"_method"}')],
    ["multipart without it", multipart("Content-Disposition: form-data; name=\"payment_method\"; filename*=utf-8''a")],
    ["text", body("text/plain", "_method=DELETE")],
    ["a file that is too long to read", body("application/octet-stream", "x".repeat(70_000))],
  ] as const)("%s is the method that it is", async (_name, options) => {
    expect(await status(options)).toBe(200);
  });

  it("the handler still reads the whole body", async () => {
    const at = api({ policy: POLICY });
    const handler = at.gate.guard(async (request) => new Response(await request.text()));
    for (const text of ["a=1&b=2", `a=${"x".repeat(60_000)}`]) {
      const request = new Request(`${ORIGIN}/v1/account`, { method: "POST", headers: { "content-type": FORM }, body: text });
      expect(await (await handler(request)).text()).toBe(text);
    }
  });

  it("is not read where the policy tells no methods of the path apart", async () => {
    const { gate } = api({ policy: POLICY });
    let taken = 0;
    const stream = new ReadableStream<Uint8Array>({ pull: () => void taken++ }, { highWaterMark: 0 });
    const init: RequestInit & { duplex: "half" } = { method: "POST", headers: { "content-type": FORM }, body: stream, duplex: "half" };
    expect((await gate.protect(new Request(`${ORIGIN}/v1/other`, init))).ok).toBe(true);
    expect(taken).toBe(0);
  });
});

it("a method override lifts no row of the table of paths", async () => {
  expect(await status({ headers: { "x-http-method-override": "GET" } }, "/v1/account%00")).toBe(400);
});

describe("what a claim costs", () => {
  it("at most four values are looked at: beyond that the request may be of any method", async () => {
    const of = (query: string, headers: Record<string, string> = {}): Promise<readonly string[] | undefined> =>
      methodsOf(new Request(`${ORIGIN}/x?${query}`, { method: "POST", headers }));
    expect(await of("_method=a&_method=b&_method=c&_method=d")).toEqual(["POST", "a", "b", "c", "d"]);
    expect(await of("_method=a&_method=b&_method=c&_method=d&_method=e")).toBeUndefined();
    expect(await of("_method=a&_method=b", { "x-http-method": "c,d,e" })).toBeUndefined();
    expect(await of("_method=x&".repeat(10_000))).toBeUndefined();
  });

  it("of any method: every entry that names one may be meant, and what names none of them", async () => {
    const match = (policy: PolicyDocument): Promise<PolicyEntry> => matchPolicy(parsePolicy(policy), undefined, "/x", () => false);
    expect(await match(POLICY)).toMatchObject({ kind: "unmatched" });
    expect(await match({ always_require_clearance: [{ path: "/x", method: "DELETE", mode: "monitor" }] })).toMatchObject({
      kind: "always",
      mode: undefined,
    });
    expect(await match({ never_require_clearance: [{ path: "/x", method: ["GET", "POST"] }] })).toMatchObject({ kind: "unmatched" });
    // Whatever the method is, the path itself is free, and no router looks further.
    expect(await match({ always_require_clearance: ["/*"], never_require_clearance: ["/x"] })).toMatchObject({ kind: "never" });
    expect(
      await match({ always_require_clearance: ["/*", { path: "/x", method: "DELETE", max_uses: 1 }], never_require_clearance: ["/x"] }),
    ).toMatchObject({ kind: "always", maxUses: 1 });
  });

  it("60 kB of _method at a policy of 500 entries cost hardly more than none", async () => {
    const policy: PolicyDocument = {
      always_require_clearance: Array.from({ length: 500 }, (_, i) => ({
        path: `/v1/${i % 2 ? "account/*" : "*"}`,
        method: `M${"ABCDEFGHIJ"[i % 10]}${"ABCDEFGHIJ"[Math.floor(i / 10) % 10]}${"ABCDEFGHIJ"[Math.floor(i / 100)]}`,
      })),
    };
    const { call } = api({ policy });
    const time = async (query: string): Promise<number> => {
      let best = Number.POSITIVE_INFINITY;
      for (let i = 0; i < 5; i++) {
        const started = performance.now();
        await call(`/v1/account/x?${query}`);
        best = Math.min(best, performance.now() - started);
      }
      return best;
    };
    await time("");
    const none = await time("");
    expect(await time("_method=abcdefg&".repeat(3750))).toBeLessThan(none + 100);
    expect(await time(Array.from({ length: 3750 }, (_, i) => `_method=m${i}`).join("&"))).toBeLessThan(none + 100);
  });
});
