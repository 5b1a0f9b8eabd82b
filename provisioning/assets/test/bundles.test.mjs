// The bundles of each system as they are handed out: held against files that somebody has looked at (`golden/`; written
// anew with GOLDEN=write), read by tools that are not ours, and the renewal client of Linux run as a device runs it.
// Issue 5: bundles per system, renewal unattended.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:https";
import { promisify } from "node:util";
import test, { after, before } from "node:test";

import { Authority, PLACE, SLOT, run } from "./authority.mjs";
import { appleFile, appleProfile, plist } from "../apple.js";
import { linuxBundle, linuxFile } from "../linux.js";
import { pack } from "../p12.js";
import { profile } from "../tunnel.js";
import { tar } from "../tar.js";

const later = promisify(execFile);
const octets = (size, first) => Uint8Array.from({ length: size }, (_, i) => (i * 7 + first) % 256);
const golden = (name) => new URL(`golden/${name}`, import.meta.url);

let authority;
before(() => { authority = new Authority(); });
after(() => authority.close());

/** As somebody saw it last; a change is looked at and then written with GOLDEN=write. */
function asSeen(name, made) {
  if (process.env.GOLDEN === "write") writeFileSync(golden(name), made);
  assert.equal(Buffer.from(made).toString(), readFileSync(golden(name), "utf8"), `${name}: GOLDEN=write after a look`);
}

const ANSWER = {
  interface: { address: "10.18.0.142/32", mtu: 1280 },
  peer: {
    public_key: "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=", preshared_key: "CAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg=",
    endpoint: "vpn.mimamori.example.jp:51820", allowed_ips: ["10.18.255.1/32", "10.18.255.2/32"],
  },
};
const TUNNEL = profile(ANSWER, octets(32, 3));

function apple(system, makeUuid, more = {}) {
  return appleProfile({
    system, slot: SLOT, zone: "mimamori.example.jp", realm: PLACE.realm, friendlyName: `みまもり ${SLOT}`, root: octets(90, 1),
    ca: octets(80, 2), p12: octets(200, 4), tunnel: TUNNEL, tunnelName: `sns-${SLOT}`, endpoint: ANSWER.peer.endpoint, ...more,
  }, makeUuid);
}
function counting() {
  let last = 0;
  return () => { last += 1; return `00000000-0000-4000-8000-${String(last).padStart(12, "0")}`; };
}

test("the profile of wg-quick, and Apple's two, are the ones that were looked at", () => {
  asSeen("sns-18-0042.conf", TUNNEL);
  asSeen("iphone.mobileconfig", apple("apple-mobile", counting()));
  asSeen("mac.mobileconfig", apple("mac", counting()));
  assert.deepEqual(["apple-mobile", "mac"].map((system) => appleFile(SLOT, system)),
    ["mimamori-18-0042-iphone.mobileconfig", "mimamori-18-0042-mac.mobileconfig"]);
});

const READ = `
import plistlib, sys, json
def plain(value):
    if isinstance(value, bytes): return {"data": value.hex()}
    if isinstance(value, dict): return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list): return [plain(one) for one in value]
    return value
json.dump(plain(plistlib.load(sys.stdin.buffer, fmt=plistlib.FMT_XML)), sys.stdout)
`;
const read = (text) => JSON.parse(run("python3", ["-c", READ], { input: text }));

test("another reader of property lists finds in Apple's profile what WireGuard's apps and the keychain look for", () => {
  const whole = read(apple("apple-mobile", () => crypto.randomUUID()));
  assert.equal(whole.PayloadType, "Configuration");
  assert.equal(whole.PayloadIdentifier, "jp.example.mimamori.18-0042.profile");
  assert.equal(whole.PayloadOrganization, PLACE.realm);
  const of = (type) => whole.PayloadContent.find((part) => part.PayloadType === type);
  const vpn = of("com.apple.vpn.managed");
  assert.deepEqual([vpn.VPNType, vpn.VPNSubType, vpn.UserDefinedName], ["VPN", "com.wireguard.ios", "sns-18-0042"]);
  assert.equal(vpn.VendorConfig.WgQuickConfig, TUNNEL);
  assert.ok(vpn.VPN.RemoteAddress !== "" && vpn.VPN.AuthenticationMethod === "Password");
  for (const word of ["PreUp", "PostUp", "PreDown", "PostDown", "Table", "FwMark", "SaveConfig"]) assert.ok(!TUNNEL.includes(word));
  const identity = of("com.apple.security.pkcs12");
  assert.equal(identity.PayloadContent.data, Buffer.from(octets(200, 4)).toString("hex"));
  assert.ok(!("Password" in identity), "the device asks for it");
  assert.ok(of("com.apple.security.root") && of("com.apple.security.pkcs1"));
  const all = [whole, ...whole.PayloadContent];
  for (const key of ["PayloadUUID", "PayloadIdentifier"]) assert.equal(new Set(all.map((part) => part[key])).size, all.length, key);
  assert.ok(all.every((part) => part.PayloadVersion === 1 && /^[0-9A-F-]{36}$/.test(part.PayloadUUID)));

  const next = read(apple("apple-mobile", () => crypto.randomUUID()));
  assert.deepEqual(next.PayloadContent.map((part) => part.PayloadIdentifier), whole.PayloadContent.map((part) => part.PayloadIdentifier));
  assert.notEqual(next.PayloadUUID, whole.PayloadUUID, "the same place, another version");
  const mac = read(apple("mac", () => crypto.randomUUID()));
  assert.equal(mac.PayloadContent.find((part) => part.VPNSubType).VPNSubType, "com.wireguard.macos");
});

