// A PKCS#12 file (RFC 7292) of one key and its certificate chain, as phones and PCs import it.
// Two forms. `modern`: PBES2 with AES-256-CBC and PBKDF2-HMAC-SHA-256, MAC with SHA-256. `compatible`: 3DES and SHA-1,
// the only form that Android up to 13, macOS up to 13 and iOS up to 15 read; they call the modern one a wrong password.
// In both the secrecy is the password's: it is made at random here and goes nowhere.

import * as der from "./der.js";
import { BLOCK_OCTETS, SHA1, SHA256 } from "./digest.js";
import { encryptCbc } from "./des.js";

/** With 137 random bits in the password nothing more is needed, and a slow phone is done in a moment. */
export const ITERATIONS = 10_000;
const SALT_OCTETS = 16;
/** Shortest password that is taken: 26 signs of a 32-sign alphabet are 130 bits (ruling 5: at least 128). */
export const PASSWORD_MIN = 26;

/** No i, l, o, u, 0 and 1: it is typed from one screen into another. */
const SIGNS = "abcdefghjkmnpqrstvwxyz23456789";
/** Of 30 signs, shown as seven groups of four: 137 bits. */
export const PASSWORD_LENGTH = 28;

const OID = {
  data: "1.2.840.113549.1.7.1", encryptedData: "1.2.840.113549.1.7.6",
  keyBag: "1.2.840.113549.1.12.10.1.2", certificateBag: "1.2.840.113549.1.12.10.1.3",
  x509: "1.2.840.113549.1.9.22.1", friendlyName: "1.2.840.113549.1.9.20", localKeyId: "1.2.840.113549.1.9.21",
  pbes2: "1.2.840.113549.1.5.13", pbkdf2: "1.2.840.113549.1.5.12", hmacSha256: "1.2.840.113549.2.9",
  aes256Cbc: "2.16.840.1.101.3.4.1.42", pbe3Des: "1.2.840.113549.1.12.1.3",
  sha1: "1.3.14.3.2.26", sha256: "2.16.840.1.101.3.4.2.1",
};
/** What a derived value is for (RFC 7292 B.3). */
const FOR = { key: 1, iv: 2, mac: 3 };

const FORMS = {
  modern: { digest: SHA256, digestOid: OID.sha256, encrypt: encryptModern },
  compatible: { digest: SHA1, digestOid: OID.sha1, encrypt: encryptCompatible },
};

/** A password for one file: uniformly random, every sign typed without a shift key. */
export function makePassword(source = crypto) {
  const signs = [];
  while (signs.length < PASSWORD_LENGTH) {
    for (const octet of source.getRandomValues(new Uint8Array(PASSWORD_LENGTH))) {
      // What lies above the last whole multiple is drawn again, so that no sign is likelier than another.
      if (octet < 256 - (256 % SIGNS.length) && signs.length < PASSWORD_LENGTH) signs.push(SIGNS[octet % SIGNS.length]);
    }
  }
  return signs.join("");
}

/**
 * The file's octets.
 * `key` PKCS#8, `chain` certificates with the device's first, `friendlyName` any text, `password` ASCII,
 * `form` "modern" or "compatible".
 */
export async function pack({ key, chain, friendlyName, password, form = "modern" }, source = crypto) {
  const { digest, digestOid, encrypt } = FORMS[form];
  if (!/^[\x21-\x7e]+$/.test(password) || password.length < PASSWORD_MIN) throw new RangeError("p12: password");
  if (chain.length === 0) throw new RangeError("p12: chain");
  const localKeyId = new Uint8Array(await source.subtle.digest("SHA-1", chain[0]));
  const own = attributes(friendlyName, localKeyId);
  const certificates = der.sequence(...chain.map((certificate, i) => certificateBag(certificate, i === 0 ? own : null)));
  const sealedKey = await encrypt(password, key, source);
  const keys = der.sequence(bag(OID.keyBag, der.sequence(sealedKey.algorithm, der.octets(sealedKey.data)), own));
  const sealed = await encrypt(password, certificates, source);
  const safe = der.sequence(encryptedContent(sealed), content(keys));
  return der.sequence(der.integer(3), content(safe), await mac(password, safe, digest, digestOid, source));
}

