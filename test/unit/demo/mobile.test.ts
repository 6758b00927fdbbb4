import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import {
  BASE_PATH,
  CLEARANCE_HEADER,
  DEVICE_ID_HEADER,
  HEADER,
  MOBILE_PATH,
  REQUEST_ID_HEADER,
  STATUS,
  VERIFY_PATH,
  type VerifyRequest,
} from "../../../src/protocol.ts";
import { root } from "../../helpers/sources.ts";

const read = (path: string): string => readFileSync(`${root}${path}`, "utf8");
const fence = (language: string): string =>
  new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, "m").exec(read("demo/docs/mobile.md"))?.[1] ?? "";
const samples = (folder: string): string =>
  readdirSync(`${root}demo/mobile/${folder}`)
    .map((name) => read(`demo/mobile/${folder}/${name}`))
    .join("\n");
const android = samples("android");
const ios = samples("ios");
const clients = { Android: android, iOS: ios };
const all = { ...clients, "React Native": fence("tsx"), Flutter: fence("dart") };
const page = read("src/clearance/page/mobile.ts");
/** Without what is said in words. */
const code = (text: string): string => text.replace(/^\s*\/\/.*$/gm, "").replace(/^\s*\/?\*.*$/gm, "");

const found = (text: string, pattern: RegExp): string[] =>
  [...new Set([...text.matchAll(pattern)].map(([whole, part]) => part ?? whole))].sort();

describe("the native samples", () => {
  it("are all there", () => {
    for (const [name, text] of Object.entries(all)) expect(text.length, name).toBeGreaterThan(1500);
  });

  it.each(Object.entries(clients))("%s: sends the headers of the protocol, and no others", (_, text) => {
    const named = found(code(text), /"(X-[A-Za-z-]+)"/g).map((name) => name.toLowerCase());
    expect(named).toEqual([CLEARANCE_HEADER, HEADER.appVersion, DEVICE_ID_HEADER, REQUEST_ID_HEADER].sort());
  });

  it.each(Object.entries(clients))("%s: knows the two challenge codes, and asks at the gate's paths", (_, text) => {
    const codes = found(code(text), /"([A-Z]+_[A-Z_]+)"/g).filter((name) => !/^TURNSTILE_(SUCCESS|ERROR|EXPIRED)$/.test(name));
    expect(codes).toEqual(expect.arrayContaining(["CLEARANCE_EXPIRED", "TURNSTILE_REQUIRED"]));
    expect(codes.filter((name) => !(name in STATUS))).toEqual([]);
    expect(found(code(text), /"(\/[\w/-]+)"/g)).toEqual([`${BASE_PATH}${VERIFY_PATH}`, MOBILE_PATH].sort());
  });

  it.each(Object.entries(clients))(
    "%s: the verification has exactly the fields that the gate takes, and reads what it answers",
    (_, text) => {
      const body: Record<keyof VerifyRequest, true> = {
        challenge_id: true,
        turnstile_token: true,
        original_request_id: true,
        device_id: true,
        app_version: true,
      };
      const sent = code(text).includes(".put(") ? found(code(text), /\.put\("(\w+)"/g) : found(code(text), /^\s+"(\w+)": /gm);
      expect(sent).toEqual(Object.keys(body).sort());
      const protocol = read("src/protocol.ts");
      for (const field of ["app_clearance_token", "expires_in", "scope", "max_uses"]) {
        expect(text, field).toContain(field);
        expect(protocol).toMatch(new RegExp(`interface ClearanceAnswer \\{[^}]*\\b${field}:`));
      }
      expect(text).toContain("retry_after_seconds");
    },
  );

  it.each(Object.entries(all))("%s: hears every message of the page by its name, over the bridge that the page calls", (name, text) => {
    const types = found(page, /type: "(TURNSTILE_\w+)"/g);
    expect(types).toEqual(["TURNSTILE_ERROR", "TURNSTILE_EXPIRED", "TURNSTILE_SUCCESS"]);
    expect(found(code(text), /["'](TURNSTILE_(?:SUCCESS|ERROR|EXPIRED))["']/g)).toEqual(types);
    const bridges: Record<string, readonly [inSample: string, inPage: RegExp]> = {
      Android: ['BRIDGE = "AndroidBridge"', /AndroidBridge\.postMessage\(JSON\.stringify\(message\)\)/],
      iOS: ['bridge = "turnstile"', /webkit\?\.messageHandlers\?\.turnstile;[\s\S]*ios\.postMessage\(message\)/],
      "React Native": ["onMessage={hear}", /ReactNativeWebView\.postMessage\(JSON\.stringify\(message\)\)/],
      Flutter: ["handlerName: 'turnstile'", /callHandler\("turnstile", message\)/],
    };
    const [inSample, inPage] = bridges[name] ?? ["no bridge", /no bridge/];
    expect(text).toContain(inSample);
    expect(page).toMatch(inPage);
    expect(text).toContain(MOBILE_PATH);
    expect(text).toContain("challenge_id");
  });

  it.each(Object.entries(all))(
    "%s: loads the page from its server, keeps the user agent, stays on it, has timeouts, logs nothing",
    (_, text) => {
      const plain = code(text);
      expect(plain).not.toMatch(/file:\/\/|loadData|loadHTMLString|initialData|source=\{\{ html/);
      expect(plain).not.toMatch(/userAgent|customUserAgent|applicationNameForUserAgent/i);
      expect(plain).not.toMatch(/\b(Log\.|print\(|println|NSLog|os_log|console\.|debugPrint|UserDefaults|SharedPreferences)/);
      expect(plain).not.toMatch(/addJavascriptInterface|onReceivedSslError|didReceive challenge/);
      expect(plain).toMatch(/challenges\\?\.cloudflare\\?\.com/);
      expect(plain).toMatch(/120_?000|timeout: TimeInterval = 120|minutes: 2/);
      for (const frame of ["about:blank", "about:srcdoc", "blob", "data"]) expect(plain).toContain(frame);
    },
  );

  it("have their brackets in pairs", () => {
    for (const [name, text] of Object.entries(all)) {
      const bare = code(text).replace(/"(?:[^"\\\n]|\\.)*"|r?'(?:[^'\\\n]|\\.)*'|\/\^.*\$\//g, "");
      for (const [open, close] of ["()", "[]", "{}"].map((pair) => [...pair])) {
        expect(bare.split(open ?? "").length, `${name} ${open}`).toBe(bare.split(close ?? "").length);
      }
    }
  });

  it("say that they were not compiled", () => {
    for (const text of [...Object.values(clients), read("demo/mobile/README.md"), read("demo/docs/mobile.md")])
      expect(text).toMatch(/not compiled/i);
  });
});
