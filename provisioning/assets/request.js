// The certificate's key, made by the browser, and the request (PKCS#10) that proves it is ours.
// The authority takes nothing of the request but the public key; the name is there for a person who reads it.
// Ends with `wipe` of what `privateKey` gave out.

import * as der from "./der.js";

const CURVE = { name: "ECDSA", namedCurve: "P-256" };
const ECDSA_WITH_SHA256 = "1.2.840.10045.4.3.2";
const COMMON_NAME = "2.5.4.3";
/** Octets of one half of a P-256 signature. */
const HALF = 32;

/** Extractable, because it has to go into the .p12. */
export function makeKey(subtle = crypto.subtle) {
  return subtle.generateKey(CURVE, true, ["sign", "verify"]);
}

/** PKCS#8. Whoever asks wipes it. */
export async function privateKey(pair, subtle = crypto.subtle) {
  return new Uint8Array(await subtle.exportKey("pkcs8", pair.privateKey));
}

/** SubjectPublicKeyInfo. */
export async function publicKey(pair, subtle = crypto.subtle) {
  return new Uint8Array(await subtle.exportKey("spki", pair.publicKey));
}

/** DER of a request for `name`, signed with the key. */
export async function makeRequest(pair, name, subtle = crypto.subtle) {
  const subject = der.sequence(der.setOf(der.sequence(der.oid(COMMON_NAME), der.utf8(name))));
  const info = der.sequence(der.integer(0), subject, await publicKey(pair, subtle), der.context(0));
  const raw = await subtle.sign({ name: "ECDSA", hash: "SHA-256" }, pair.privateKey, info);
  return der.sequence(info, der.sequence(der.oid(ECDSA_WITH_SHA256)), der.bits(signature(new Uint8Array(raw))));
}

/** WebCrypto gives r and s side by side; X.509 wants a SEQUENCE of two INTEGERs. */
export function signature(raw) {
  if (raw.length !== 2 * HALF) throw new RangeError("a P-256 signature has 64 octets");
  return der.sequence(der.integer(raw.subarray(0, HALF)), der.integer(raw.subarray(HALF)));
}

/** SubjectPublicKeyInfo of a certificate: after version, serial, algorithm, issuer, validity and subject. */
export function keyOfCertificate(certificate) {
  const fields = der.children(der.children(der.read(certificate))[0]);
  const version = fields[0].tag === 0xa0 ? 1 : 0;
  return fields[version + 5].whole;
}
