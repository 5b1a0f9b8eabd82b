// The claim page in a real browser, at a phone's viewport, under the policy it is served with: what a person meets
// when it goes well and when it does not. With SHOTS=folder it leaves pictures of every state. C-12.2, rulings 4, 5, 15.

import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { after, before } from "node:test";

import { Authority, NUMBER, PASSWORD, SLOT, readByAll, run } from "./authority.mjs";
import { Browser, serve } from "./browser.mjs";

const here = (command) => { try { run("which", [command]); return true; } catch { return false; } };
const skip = here("chromium") ? false : "no chromium here";
const ADMIN = "すみれ咲く-2026-ふくい";

let authority;
let server;
let browser;
before(async () => {
  if (skip) return;
  [authority, server, browser] = [new Authority(), await serve(), new Browser()];
});
after(async () => {
  await browser?.close();
  server?.close();
  authority?.close();
});

const problem = (code, ja, en, remedyJa, remedyEn) =>
  ({ code, ja, en, remedy_ja: remedyJa, remedy_en: remedyEn, trace: "7f3a9c0e5b1d4a62" });
const WRONG = problem("MM-5401", "証明書取得用Noかパスワードが違います。", "The number or the password is wrong.",
  "お手元の用紙のとおりに、もう一度入力してください。", "Enter both again as they are printed on the sheet.");
const PAUSED = problem("MM-5402", "続けて間違えたため、しばらく入力できません（あと900秒）。", "Too many wrong entries; wait 900 seconds.",
  "時間をおいて、用紙を見ながら入力してください。", "Wait, then enter what is printed on the sheet.");
const NEEDS_PASSWORD = problem("MM-5412", "管理者ご自身のパスワードを決めてください。", "Choose the administrator's own password.",
  "新しいパスワードを入力してください（管理者の本登録）。", "Enter the new password.");

async function fill() {
  await browser.type("number", `${NUMBER.slice(0, 4)} ${NUMBER.slice(4)}`);
  await browser.type("password", "7k3m-q2zd-9rtb-4xwv");
  await browser.type("label", "訪問用タブレット2");
}
const text = (id) => browser.run(`document.getElementById("${id}").innerText`);
const value = (id) => browser.run(`document.getElementById("${id}").value`);
const hidden = (id) => browser.run(`document.getElementById("${id}").hidden`);

async function shots(name) {
  if (!process.env.SHOTS) return;
  mkdirSync(process.env.SHOTS, { recursive: true });
  for (const [size, width, height, media] of [["phone", 390, 844, ""], ["tablet", 820, 1180, ""], ["print", 794, 1123, "print"]]) {
    await browser.size(width, height);
    await browser.ask("Emulation.setEmulatedMedia", { media });
    writeFileSync(join(process.env.SHOTS, `${name}-${size}.png`), await browser.picture());
  }
  await browser.ask("Emulation.setEmulatedMedia", { media: "" });
  await browser.size(390, 844);
}

/** Nothing wider than the screen, every control at least 44 px high, every field with a label, in any state. */
async function fits() {
  const wide = await browser.run("document.documentElement.scrollWidth - document.documentElement.clientWidth");
  assert.equal(wide, 0, "scrolls sideways");
  const small = await browser.run(`[...document.querySelectorAll("button, input, summary, a.mm-button")]
    .filter((e) => e.getClientRects().length > 0 && (e.type === "checkbox" ? e.closest("label") : e).getBoundingClientRect().height < 44).map((e) => e.id || e.innerText)`);
  assert.deepEqual(small, []);
  assert.ok(await browser.run(`[...document.querySelectorAll("input")].every((e) => e.labels.length === 1)`));
}

test("empty and mistyped fields are told at the field and cost nothing", { skip }, async () => {
  await browser.open(server.url);
  await browser.until("!document.getElementById('send').disabled");
  await fits();
  await shots("1-form");
  await browser.click("send");
  assert.equal(await browser.run("document.activeElement.id"), "number");
  await browser.type("number", "4976052384");
  await browser.type("password", "7k3m-q2zd-9rtb");
  await browser.type("admin-password", "abcdefgh");
  assert.match(await text("admin-password-hint"), /あと5文字/);
  await browser.click("send");
  for (const name of ["number", "password", "admin-password"]) assert.equal(await hidden(`${name}-error`), false, name);
  await fits();
  await shots("2-fields");
  await browser.run("document.querySelectorAll('#entry details').forEach((d) => { d.open = true; })");
  await fits();
  await shots("2-open");
  assert.deepEqual(server.sent, []);
});

