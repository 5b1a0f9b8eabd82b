// What the page makes, read by the tools that people have: openssl, GnuTLS, NSS, wg-quick, two QR readers.
// Requirements C-12.2 and G-05; ruling 5.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import test, { after, before } from "node:test";

import { Authority, NUMBER, PASSWORD, PLACE, SLOT, readByAll, run } from "./authority.mjs";
import { PASSWORD_LENGTH as P12_PASSWORD_LENGTH, makePassword, pack } from "../p12.js";
import * as password from "../password.js";
import { isAboutNewPassword, isAboutSheet, own } from "../problem.js";
import { encode, outline } from "../qr.js";
import { signature } from "../request.js";
import * as sheet from "../sheet.js";
import { profile, profileFile } from "../tunnel.js";
import { able, createWork } from "../work.js";

let authority;
before(() => { authority = new Authority(); });
after(() => authority.close());

const ENTRY = { number: NUMBER, password: PASSWORD, adminPassword: "", label: "受付のパソコン" };
const json = (status, body, headers = {}) =>
  new Response(JSON.stringify(body), { status, headers: { "Content-Type": "application/json", ...headers } });

/** A server that answers in turn with each of `answers` and keeps what it was sent. */
function server(...answers) {
  const sent = [];
  const send = async (path, options) => {
    assert.ok(["/claim", "/claim/apple"].includes(path), path);
    sent.push(options.body);
    return answers[Math.min(sent.length, answers.length) - 1](JSON.parse(options.body));
  };
  return { sent, send };
}
const issuing = (body) => json(200, authority.answer(body));

test("a claim: request verified, profile taken by wg-quick, both .p12 forms read by openssl, GnuTLS and NSS", async () => {
  const { sent, send } = server(issuing);
  const steps = [];
  const made = await createWork(PLACE, { send }).claim(ENTRY, (step) => steps.push(step));
  assert.deepEqual(steps, ["keys", "request", "files"]);
  assert.match(run("openssl", ["req", "-inform", "DER", "-in", authority.at("device.der"), "-noout", "-subject"]), /CN ?= ?18-0042/);

  assert.equal(made.profile.name, "sns-18-0042.conf");
  writeFileSync(authority.at(made.profile.name), made.profile.text, { mode: 0o600 });
  const stripped = run("wg-quick", ["strip", authority.at(made.profile.name)]);
  const own = /PrivateKey = (.+)/.exec(stripped)[1];
  assert.equal(run("wg", ["pubkey"], { input: own }).trim(), JSON.parse(sent[0]).wireguard_public_key);
  assert.ok(!/DNS|Keepalive|PostUp/i.test(made.profile.text));

  // The same key and tunnel in Apple's profile and in Linux's archive.
  for (const file of Object.values(made.apple)) {
    writeFileSync(authority.at("p.mobileconfig"), file.octets);
    const read = "import plistlib,sys;p=plistlib.load(open(sys.argv[1],'rb'));c={x['PayloadType']:x for x in p['PayloadContent']};"
      + "open(sys.argv[2],'wb').write(c['com.apple.security.pkcs12']['PayloadContent']);print(c['com.apple.vpn.managed']['VendorConfig']['WgQuickConfig'],end='')";
    assert.equal(run("python3", ["-c", read, authority.at("p.mobileconfig"), authority.at("apple.p12")]), made.profile.text);
    const said = readByAll(authority, authority.at("apple.p12"), made.certificate.password, `みまもり ${SLOT}`);
    assert.equal(said.openssl.match(/BEGIN CERTIFICATE/g).length, 1, "Apple takes one per payload");
  }
  writeFileSync(authority.at("linux.tar"), made.linux.octets);
  const held = run("tar", ["-x", "-O", "-f", authority.at("linux.tar"), `mimamori-${SLOT}/device.key`]);
  writeFileSync(authority.at("linux.key"), held);
  assert.equal(run("openssl", ["pkey", "-in", authority.at("linux.key"), "-pubout"]),
    run("openssl", ["x509", "-in", authority.at("device.crt"), "-noout", "-pubkey"]));

  for (const [form, marks] of [["modern", [/PBES2/, /AES-256-CBC/, /hmacWithSHA256/, /MAC: sha256, Iteration 10000/]],
    ["compatible", [/pbeWithSHA1And3-KeyTripleDES-CBC/, /MAC: sha1, Iteration 10000/]]]) {
    const file = authority.at(`${form}.p12`);
    writeFileSync(file, made.certificate[form]);
    const said = readByAll(authority, file, made.certificate.password, `みまもり ${SLOT}`);
    marks.forEach((mark) => assert.match(said.info, mark, form));
    assert.equal(said.openssl.match(/BEGIN CERTIFICATE/g).length, 2, "device and CA");
    // The key in the file is the certificate's.
    writeFileSync(authority.at("key.pem"), said.openssl);
    assert.equal(run("openssl", ["pkey", "-in", authority.at("key.pem"), "-pubout"]),
      run("openssl", ["x509", "-in", authority.at("device.crt"), "-noout", "-pubkey"]));
    assert.throws(() => run("openssl", ["pkcs12", "-in", file, "-passin", "pass:wrong", "-noout"]), form);
  }
});

