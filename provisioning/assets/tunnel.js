// The final tunnel's key, made here, and the profile (wg-quick text) that is put together from the claim's answer.
// Every line of the answer is checked first: a profile can hold commands that a tool runs as root, so nothing goes in
// that is not exactly what it should be.

import { clamp, publicOf } from "./x25519.js";
import { fromBase64, toBase64 } from "./base64.js";

const KEY = /^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/;
const NETWORK = /^(?:\d{1,3}\.){3}\d{1,3}\/\d{1,2}$/;
const ENDPOINT = /^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\]):\d{1,5}$/;
const SLOT = /^[0-9]{2}[A-Z]{0,2}-[0-9]{4}$/;
/** IPv4's least and the largest of an Ethernet. */
const MTU = [576, 1500];
/** Where a PKCS#8 of X25519 (48 octets, RFC 8410) holds the key. */
const PKCS8_PREFIX = 16;

/**
 * `{ privateKey, publicKey, by }`: 32 octets each. Whoever asks wipes the private one.
 * WebCrypto where it has X25519, else our own arithmetic on the same random source.
 */
export async function makeKeys(source = crypto) {
  try {
    const pair = await source.subtle.generateKey({ name: "X25519" }, true, ["deriveBits"]);
    const pkcs8 = new Uint8Array(await source.subtle.exportKey("pkcs8", pair.privateKey));
    const publicKey = new Uint8Array(await source.subtle.exportKey("raw", pair.publicKey));
    if (pkcs8.length !== PKCS8_PREFIX + 32) throw new RangeError("X25519: PKCS#8 of an unknown form");
    const privateKey = clamp(pkcs8.slice(PKCS8_PREFIX));
    pkcs8.fill(0);
    return { privateKey, publicKey, by: "WebCrypto" };
  } catch {
    const privateKey = clamp(source.getRandomValues(new Uint8Array(32)));
    return { privateKey, publicKey: publicOf(privateKey), by: "page" };
  }
}

/**
 * The tunnel's name is the file's name, and Linux and Android take 15 characters of it; another one than the
 * bootstrap tunnel's, so that both can be in the list while one is swapped for the other.
 */
export function profileFile(slot) {
  return `sns-${checked(slot, SLOT, "slot")}.conf`;
}

/** The whole file. ASCII only, so that it also fits a QR code that every reader reads. */
export function profile(answer, privateKey) {
  const { interface: own, peer } = answer;
  if (!Number.isInteger(own.mtu) || own.mtu < MTU[0] || own.mtu > MTU[1]) throw new RangeError("answer: mtu");
  if (!Array.isArray(peer.allowed_ips) || peer.allowed_ips.length === 0) throw new RangeError("answer: allowed_ips");
  const allowed = peer.allowed_ips.map((network) => checked(network, NETWORK, "allowed_ips"));
  return [
    "[Interface]",
    `Address = ${checked(own.address, NETWORK, "address")}`,
    `MTU = ${own.mtu}`,
    `PrivateKey = ${toBase64(privateKey)}`,
    "",
    "[Peer]",
    `PublicKey = ${checked(peer.public_key, KEY, "public_key")}`,
    `PresharedKey = ${checked(peer.preshared_key, KEY, "preshared_key")}`,
    `Endpoint = ${checked(peer.endpoint, ENDPOINT, "endpoint")}`,
    `AllowedIPs = ${allowed.join(", ")}`,
    "",
  ].join("\n");
}

/** 32 octets of a key as WireGuard writes it. */
export const readKey = (text) => fromBase64(checked(text, KEY, "key"));

function checked(text, form, name) {
  if (typeof text !== "string" || !form.test(text)) throw new RangeError(`answer: ${name}`);
  return text;
}
