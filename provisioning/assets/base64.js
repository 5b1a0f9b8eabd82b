// Base64 (RFC 4648, padded) and PEM. Pure.

export function toBase64(bytes) {
  let text = "";
  for (const octet of bytes) text += String.fromCharCode(octet);
  return btoa(text);
}

export function fromBase64(text) {
  return Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
}

/** The certificates of a PEM text, in order; throws when there is none. */
export function certificates(pem) {
  const armour = /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----/g;
  const found = [...pem.matchAll(armour)].map((match) => fromBase64(match[1].replace(/\s/g, "")));
  if (found.length === 0) throw new RangeError("PEM: no certificate");
  return found;
}