/** RFC 7292 B.2: octets for one purpose out of a password and a salt. */
export function derive(digest, purpose, password, salt, size, iterations = ITERATIONS) {
  const diversifier = new Uint8Array(BLOCK_OCTETS).fill(purpose);
  const secret = der.utf16(`${password}\0`);
  const input = der.concat(fill(salt), fill(secret));
  secret.fill(0);
  const out = new Uint8Array(Math.ceil(size / digest.octets) * digest.octets);
  for (let at = 0; at < out.length; at += digest.octets) {
    let hash = digest.digest(der.concat(diversifier, input));
    for (let round = 1; round < iterations; round += 1) hash = digest.digest(hash);
    out.set(hash, at);
    addOneAnd(fill(hash).subarray(0, BLOCK_OCTETS), input);
  }
  input.fill(0);
  return out.slice(0, size);
}

/** Repeated until it fills whole blocks. */
function fill(bytes) {
  const size = Math.ceil(bytes.length / BLOCK_OCTETS) * BLOCK_OCTETS;
  return Uint8Array.from({ length: size }, (_, i) => bytes[i % bytes.length]);
}

/** Every block of `input` becomes itself + `step` + 1, as big numbers. */
function addOneAnd(step, input) {
  for (let start = 0; start < input.length; start += BLOCK_OCTETS) {
    let carry = 1;
    for (let i = BLOCK_OCTETS - 1; i >= 0; i -= 1) {
      carry += input[start + i] + step[i];
      input[start + i] = carry & 0xff;
      carry >>= 8;
    }
  }
}

async function encryptModern(password, data, source) {
  const { subtle } = source;
  const [salt, iv] = [SALT_OCTETS, 16].map((size) => source.getRandomValues(new Uint8Array(size)));
  const secret = new TextEncoder().encode(password);
  const base = await subtle.importKey("raw", secret, "PBKDF2", false, ["deriveKey"]);
  secret.fill(0);
  const pbkdf2 = { name: "PBKDF2", salt, iterations: ITERATIONS, hash: "SHA-256" };
  const key = await subtle.deriveKey(pbkdf2, base, { name: "AES-CBC", length: 256 }, false, ["encrypt"]);
  const sealed = new Uint8Array(await subtle.encrypt({ name: "AES-CBC", iv }, key, data));
  const prf = der.sequence(der.oid(OID.hmacSha256), der.nothing());
  const derivation = der.sequence(der.oid(OID.pbkdf2), der.sequence(der.octets(salt), der.integer(ITERATIONS), prf));
  const cipher = der.sequence(der.oid(OID.aes256Cbc), der.octets(iv));
  return { algorithm: der.sequence(der.oid(OID.pbes2), der.sequence(derivation, cipher)), data: sealed };
}

async function encryptCompatible(password, data, source) {
  const salt = source.getRandomValues(new Uint8Array(SALT_OCTETS));
  const key = derive(SHA1, FOR.key, password, salt, 24);
  const sealed = encryptCbc(key, derive(SHA1, FOR.iv, password, salt, 8), data);
  key.fill(0);
  const algorithm = der.sequence(der.oid(OID.pbe3Des), der.sequence(der.octets(salt), der.integer(ITERATIONS)));
  return { algorithm, data: sealed };
}

async function mac(password, safe, digest, digestOid, source) {
  const salt = source.getRandomValues(new Uint8Array(SALT_OCTETS));
  const secret = derive(digest, FOR.mac, password, salt, digest.octets);
  const key = await source.subtle.importKey("raw", secret, { name: "HMAC", hash: digest.name }, false, ["sign"]);
  secret.fill(0);
  const value = new Uint8Array(await source.subtle.sign("HMAC", key, safe));
  const algorithm = der.sequence(der.oid(digestOid), der.nothing());
  return der.sequence(der.sequence(algorithm, der.octets(value)), der.octets(salt), der.integer(ITERATIONS));
}

const content = (data) => der.sequence(der.oid(OID.data), der.context(0, der.octets(data)));

function encryptedContent({ algorithm, data }) {
  const info = der.sequence(der.oid(OID.data), algorithm, der.contextPrimitive(0, data));
  return der.sequence(der.oid(OID.encryptedData), der.context(0, der.sequence(der.integer(0), info)));
}

function bag(type, value, bagAttributes) {
  return der.sequence(der.oid(type), der.context(0, value), ...(bagAttributes ? [bagAttributes] : []));
}

function certificateBag(certificate, bagAttributes) {
  const value = der.sequence(der.oid(OID.x509), der.context(0, der.octets(certificate)));
  return bag(OID.certificateBag, value, bagAttributes);
}

function attributes(friendlyName, localKeyId) {
  return der.setOf(
    der.sequence(der.oid(OID.friendlyName), der.setOf(der.bmp(friendlyName))),
    der.sequence(der.oid(OID.localKeyId), der.setOf(der.octets(localKeyId))),
  );
}