const ACME = { directory: "https://claim.mimamori.example.jp/acme/directory", identifier: `4976052383-${"a2".repeat(16)}` };

test("with ACME, another reader finds where the device asks, and no key, no file and no second chance in it", () => {
  for (const [system, subtype] of [["apple-mobile", "com.wireguard.ios"], ["mac", "com.wireguard.macos"]]) {
    const text = apple(system, () => crypto.randomUUID(), { acme: ACME, ca: undefined, p12: undefined });
    const whole = read(text);
    const of = (type) => whole.PayloadContent.find((part) => part.PayloadType === type);
    const { DirectoryURL, ClientIdentifier, KeyType, KeySize, HardwareBound, Subject, ExtendedKeyUsage, ...rest } = of("com.apple.security.acme");
    assert.deepEqual({ DirectoryURL, ClientIdentifier, KeyType, KeySize, HardwareBound, Subject, ExtendedKeyUsage }, {
      DirectoryURL: ACME.directory, ClientIdentifier: ACME.identifier, KeyType: "ECSECPrimeRandom", KeySize: 256, HardwareBound: true,
      Subject: [[["CN", SLOT]]], ExtendedKeyUsage: ["1.3.6.1.5.5.7.3.2"],
    });
    assert.deepEqual(Object.keys(rest).sort(), ["PayloadDisplayName", "PayloadIdentifier", "PayloadType", "PayloadUUID", "PayloadVersion"]);
    assert.deepEqual(whole.PayloadContent.map((part) => part.PayloadType),
      ["com.apple.security.root", "com.apple.security.acme", "com.apple.vpn.managed"]);
    assert.equal(of("com.apple.vpn.managed").VPNSubType, subtype);
    // The same places as the other profile's: whichever comes next, replaces the last one.
    const other = read(apple(system, () => crypto.randomUUID()));
    assert.equal(whole.PayloadIdentifier, other.PayloadIdentifier);
    assert.ok(other.PayloadContent.some((part) => part.PayloadIdentifier === rest.PayloadIdentifier));
    assert.ok(!text.includes("PRIVATE KEY"));
  }
  for (const bad of [
    { directory: "https://claim.evil.example/acme/directory", identifier: ACME.identifier },
    { directory: "http://claim.mimamori.example.jp/acme/directory", identifier: ACME.identifier },
    { directory: ACME.directory, identifier: "" },
    { directory: ACME.directory, identifier: "4976052383-</string>" },
    { directory: ACME.directory, identifier: undefined },
  ]) assert.throws(() => apple("mac", counting(), { acme: bad }), RangeError, JSON.stringify(bad));
});

test("attack: what stands in a name stays in its string, and no name but ours becomes an identifier", () => {
  const hostile = "</string><key>PayloadRemovalDisallowed</key><true/><string>]]>&#0;\u0000\u0007\ufffe 𠮷 & \"'";
  const whole = read(apple("mac", () => crypto.randomUUID(), { realm: hostile, friendlyName: hostile }));
  assert.ok(!("PayloadRemovalDisallowed" in whole));
  assert.equal(whole.PayloadDisplayName, hostile.replace(/[\u0000\u0007\ufffe]/g, ""));
  assert.equal(read(plist({ "a&<b": ["x", 1, { c: "\t\n" }] }))["a&<b"][2].c, "\t\n");
  for (const bad of [{ zone: "a..b" }, { zone: "a b" }, { zone: "" }, { slot: "18-42" }, { slot: "../18-0042" }, { system: "windows" }]) {
    assert.throws(() => apple("mac", counting(), bad), RangeError, JSON.stringify(bad));
  }
});

test("both forms of .p12 are octet for octet the ones that four readers have read", async () => {
  let drawn = 0;
  const source = {
    subtle: crypto.subtle,
    getRandomValues: (bytes) => { drawn += 1; bytes.set(octets(bytes.length, drawn)); return bytes; },
  };
  const parts = { key: octets(120, 9), chain: [octets(300, 5), octets(280, 6)], friendlyName: `みまもり ${SLOT}`, password: "abcdefghjkmnpqrstvwxyz234567" };
  const made = [];
  for (const form of ["modern", "compatible"]) {
    drawn = 0;
    made.push(`${form} ${createHash("sha256").update(await pack({ ...parts, form }, source)).digest("hex")}\n`);
  }
  asSeen("p12.sha256", made.join(""));
});

