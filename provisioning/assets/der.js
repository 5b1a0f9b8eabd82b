// DER, as much of it as a request, a certificate and a PKCS#12 file need: written from parts, read as a tree.
// The reader takes definite lengths in their shortest form only. Pure.

export const TAG = Object.freeze({
  INTEGER: 0x02, BITS: 0x03, OCTETS: 0x04, NULL: 0x05, OID: 0x06, UTF8: 0x0c, BMP: 0x1e, SEQUENCE: 0x30, SET: 0x31,
});

/** Longest length field that is written or read: four octets, 4 GiB, more than a page ever holds. */
const LENGTH_OCTETS_MAX = 4;

export function concat(...parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

export function tlv(tag, ...parts) {
  const body = concat(...parts);
  return concat(Uint8Array.of(tag), length(body.length), body);
}

export const sequence = (...parts) => tlv(TAG.SEQUENCE, ...parts);
export const octets = (...parts) => tlv(TAG.OCTETS, ...parts);
export const bits = (...parts) => tlv(TAG.BITS, Uint8Array.of(0), ...parts);
export const nothing = () => tlv(TAG.NULL);
export const utf8 = (text) => tlv(TAG.UTF8, new TextEncoder().encode(text));
/** UTF-16, high octet first. */
export const bmp = (text) => tlv(TAG.BMP, utf16(text));
/** [n], constructed: EXPLICIT, or IMPLICIT of something constructed. */
export const context = (n, ...parts) => tlv(0xa0 | n, ...parts);
/** [n], primitive: IMPLICIT of something primitive. */
export const contextPrimitive = (n, ...parts) => tlv(0x80 | n, ...parts);

/** SET OF: the elements are put in order of their octets, as DER asks. */
export function setOf(...parts) {
  return tlv(TAG.SET, ...[...parts].sort(compare));
}

/** A number that is not negative: a JS integer, or octets with the highest first. */
export function integer(value) {
  const given = typeof value === "number" ? fromNumber(value) : value;
  let first = 0;
  while (first < given.length - 1 && given[first] === 0) first += 1;
  const bare = given.subarray(first);
  // A leading one bit would read as a minus.
  return bare[0] & 0x80 ? tlv(TAG.INTEGER, Uint8Array.of(0), bare) : tlv(TAG.INTEGER, bare);
}

export function oid(dotted) {
  const [first, second, ...rest] = dotted.split(".").map(Number);
  const body = [first * 40 + second];
  for (const arc of rest) {
    const seven = [arc % 128];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) seven.unshift(128 + (left % 128));
    body.push(...seven);
  }
  return tlv(TAG.OID, Uint8Array.from(body));
}

export function utf16(text) {
  const body = new Uint8Array(text.length * 2);
  for (let i = 0; i < text.length; i += 1) {
    const unit = text.charCodeAt(i);
    body[2 * i] = unit >> 8;
    body[2 * i + 1] = unit & 0xff;
  }
  return body;
}

/** One element: `{ tag, body, whole, end }`; `end` is where the next begins. Throws on anything but DER. */
export function read(bytes, at = 0) {
  const tag = bytes[at];
  const first = bytes[at + 1];
  if (tag === undefined || first === undefined || (tag & 0x1f) === 0x1f) throw new RangeError("DER: no element");
  let start = at + 2;
  let size = first;
  if (first > 0x7f) {
    const count = first & 0x7f;
    if (count === 0 || count > LENGTH_OCTETS_MAX) throw new RangeError("DER: length");
    size = 0;
    for (let i = 0; i < count; i += 1) size = size * 256 + (bytes[start + i] ?? NaN);
    start += count;
    if (!(size > 0x7f) || size < 256 ** (count - 1)) throw new RangeError("DER: length is not the shortest");
  }
  const end = start + size;
  if (!(end <= bytes.length)) throw new RangeError("DER: cut short");
  return { tag, body: bytes.subarray(start, end), whole: bytes.subarray(at, end), end };
}

/** The elements inside an element. */
export function children(element) {
  const found = [];
  for (let at = 0; at < element.body.length; ) {
    const child = read(element.body, at);
    found.push(child);
    at = child.end;
  }
  return found;
}

export function equal(a, b) {
  return a.length === b.length && a.every((octet, i) => octet === b[i]);
}

function length(size) {
  if (size < 0x80) return Uint8Array.of(size);
  const body = fromNumber(size);
  return concat(Uint8Array.of(0x80 | body.length), body);
}

function fromNumber(value) {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError("DER: integer");
  const body = [value % 256];
  for (let left = Math.floor(value / 256); left > 0; left = Math.floor(left / 256)) body.unshift(left % 256);
  return Uint8Array.from(body);
}

function compare(a, b) {
  for (let i = 0; i < Math.min(a.length, b.length); i += 1) {
    if (a[i] !== b[i]) return a[i] - b[i];
  }
  return a.length - b.length;
}