test("no private key and no password of the file is ever sent", async () => {
  const { sent, send } = server(issuing);
  const made = await createWork(PLACE, { send }).claim(ENTRY);
  const own = /PrivateKey = (.+)/.exec(made.profile.text)[1];
  const secrets = [own, Buffer.from(own, "base64").toString("hex"), made.certificate.password, "PRIVATE"];
  for (const secret of secrets) assert.ok(!sent.join().includes(secret));
  const names = Object.keys(JSON.parse(sent[0])).sort();
  assert.deepEqual(names, ["certificate_request", "label", "number", "password", "wireguard_public_key"]);
});

test("the fallback: nothing is made here, the server's files are handed on, and an answer that is none makes no file", async () => {
  const b64 = (text) => Buffer.from(text).toString("base64");
  const made = { profile: b64("[Interface]\n"), modern: b64("m"), compatible: b64("c"), password: "abcdefghjkmnpqrstvwxyz234567",
    apple: { "apple-mobile": b64("i"), mac: b64("a"), other: b64("x") } };
  const said = { slot: SLOT, login: "a@b.jp", claims_left: 1, made };
  const { sent, send } = server(() => json(200, said));
  const files = await createWork(PLACE, { send }).claim({ ...ENTRY, serverKeys: true });
  assert.deepEqual(JSON.parse(sent[0]), { keys: "server", number: NUMBER, password: PASSWORD, label: ENTRY.label });
  assert.deepEqual([files.madeBy, files.linux, files.profile.text, files.claimsLeft], ["server", null, "[Interface]\n", 1]);
  assert.deepEqual(Object.keys(files.apple).sort(), ["apple-mobile", "mac"]);
  assert.equal(files.apple.mac.name, "mimamori-18-0042-mac.mobileconfig");
  for (const spoil of [{ slot: "18-0043" }, { made: undefined }, { made: { ...made, password: "x" } }, { made: { ...made, modern: "%" } }]) {
    const { send: bad } = server(() => json(200, { ...said, ...spoil }));
    await assert.rejects(createWork(PLACE, { send: bad }).claim({ ...ENTRY, serverKeys: true }), { code: "MM-5494" }, JSON.stringify(spoil));
  }
});