function linux(more = {}) {
  return linuxBundle({
    slot: SLOT, claimHost: PLACE.host, key: octets(120, 9), chain: [octets(300, 5), octets(280, 6)], root: octets(90, 1), tunnel: TUNNEL, ...more,
  });
}

test("Linux: tar unpacks it with its modes, every script is a script, and it is the one that was looked at", () => {
  const at = authority.at(linuxFile(SLOT));
  writeFileSync(at, linux());
  run("tar", ["-x", "-p", "-f", at, "-C", authority.folder]);
  const folder = authority.at(`mimamori-${SLOT}`);
  const seen = readdirSync(folder).sort().map((name) => {
    const mode = (statSync(`${folder}/${name}`).mode & 0o777).toString(8);
    if (name.endsWith(".sh")) run("sh", ["-n", `${folder}/${name}`]);
    return `==== ${name} ${mode}\n${readFileSync(`${folder}/${name}`, "utf8")}`;
  });
  asSeen("linux.txt", seen.join(""));
  assert.match(run("tar", ["-t", "-v", "-f", at]), /-rw------- 0\/0 +\d+ .*device\.key/);
  for (const bad of [{ slot: "18-0042; rm" }, { claimHost: "a\nSERVER=x" }, { claimHost: "a$(x)" }]) assert.throws(() => linux(bad), RangeError);
  for (const name of ["ä", "a b", "x".repeat(101)]) assert.throws(() => tar([{ name, mode: 0o600, octets: new Uint8Array(1) }]), RangeError);
});

// ---- the renewal client, run ----

/** An authority with dates of the test's own, and a server that speaks as much EST as a device needs. */
class Est {
  constructor() {
    this.answers = [];
    this.asked = [];
    for (const name of ["index.txt", "serial"]) writeFileSync(authority.at(name), name === "serial" ? "1000\n" : "");
    writeFileSync(authority.at("ca.cnf"), `[ca]\ndefault_ca=it\n[it]\ndatabase=${authority.at("index.txt")}\nserial=${authority.at("serial")}\n`
      + `new_certs_dir=${authority.folder}\ndefault_md=sha256\npolicy=any\nunique_subject=no\nx509_extensions=client\n[any]\ncommonName=supplied\n`
      + "[client]\nbasicConstraints=critical,CA:FALSE\nextendedKeyUsage=clientAuth\n[server]\nextendedKeyUsage=serverAuth\nsubjectAltName=DNS:localhost\n");
  }

  /** Days from now. */
  sign(request, certificate, from, until, { ca = "ca", extensions = "client" } = {}) {
    const day = (days) => new Date(Date.now() + days * 86_400_000).toISOString().replace(/[-:T]/g, "").replace(/\.\d+/, "");
    run("openssl", ["ca", "-batch", "-notext", "-config", authority.at("ca.cnf"), "-cert", authority.at(`${ca}.crt`), "-keyfile", authority.at(`${ca}.key`),
      "-in", authority.at(request), "-out", authority.at(certificate), "-startdate", day(from), "-enddate", day(until), "-extensions", extensions]);
    return readFileSync(authority.at(certificate), "utf8");
  }

