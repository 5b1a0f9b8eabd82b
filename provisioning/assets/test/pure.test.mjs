// The pure modules against what others have published or compute: RFC 7748, node's own hashes and ciphers, `wg`.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import nodeCrypto from "node:crypto";
import test from "node:test";

import * as der from "../der.js";
import { encryptCbc } from "../des.js";
import { SHA1, SHA256 } from "../digest.js";
import { derive } from "../p12.js";
import { makeKeys, readKey } from "../tunnel.js";
import { toBase64 } from "../base64.js";
import { clamp, publicOf, scalarMult } from "../x25519.js";

const hex = (text) => Uint8Array.from(text.match(/../g), (pair) => parseInt(pair, 16));
const toHex = (bytes) => Buffer.from(bytes).toString("hex");

test("RFC 7748 section 5.2: two products, and the ladder once and a thousand times", () => {
  const vectors = [
    ["a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
      "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
      "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"],
    ["4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
      "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
      "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957"],
  ];
  for (const [k, u, out] of vectors) assert.equal(toHex(scalarMult(hex(k), hex(u))), out);
  let [k, u] = [hex("09".padEnd(64, "0")), hex("09".padEnd(64, "0"))];
  for (let i = 1; i <= 1000; i += 1) {
    [k, u] = [scalarMult(k, u), k];
    if (i === 1) assert.equal(toHex(k), "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079");
  }
  assert.equal(toHex(k), "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51");
});

test("RFC 7748 section 6.1: both sides reach one secret", () => {
  const a = hex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
  const b = hex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
  assert.equal(toHex(publicOf(b)), "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
  const secret = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742";
  assert.equal(toHex(scalarMult(a, publicOf(b))), secret);
  assert.equal(toHex(scalarMult(b, publicOf(a))), secret);
});

test("points at and above p, and of small order, agree with another implementation", () => {
  const scalar = clamp(Uint8Array.from({ length: 32 }, (_, i) => i * 7 + 1));
  const p = 2n ** 255n - 19n;
  const little = (n) => Uint8Array.from({ length: 32 }, (_, i) => Number((n >> BigInt(8 * i)) & 255n));
  assert.equal(toHex(scalarMult(scalar, little(p + 9n))), toHex(publicOf(scalar)), "9 + p is 9");
  assert.equal(toHex(scalarMult(scalar, little(9n + 2n ** 255n))), toHex(publicOf(scalar)), "the top bit is ignored");
  for (const weak of [0n, 1n, p, p + 1n, p - 1n]) assert.ok(scalarMult(scalar, little(weak)).every((octet) => octet === 0));
});

test("our arithmetic, WebCrypto and wg make the same public key of a private one", async () => {
  const withoutX25519 = { getRandomValues: (bytes) => crypto.getRandomValues(bytes), subtle: {} };
  for (const source of [crypto, withoutX25519, crypto, withoutX25519]) {
    const keys = await makeKeys(source);
    assert.equal(keys.by, source === crypto ? "WebCrypto" : "page");
    const said = execFileSync("wg", ["pubkey"], { input: toBase64(keys.privateKey) }).toString().trim();
    assert.equal(toBase64(keys.publicKey), said);
    assert.deepEqual(publicOf(keys.privateKey), keys.publicKey);
    assert.deepEqual(clamp(Uint8Array.from(keys.privateKey)), keys.privateKey, "written clamped, as wg genkey does");
    assert.deepEqual(readKey(said), keys.publicKey);
  }
});

test("both hashes agree with node at every length around a block", () => {
  for (const digest of [SHA1, SHA256]) {
    for (let size = 0; size < 200; size += 1) {
      const data = nodeCrypto.randomBytes(size);
      assert.equal(toHex(digest.digest(data)), nodeCrypto.createHash(digest.name.replace("-", "")).update(data).digest("hex"));
    }
  }
});

test("no constant of SHA-256 hangs on the last bit of a root that an engine may round otherwise", () => {
  for (let p = 2, found = 0; found < 64; p += 1) {
    if (Array.from({ length: p }, (_, i) => i).slice(2).some((n) => p % n === 0)) continue;
    found += 1;
    const scaled = (Math.cbrt(p) % 1) * 2 ** 32;
    assert.ok(Math.abs(scaled - Math.round(scaled)) > 1e-4, `${p}`);
  }
});

test("3DES in CBC agrees with node", () => {
  for (let size = 0; size < 40; size += 1) {
    const [key, iv, data] = [24, 8, size].map((n) => nodeCrypto.randomBytes(n));
    const cipher = nodeCrypto.createCipheriv("des-ede3-cbc", key, iv);
    assert.equal(toHex(encryptCbc(key, iv, data)), Buffer.concat([cipher.update(data), cipher.final()]).toString("hex"));
  }
});

test("the key derivation of PKCS#12 is the one whose vectors were published", () => {
  // password "smeg", from the vectors that libraries have shared since 1999.
  const key = derive(SHA1, 1, "smeg", hex("0a58cf64530d823f"), 24, 1);
  assert.equal(toHex(key), "8aaae6297b6cb04642ab5b077851284eb7128f1a2a7fbca3");
  assert.equal(toHex(derive(SHA1, 2, "smeg", hex("0a58cf64530d823f"), 8, 1)), "79993dfe048d3b76");
  assert.equal(toHex(derive(SHA1, 3, "smeg", hex("3d83c0e4546ac140"), 20, 1)), "8d967d88f6caa9d714800ab3d48051d63f73a312");
});

test("DER is written as others write it, and anything else is not read", () => {
  assert.equal(toHex(der.integer(0)), "020100");
  assert.equal(toHex(der.integer(128)), "02020080");
  assert.equal(toHex(der.integer(10_000)), "02022710");
  assert.equal(toHex(der.integer(hex("0000ff01"))), "020300ff01");
  assert.equal(toHex(der.oid("1.2.840.113549.1.12.10.1.2")), "060b2a864886f70d010c0a0102");
  assert.equal(toHex(der.bmp("み1")), "1e04307f0031");
  assert.equal(toHex(der.setOf(hex("0500"), hex("020101"))), "31050201010500");
  for (const size of [0, 127, 128, 255, 256, 65_535, 65_536]) {
    const element = der.octets(new Uint8Array(size));
    assert.equal(der.read(element).body.length, size);
    assert.equal(der.read(element).end, element.length);
  }
  for (const bad of ["30", "3001", "308000", "30810100", "30820001ff", "3085010000000000", "1f8101", "30840000", "30020500ff02"]) {
    assert.throws(() => der.children(der.read(hex(bad))) && der.children(der.read(hex(bad), 4)), RangeError, bad);
  }
});