test("Apple's hardware: only the tunnel's key is made here, and profiles are all there is", async () => {
  const said = authority.passed("mimamori.example.jp");
  const { sent, send } = server(() => json(201, said));
  const files = await createWork(PLACE, { send }).claim({ ...ENTRY, hardware: true });
  const asked = JSON.parse(sent[0]);
  assert.deepEqual(Object.keys(asked).sort(), ["label", "number", "password", "wireguard_public_key"]);
  assert.deepEqual([files.madeBy, files.profile, files.certificate, files.linux], ["hardware", null, null, null]);
  assert.deepEqual(Object.keys(files.apple).sort(), ["apple-mobile", "mac"]);
  const text = new TextDecoder().decode(files.apple.mac.octets);
  assert.ok(text.includes("com.apple.security.acme") && text.includes(said.client_identifier) && text.includes("<true/>"));
  assert.equal(run("wg", ["pubkey"], { input: /PrivateKey = (.+)/.exec(text)[1] }).trim(), asked.wireguard_public_key);
  for (const spoil of [{ slot: "18-0043" }, { directory: "https://evil.example/acme/directory" }, { client_identifier: "x" }, { root: "" }]) {
    const { send: bad } = server(() => json(201, { ...said, ...spoil }));
    await assert.rejects(createWork(PLACE, { send: bad }).claim({ ...ENTRY, hardware: true }), { code: "MM-5494" }, JSON.stringify(spoil));
  }
});

test("a refusal, a silent server and a server that fell over: the next attempt has the same keys", async () => {
  const refusal = { code: "MM-5402", ja: "続けて間違えた", en: "Too many", remedy_ja: "待つ", remedy_en: "Wait", trace: "t-1" };
  const { sent, send } = server(
    () => json(429, refusal, { "Retry-After": "900" }),
    () => { throw new TypeError("network"); },
    () => new Response("<html>", { status: 502 }),
    () => new Response("cut", { status: 200 }),
    issuing,
  );
  const work = createWork(PLACE, { send });
  await assert.rejects(work.claim(ENTRY), { code: "MM-5402", retryAfter: 900, trace: "t-1", remedyJa: "待つ" });
  await assert.rejects(work.claim(ENTRY), { code: "MM-5492" });
  await assert.rejects(work.claim(ENTRY), { code: "MM-5495" });
  await assert.rejects(work.claim(ENTRY), { code: "MM-5492" });
  await work.claim(ENTRY);
  assert.equal(new Set(sent.map((body) => JSON.parse(body).wireguard_public_key)).size, 1);
  assert.equal(new Set(sent.map((body) => JSON.parse(body).certificate_request)).size, 1);
});

test("keys that the server refuses are not sent again", async () => {
  const refusal = { code: "MM-5411", ja: "x", en: "x", remedy_ja: "x", remedy_en: "x", trace: null };
  const { sent, send } = server(() => json(422, refusal), issuing);
  const work = createWork(PLACE, { send });
  await assert.rejects(work.claim(ENTRY), { code: "MM-5411" });
  await work.claim(ENTRY);
  assert.equal(new Set(sent.map((body) => JSON.parse(body).wireguard_public_key)).size, 2);
});

test("attack: an answer for another key, another slot, or with commands in it makes no file", async () => {
  const bad = [
    (answer) => ({ ...answer, slot: "18-0043" }),
    (answer) => ({ ...answer, certificate_chain: answer.root }),
    (answer) => ({ ...answer, certificate_chain: "" }),
    (answer) => ({ ...answer, interface: { ...answer.interface, address: "10.18.0.142/32\nPostUp = touch x" } }),
    (answer) => ({ ...answer, interface: { ...answer.interface, mtu: "1280\nPostUp = x" } }),
    (answer) => ({ ...answer, peer: { ...answer.peer, endpoint: "vpn.example.jp:51820\n[Peer]" } }),
    (answer) => ({ ...answer, peer: { ...answer.peer, allowed_ips: ["0.0.0.0/0\nPostUp = x"] } }),
    (answer) => ({ ...answer, peer: { ...answer.peer, public_key: "short" } }),
    (answer) => ({ ...answer, peer: undefined }),
  ];
  for (const spoil of bad) {
    const { send } = server((body) => json(200, spoil(authority.answer(body))));
    await assert.rejects(createWork(PLACE, { send }).claim(ENTRY), { code: "MM-5494" }, spoil.toString());
  }
});