  async listen() {
    run("openssl", ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost", "-keyout", authority.at("tls.key"), "-out", authority.at("tls.csr")]);
    this.sign("tls.csr", "tls.crt", -1, 30, { ca: "root", extensions: "server" });
    const keys = { key: readFileSync(authority.at("tls.key")), cert: readFileSync(authority.at("tls.crt")) };
    this.server = createServer(keys, async (request, response) => {
      const parts = [];
      for await (const part of request) parts.push(part);
      this.asked.push({ method: request.method, path: request.url, type: request.headers["content-type"], body: Buffer.concat(parts).toString() });
      const [status, body] = this.answers.shift()();
      response.writeHead(status, { "Content-Type": "application/pkcs7-mime; smime-type=certs-only" });
      response.end(body);
    });
    await new Promise((resolve) => { this.server.listen(0, "127.0.0.1", resolve); });
    return `localhost:${this.server.address().port}`;
  }
}

/** `certs-only`, in base64 without lines, as our server answers. */
function certsOnly(certificate) {
  run("openssl", ["crl2pkcs7", "-nocrl", "-certfile", authority.at(certificate), "-outform", "DER", "-out", authority.at("answer.p7")]);
  return readFileSync(authority.at("answer.p7")).toString("base64");
}

test("the renewal client waits for the last third, renews with the key it has, and takes nothing that is not ours", async () => {
  const est = new Est();
  const claimHost = await est.listen();
  try {
    const der = (name, kind) => Buffer.from(readFileSync(authority.at(name), "utf8").split(`-----BEGIN ${kind}-----`)[1].split("-----END")[0], "base64");
    run("openssl", ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", `/CN=${SLOT}`, "-keyout", authority.at("own.key"), "-out", authority.at("own.csr")]);
    est.sign("own.csr", "young.crt", -10, 80);
    writeFileSync(authority.at("b.tar"), linuxBundle({
      slot: SLOT, claimHost, key: der("own.key", "PRIVATE KEY"), chain: [der("young.crt", "CERTIFICATE"), der("ca.crt", "CERTIFICATE")],
      root: der("root.crt", "CERTIFICATE"), tunnel: TUNNEL,
    }));
    run("tar", ["-x", "-p", "-f", authority.at("b.tar"), "-C", authority.folder]);
    const at = (name) => authority.at(`mimamori-${SLOT}/${name}`);
    const renew = async (...words) => {
      const done = await later(at("renew.sh"), words).then((said) => ({ code: 0, ...said }), (error) => error);
      return { code: done.code, said: done.stderr };
    };
    const certificate = () => readFileSync(at("device.crt"), "utf8");
    const asked = est.asked;

    assert.deepEqual([(await renew()).code, asked.length], [0, 0], "two thirds are not over");
    // Told to ask, it gets the certificate that it has, and changes nothing.
    const before = certificate();
    est.answers.push(() => [200, certsOnly("young.crt")]);
    const early = await renew("--now");
    assert.deepEqual([early.code, asked.length, certificate() === before], [0, 1, true], early.said);
    assert.deepEqual([asked[0].method, asked[0].path, asked[0].type], ["POST", "/.well-known/est/simplereenroll", "application/pkcs10"]);
    writeFileSync(authority.at("asked.der"), Buffer.from(asked[0].body, "base64"));
    assert.equal(run("openssl", ["req", "-inform", "DER", "-in", authority.at("asked.der"), "-verify", "-noout", "-pubkey"]),
      run("openssl", ["pkey", "-in", authority.at("own.key"), "-pubout"]), "the key that it has");

    // Near its end it is time for every device, whatever its own day is; and after its end, too.
    for (const [from, until] of [[-80, 10], [-100, -10]]) {
      const old = est.sign("own.csr", "old.crt", from, until) + readFileSync(authority.at("ca.crt"), "utf8");
      writeFileSync(at("device.crt"), old);
      for (const [name, answer, code, word] of [
        ["asked to come later", () => [503, "{}"], 75, /503/],
        ["refused", () => [403, '{"code":"MM-5415"}'], 1, /MM-5415/],
        ["another key", () => [200, certsOnly("device-other.crt")], 1, /another key/],
        ["another authority", () => [200, certsOnly("forged.crt")], 1, /authority/],
        ["no certificate", () => [200, "AAAA"], 1, /./],
      ]) {
        if (name === "another key") {
          run("openssl", ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=x", "-keyout", authority.at("x.key"), "-out", authority.at("x.csr")]);
          est.sign("x.csr", "device-other.crt", -1, 90);
        }
        if (name === "another authority") {
          run("openssl", ["x509", "-req", "-in", authority.at("own.csr"), "-signkey", authority.at("own.key"), "-days", "400", "-out", authority.at("forged.crt")]);
        }
        est.answers.push(answer);
        const done = await renew();
        assert.equal(done.code, code, `${name}: ${done.said}`);
        assert.match(done.said, word, name);
        assert.equal(certificate(), old, name);
      }
      const fresh = est.sign("own.csr", "fresh.crt", -1, 90);
      writeFileSync(at("after-renewal"), `#!/bin/sh\necho done > "${at("told")}"\n`, { mode: 0o755 });
      est.answers.push(() => [200, certsOnly("fresh.crt").replace(/(.{64})/g, "$1\r\n")]);
      const done = await renew();
      assert.equal(done.code, 0, done.said);
      assert.ok(certificate().startsWith(fresh) && certificate().endsWith(readFileSync(authority.at("ca.crt"), "utf8")));
      assert.equal(readFileSync(at("device.crt.before"), "utf8"), old);
      assert.ok(existsSync(at("told")), "who must read it anew was told");
      assert.deepEqual([(await renew()).code, est.answers.length], [0, 0], "and then there is nothing to do");
    }
    est.server.closeAllConnections();
    await new Promise((resolve) => { est.server.close(resolve); });
    const silent = await renew("--now");
    assert.deepEqual([silent.code, /tunnel/.test(silent.said)], [75, true], "without a tunnel it comes again tomorrow");
  } finally {
    est.server.closeAllConnections?.();
    est.server.close();
  }
});