test("a refusal keeps what was typed; a pause counts down; a missing password is asked for at its field", { skip }, async () => {
  await browser.open(server.url);
  await fill();
  server.answers.push(() => [403, WRONG], () => [422, NEEDS_PASSWORD], () => [429, PAUSED, { "Retry-After": "2" }], () => [429, PAUSED, { "Retry-After": "900" }]);
  await browser.click("send");
  await browser.until("!document.getElementById('problem').hidden");
  assert.match(await text("problem"), /違います[\s\S]*用紙のとおり[\s\S]*MM-5401/);
  assert.equal(await browser.run("document.activeElement.id"), "problem");
  assert.equal(await value("password"), "7k3m-q2zd-9rtb-4xwv");
  assert.equal(await value("label"), "訪問用タブレット2");
  await shots("3-wrong");
  await browser.click("send");
  await browser.until("document.activeElement.id === 'admin-password'");
  assert.match(await text("admin-password-error"), /ご自身のパスワード/);
  await browser.click("send");
  await browser.until("!document.getElementById('wait').hidden");
  assert.ok(await browser.run("document.getElementById('send').disabled"));
  await browser.until("!document.getElementById('send').disabled && document.getElementById('problem').hidden");
  await browser.click("send");
  await browser.until("!document.getElementById('wait').hidden");
  assert.match(await text("wait"), /あと1[45]分\d\d秒/);
  await fits();
  await shots("4-paused");
  server.sent.length = 0;
});

for (const [name, before] of [["WebCrypto's X25519", ""], ["our own X25519", `
  const make = crypto.subtle.generateKey.bind(crypto.subtle);
  crypto.subtle.generateKey = (kind, ...rest) => kind.name === "X25519" ? Promise.reject(new DOMException("x", "NotSupportedError")) : make(kind, ...rest);`]]) {
  test(`a whole claim in the browser with ${name}`, { skip }, async () => {
    await browser.open(server.url, { before });
    await fill();
    await browser.type("admin-password", ADMIN);
    assert.match(await text("admin-password-hint"), /使える/);
    server.sent.length = 0;
    let holding;
    const held = new Promise((resolve) => { holding = resolve; });
    server.answers.push(async (body) => { await held; return [200, authority.answer(body)]; });
    await browser.click("send");
    await browser.until("document.querySelector('.now')?.dataset.step === 'request'");
    assert.match(await text("status"), /証明書を受け取って/);
    if (!before) await shots("5-progress");
    holding();
    await browser.until("!document.getElementById('result').hidden");
    assert.equal(await browser.run("document.activeElement.id"), "result-title");
    if (!before) await shots("6-result");

    const sent = JSON.parse(server.sent[0]);
    assert.deepEqual([sent.number, sent.password, sent.admin_password, sent.label], [NUMBER, PASSWORD, ADMIN, "訪問用タブレット2"]);
    const profile = await browser.download("profile-link");
    assert.equal(profile.name, `sns-${SLOT}.conf`);
    writeFileSync(authority.at(profile.name), profile.bytes, { mode: 0o600 });
    const own = /PrivateKey = (.+)/.exec(run("wg-quick", ["strip", authority.at(profile.name)]))[1];
    assert.equal(run("wg", ["pubkey"], { input: own }).trim(), sent.wireguard_public_key);
    assert.ok(!server.sent.join().includes(own));

    const password = (await text("certificate-password")).replace(/\s/g, "");
    for (const link of ["certificate-link", "compatible-link"]) {
      const { name: file, bytes } = await browser.download(link);
      assert.match(file, /^mimamori-18-0042.*\.p12$/);
      writeFileSync(authority.at("browser.p12"), bytes);
      readByAll(authority, authority.at("browser.p12"), password, `みまもり ${SLOT}`);
    }
    for (const [link, name] of [["apple-mobile-link", "iphone.mobileconfig"], ["mac-link", "mac.mobileconfig"], ["linux-link", "18-0042.tar"]]) {
      const { name: file, bytes } = await browser.download(link);
      assert.ok(file.endsWith(name) && bytes.length > 1000, file);
    }
    assert.match(await text("profile-link"), /^✓/);
    assert.match(await text("login"), /hanako/);
    assert.equal(await browser.run("document.getElementById('next-link').host"), new URL(server.url).host.replace("claim.", "office."));

    await browser.run("document.querySelectorAll('#result details').forEach((d) => { d.open = true; })");
    await fits();
    if (!before) await shots("7-result-open");
    await qrSays(profile.bytes.toString());
    assert.deepEqual(await browser.run(`(async () => [localStorage.length, sessionStorage.length, document.cookie,
      (await indexedDB.databases()).length, (await caches.keys()).length])()`), [0, 0, "", 0, 0], "nothing is stored");
    assert.deepEqual(await browser.run("['number','password','admin-password','label'].map((id) => document.getElementById(id).value)"), ["", "", "", ""]);
    assert.equal(await browser.run("[...document.querySelectorAll('input')].map((e) => e.value).join('')"), "", "no field says anything");
    assert.deepEqual(browser.complaints(), [], "no policy broken, nothing missing");
  });
}