test("a browser without a secure context or WebCrypto is told so", () => {
  assert.ok(able());
  assert.ok(!able({ isSecureContext: false, crypto }) && !able({ isSecureContext: true }) && !able({ isSecureContext: true, crypto: {} }));
});

test("the tunnel's name fits the 15 characters of Linux and Android for every series", () => {
  for (const slot of ["18-0042", "18F-0042", "18FA-9999"]) assert.ok(profileFile(slot).length <= 15 + ".conf".length, slot);
  for (const slot of ["", "../18-0042", "18-42", "18-0042\n"]) assert.throws(() => profileFile(slot), RangeError);
});

test("a .p12 password is long, even, typed without shift; a short one is refused", async () => {
  const counts = new Map();
  for (let i = 0; i < 300; i += 1) for (const sign of makePassword()) counts.set(sign, (counts.get(sign) ?? 0) + 1);
  assert.equal(counts.size, 30);
  assert.ok(P12_PASSWORD_LENGTH * Math.log2(counts.size) >= 128);
  for (const count of counts.values()) assert.ok(count > 150 && count < 450, "280 each on average");
  for (const weak of ["", "short", "パスワードパスワードパスワードパスワードパスワード"]) {
    await assert.rejects(pack({ key: new Uint8Array(1), chain: [new Uint8Array(1)], friendlyName: "x", password: weak }), RangeError);
  }
});

test("a signature whose halves begin with a one bit or with zeros is still DER", () => {
  const raw = new Uint8Array(64);
  raw[0] = 0x80;
  raw[63] = 1;
  const hex = Buffer.from(signature(raw)).toString("hex");
  assert.equal(hex, `302602210080${"00".repeat(31)}020101`);
});

test("QR codes of every version are read by ZBar, and by ZXing where it is named", { skip: !has("zbarimg") }, () => {
  const seen = new Set();
  const sample = "[Interface]\nPrivateKey = " + "aZ0+/=".repeat(120);
  const texts = [7, 20, 35, 52, 75, 98, 115, 140, 170, 200, 240, 280, 320, 350, 400, 440, 490, 550, 610, 660].map((n) => sample.slice(0, n));
  for (const text of texts) {
    const symbol = encode(text);
    seen.add(symbol.version);
    const picture = authority.at(`${symbol.version}.pgm`);
    writeFileSync(picture, pgm(symbol));
    assert.equal(run("zbarimg", ["-q", "--raw", "--oneshot", picture]).replace(/\n$/, ""), text, `version ${symbol.version}`);
    const zxing = process.env.ZXING_PYTHON;
    if (zxing) {
      const read = "import sys,zxingcpp;from PIL import Image;r=zxingcpp.read_barcodes(Image.open(sys.argv[1]));b=r[0];"
        + "assert b.format==zxingcpp.BarcodeFormat.QRCode and b.ec_level=='M';sys.stdout.write(b.text)";
      assert.equal(run(zxing, ["-c", read, picture]), text, `version ${symbol.version}`);
    }
  }
  assert.equal(seen.size, 20);
  assert.throws(() => encode("x".repeat(667)), RangeError);
  assert.match(outline(encode("x")).viewBox, /^0 0 29 29$/);
});

test("the longest profile that an answer can hold fits a QR code", () => {
  const answer = {
    interface: { address: "10.118.255.255/32", mtu: 1280 },
    peer: {
      public_key: authority.serverPublic, preshared_key: authority.serverPublic,
      endpoint: `${"vpn.".repeat(60)}jp:51820`, allowed_ips: ["10.118.255.1/32", "10.118.255.2/32"],
    },
  };
  assert.ok(encode(profile(answer, new Uint8Array(32))).version <= 20);
});

