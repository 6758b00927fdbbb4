import { expect, it } from "vitest";
import { describeBrowser, launchBrowser } from "../helpers/browser.ts";
import { serve } from "../helpers/serve.ts";

describeBrowser("the browser helpers", () => {
  it("show a served page, pass a posted body on and cut a broken answer off", async () => {
    const served = await serve(async (request) => {
      const { pathname } = new URL(request.url);
      if (pathname === "/echo") return new Response(await request.text());
      if (pathname === "/cut") return new Response(new ReadableStream({ pull: (controller) => controller.error(new Error("cut")) }));
      return new Response("<!doctype html><title>hello</title>", { headers: { "content-type": "text/html" } });
    });
    const browser = await launchBrowser();
    try {
      const page = await browser.newPage();
      await page.goto(served.url);
      expect(await page.title()).toBe("hello");
      expect(await page.evaluate(async () => (await fetch("/echo", { method: "POST", body: "body" })).text())).toBe("body");
      await expect(fetch(`${served.url}/cut`).then((answer) => answer.text())).rejects.toThrow();
    } finally {
      await browser.close();
      await served.close();
    }
  });
});
