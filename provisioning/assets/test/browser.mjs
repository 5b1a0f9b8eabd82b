// For the tests only: Chromium driven over its own pipe (no port is opened), and a loopback server that gives out the
// page with the policy it will live under. `POST /claim` answers what the test says.

import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";

import { SLOT } from "./authority.mjs";

const ASSETS = new URL("../", import.meta.url);
const HOUSE_CSS = new URL("../../../gateway/assets/mimamori.css", import.meta.url);
export const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
  + "form-action 'none'; base-uri 'none'; frame-ancestors 'none'";
const TYPES = { js: "text/javascript; charset=utf-8", css: "text/css; charset=utf-8" };
/** Longest wait for anything on a busy machine. */
const PATIENCE_MS = 60_000;

/** `{ url, answers, sent, asked, close }`: push functions onto `answers`; each takes a body, gives `[status, json, headers]`. */
export async function serve() {
  const [answers, sent, asked] = [[], [], []];
  const server = createServer(async (request, response) => {
    asked.push(`${request.method} ${request.url}`);
    const give = (status, type, body, headers = {}) => {
      response.writeHead(status, { "Content-Type": type, "Content-Security-Policy": POLICY, "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", ...headers });
      response.end(body);
    };
    if (request.method === "POST" && ["/claim", "/claim/apple"].includes(request.url)) {
      let body = "";
      for await (const part of request) body += part;
      sent.push(body);
      const [status, said, headers] = await answers.shift()(JSON.parse(body));
      return give(status, "application/json", JSON.stringify(said), headers);
    }
    const file = /^\/claim\/([a-z0-9]+)\.(js|css)$/.exec(request.url);
    if (file) return give(200, TYPES[file[2]], readFileSync(new URL(`${file[1]}.${file[2]}`, ASSETS)));
    if (request.url === "/assets/mimamori.css") return give(200, TYPES.css, readFileSync(HOUSE_CSS));
    if (request.url === "/") return give(200, "text/html; charset=utf-8", page());
    return give(404, "text/plain", "");
  });
  await new Promise((resolve) => { server.listen(0, "127.0.0.1", resolve); });
  // A name below localhost is a secure context and stays on the loopback.
  return { url: `http://claim.localhost:${server.address().port}/`, answers, sent, asked, close: () => server.close() };
}

function page() {
  const print = Array.from({ length: 32 }, (_, i) => ((i * 37 + 11) % 256).toString(16).toUpperCase().padStart(2, "0")).join(" ");
  const words = { slot: SLOT, realm_name: "ふくいみまもりネット", root_fingerprint: print, script_fingerprint: print };
  return readFileSync(new URL("../templates/claim.html", ASSETS), "utf8").replace(/\{\{ (\w+) \}\}/g, (_, name) => words[name]);
}

export class Browser {
  constructor() {
    this.folder = mkdtempSync(join(tmpdir(), "mmt-browser-"));
    this.child = spawn("chromium", ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
      "--disable-component-update", "--no-first-run", "--lang=ja", `--user-data-dir=${join(this.folder, "profile")}`,
      "--remote-debugging-pipe", "about:blank"], { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
    this.waiting = new Map();
    this.events = [];
    this.last = 0;
    let rest = "";
    this.child.stdio[4].setEncoding("utf8").on("data", (part) => {
      const messages = (rest + part).split("\0");
      rest = messages.pop();
      messages.forEach((text) => this.hear(JSON.parse(text)));
    });
  }

  hear(message) {
    if (!message.id) return this.events.push(message);
    const { resolve, reject } = this.waiting.get(message.id);
    this.waiting.delete(message.id);
    return message.error ? reject(new Error(JSON.stringify(message.error))) : resolve(message.result);
  }

  ask(method, params = {}, sessionId = this.session) {
    this.last += 1;
    const id = this.last;
    this.child.stdio[3].write(`${JSON.stringify({ id, method, params, ...(sessionId && { sessionId }) })}\0`);
    return new Promise((resolve, reject) => { this.waiting.set(id, { resolve, reject }); });
  }

  async open(url, { width = 390, height = 844, before = "", scripts = true } = {}) {
    if (this.target) await this.ask("Target.closeTarget", { targetId: this.target }, null);
    this.events = [];
    this.target = (await this.ask("Target.createTarget", { url: "about:blank" }, null)).targetId;
    this.session = (await this.ask("Target.attachToTarget", { targetId: this.target, flatten: true }, null)).sessionId;
    for (const domain of ["Page", "Runtime", "Log", "Network"]) await this.ask(`${domain}.enable`);
    await this.ask("Browser.setDownloadBehavior", { behavior: "allow", downloadPath: this.folder }, null);
    await this.size(width, height);
    if (!scripts) await this.ask("Emulation.setScriptExecutionDisabled", { value: true });
    if (before) await this.ask("Page.addScriptToEvaluateOnNewDocument", { source: before });
    await this.ask("Page.navigate", { url });
    if (scripts) await this.until("document.readyState === 'complete'");
    else await new Promise((resolve) => { setTimeout(resolve, 1000); });
  }

  size(width, height) {
    return this.ask("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: width < 1000 });
  }

  async run(expression) {
    const said = await this.ask("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true, userGesture: true });
    if (said.exceptionDetails) throw new Error(said.exceptionDetails.exception?.description ?? said.exceptionDetails.text);
    return said.result.value;
  }

  async until(expression) {
    for (const end = Date.now() + PATIENCE_MS; Date.now() < end; ) {
      if (await this.run(expression)) return;
      await new Promise((resolve) => { setTimeout(resolve, 50); });
    }
    throw new Error(`never true: ${expression}`);
  }

  /** Typed key by key as far as the page can tell. */
  async type(id, text) {
    await this.run(`document.getElementById(${JSON.stringify(id)}).focus(); document.activeElement.select()`);
    await this.ask("Input.insertText", { text });
  }

  click(id) {
    return this.run(`document.getElementById(${JSON.stringify(id)}).click()`);
  }

  /** A file that a link saves; its octets once it is whole. */
  async download(id) {
    const name = basename(await this.run(`document.getElementById(${JSON.stringify(id)}).download`));
    const done = (e) => e.method === "Page.downloadProgress" && e.params.state === "completed";
    const before = this.events.filter(done).length;
    await this.click(id);
    for (const end = Date.now() + PATIENCE_MS; this.events.filter(done).length === before; ) {
      if (Date.now() > end) throw new Error(`${name} was not saved`);
      await new Promise((resolve) => { setTimeout(resolve, 50); });
    }
    return { name, bytes: readFileSync(join(this.folder, name)) };
  }

  async picture({ whole = true } = {}) {
    return Buffer.from((await this.ask("Page.captureScreenshot", { format: "png", captureBeyondViewport: whole })).data, "base64");
  }

  /** What the console and the log complained about. */
  complaints() {
    return this.events.filter((e) => e.method === "Log.entryAdded" || e.method === "Runtime.exceptionThrown")
      .map((e) => e.params.entry?.text ?? e.params.exceptionDetails.text);
  }

  async close() {
    await this.ask("Browser.close", {}, null).catch(() => {});
    await new Promise((resolve) => { this.child.once("exit", resolve); if (this.child.exitCode !== null) resolve(); });
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}