test("the sheet is read however it is typed, as the room reads it", () => {
  const rust = readFileSync(new URL("../../src/ticket.rs", import.meta.url), "utf8");
  assert.ok(rust.includes(`NUMBER_LENGTH: usize = ${sheet.NUMBER_LENGTH};`));
  assert.ok(rust.includes(`PASSWORD_LENGTH: usize = ${sheet.PASSWORD_LENGTH};`));
  for (const typed of [NUMBER, `${NUMBER.slice(0, 4)} ${NUMBER.slice(4)}`, "４９７６－０５２３８３"]) assert.equal(sheet.readNumber(typed), NUMBER, typed);
  for (const typed of ["", "4976052382", "497605238", "49760523833", "abcdefghij"]) assert.equal(sheet.readNumber(typed), null, typed);
  for (const typed of ["7K3M-Q2ZD-9RTB-4XWV", "7k3m q2zd 9rtb 4xwv", "７Ｋ３ＭーＱ２ＺＤー９ＲＴＢー４ＸＷＶ"]) assert.equal(sheet.readPassword(typed), PASSWORD, typed);
  assert.equal(sheet.readPassword("oIl0000000000000"), "0110000000000000");
  for (const typed of ["", "7K3M-Q2ZD-9RTB-4XW", "7K3M-Q2ZD-9RTB-4XWV7", "UK3M-Q2ZD-9RTB-4XWV"]) assert.equal(sheet.readPassword(typed), null, typed);
});

test("P-09 while typing says what the room's rule says", () => {
  const rust = readFileSync(new URL("../../src/password.rs", import.meta.url), "utf8");
  for (const [name, value] of [["LONG_ENOUGH", password.LONG_ENOUGH], ["SHORTEST", password.SHORTEST],
    ["LONGEST", password.LONGEST], ["DIFFERENT", password.DIFFERENT]]) assert.ok(rust.includes(`const ${name}: usize = ${value};`), name);
  const table = [["", false], ["aB3$xyz", false], ["aB3$xyzw", true], ["abcdwxyz1", false], ["kawazutobikomu", true],
    ["古池や蛙飛びこむ水の音とか", true], ["ａＢ３＄ｘｙｚｗ", true], ["aaaaaaaaaaaaaaaa", false], ["長い".repeat(65), false]];
  for (const [typed, good] of table) assert.equal(password.look(typed).good, good, typed);
  assert.equal(password.look("abcdefgh").hint, "あと5文字で13文字になります。または数字と記号を加えてください。");
});

test("a refusal is shown at the field that it is about", () => {
  assert.ok(isAboutSheet("MM-5401") && isAboutNewPassword("MM-5412") && isAboutNewPassword("MM-5503"));
  assert.ok(!isAboutSheet("MM-5403") && !isAboutNewPassword("MM-5506"));
});

test("the page's own codes stand once in the room's catalogue, where `explain` finds them", () => {
  const source = (file) => readFileSync(new URL(`../../src/${file}`, import.meta.url), "utf8");
  assert.doesNotMatch(source("messages.rs"), /MM-549[1-5]/);
  for (const name of ["insecure", "silent", "keys", "answer", "unknown"]) {
    const { code, ja, en } = own(name);
    for (const text of [code, ja, en]) assert.ok(source("messages_people.rs").includes(`"${text}"`), text);
  }
});

function has(command) {
  try { run("which", [command]); return true; } catch { return false; }
}

function pgm({ size, dark }) {
  const [scale, quiet] = [6, 4];
  const side = (size + 2 * quiet) * scale;
  const pixels = Buffer.alloc(side * side, 255);
  for (let y = 0; y < side; y += 1) {
    for (let x = 0; x < side; x += 1) {
      if (dark(Math.floor(x / scale) - quiet, Math.floor(y / scale) - quiet)) pixels[y * side + x] = 0;
    }
  }
  return Buffer.concat([Buffer.from(`P5 ${side} ${side} 255\n`), pixels]);
}