test("Apple's hardware: one choice of two, a profile to save, and nothing that is not there", { skip }, async () => {
  await browser.open(server.url);
  await fill();
  await browser.run("document.querySelectorAll('#entry details').forEach((d) => { d.open = true; })");
  for (const choice of ["server-keys", "hardware"]) await browser.click(choice);
  assert.deepEqual(await browser.run("['server-keys','hardware'].map((id) => document.getElementById(id).checked)"), [false, true]);
  await fits();
  server.sent.length = 0;
  server.answers.push(() => [201, authority.passed("localhost")]);
  await browser.click("send");
  await browser.until("!document.getElementById('result').hidden");
  assert.equal("certificate_request" in JSON.parse(server.sent[0]), false, "no key of the certificate is made here");
  assert.match(await text("result"), /構成プロファイルができました[\s\S]*15分以内/);
  for (const gone of ["登録できました", "証明書のパスワード", "接続設定を保存", "Linux", "①"]) {
    assert.ok(!(await text("result")).includes(gone), gone);
  }
  await fits();
  await shots("10-hardware");
  for (const link of ["apple-mobile-link", "mac-link"]) {
    const { bytes } = await browser.download(link);
    assert.ok(bytes.toString().includes("com.apple.security.acme"));
  }
  assert.equal(await browser.run("document.getElementById('hardware').checked"), false);
  assert.deepEqual(browser.complaints(), [], "no policy broken, nothing missing");
});

/** The QR as the screen shows it, read from a picture of the screen. */
async function qrSays(expected) {
  if (!here("zbarimg")) return;
  await browser.run("document.getElementById('profile-qr').scrollIntoView({ block: 'center' })");
  const picture = authority.at("qr.png");
  writeFileSync(picture, await browser.picture({ whole: false }));
  assert.equal(run("zbarimg", ["-q", "--raw", "--oneshot", picture]).trim(), expected.trim());
}

test("words behind the # fill the form and leave the address bar", { skip }, async () => {
  await browser.open(`${server.url}#number=${NUMBER}&password=${PASSWORD}`);
  await browser.until("!document.getElementById('send').disabled");
  assert.deepEqual([await value("number"), await value("password")], [NUMBER, PASSWORD]);
  assert.equal(await browser.run("location.href"), server.url);
});

test("without WebCrypto, and without JavaScript, a person is told and nothing can be sent", { skip }, async () => {
  await browser.open(server.url, { before: "Object.defineProperty(Crypto.prototype, 'subtle', { value: undefined })" });
  await browser.until("!document.getElementById('problem').hidden");
  assert.match(await text("problem"), /https:\/\/[\s\S]*MM-5491/);
  assert.ok(await browser.run("document.getElementById('send').disabled"));
  await shots("8-insecure");
  const asked = server.asked.length;
  await browser.open(server.url, { scripts: false });
  await shots("9-noscript");
  assert.ok(!server.asked.slice(asked).some((line) => line.startsWith("POST")));
});

test("the browser asked this host for the page's own files and nothing else", { skip }, () => {
  for (const line of server.asked) assert.match(line, /^(GET \/(claim\/[a-z0-9]+\.(js|css)|assets\/mimamori\.css|favicon\.ico)?|POST \/claim(\/apple)?)$/);
});
