// SHA-1 and SHA-256 (FIPS 180-4), synchronous. Only for PKCS#12's key derivation, which hashes ten thousand times in
// a row: one promise for each would take a phone seconds. Everything else asks WebCrypto. Pure.

export const BLOCK_OCTETS = 64;

/** FIPS 180-4 takes them from the roots of the first primes; so do we. */
const PRIMES = primes(64);
const K256 = PRIMES.map((p) => fraction(Math.cbrt(p)));
const START256 = PRIMES.slice(0, 8).map((p) => fraction(Math.sqrt(p)));
const START1 = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0];

export const SHA1 = Object.freeze({ name: "SHA-1", octets: 20, digest: (bytes) => hash(bytes, START1, round1) });
export const SHA256 = Object.freeze({ name: "SHA-256", octets: 32, digest: (bytes) => hash(bytes, START256, round256) });

function hash(bytes, start, round) {
  const padded = new Uint8Array(Math.ceil((bytes.length + 9) / BLOCK_OCTETS) * BLOCK_OCTETS);
  padded.set(bytes);
  padded[bytes.length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setUint32(padded.length - 8, Math.floor(bytes.length / 2 ** 29));
  view.setUint32(padded.length - 4, (bytes.length * 8) >>> 0);
  const state = Uint32Array.from(start);
  for (let at = 0; at < padded.length; at += BLOCK_OCTETS) round(state, view, at);
  padded.fill(0);
  const out = new Uint8Array(start.length * 4);
  const words = new DataView(out.buffer);
  state.forEach((word, i) => words.setUint32(4 * i, word));
  return out;
}

function round1(state, view, at) {
  const w = new Uint32Array(80);
  for (let i = 0; i < 16; i += 1) w[i] = view.getUint32(at + 4 * i);
  for (let i = 16; i < 80; i += 1) w[i] = left(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
  let [a, b, c, d, e] = state;
  for (let i = 0; i < 80; i += 1) {
    const [f, k] =
      i < 20 ? [(b & c) | (~b & d), 0x5a827999]
      : i < 40 ? [b ^ c ^ d, 0x6ed9eba1]
      : i < 60 ? [(b & c) | (b & d) | (c & d), 0x8f1bbcdc]
      : [b ^ c ^ d, 0xca62c1d6];
    const next = (left(a, 5) + f + e + k + w[i]) >>> 0;
    [e, d, c, b, a] = [d, c, left(b, 30), a, next];
  }
  [a, b, c, d, e].forEach((word, i) => { state[i] += word; });
}

function round256(state, view, at) {
  const w = new Uint32Array(64);
  for (let i = 0; i < 16; i += 1) w[i] = view.getUint32(at + 4 * i);
  for (let i = 16; i < 64; i += 1) {
    const [x, y] = [w[i - 15], w[i - 2]];
    w[i] = w[i - 16] + (right(x, 7) ^ right(x, 18) ^ (x >>> 3)) + w[i - 7] + (right(y, 17) ^ right(y, 19) ^ (y >>> 10));
  }
  let [a, b, c, d, e, f, g, h] = state;
  for (let i = 0; i < 64; i += 1) {
    const one = h + (right(e, 6) ^ right(e, 11) ^ right(e, 25)) + ((e & f) ^ (~e & g)) + K256[i] + w[i];
    const two = (right(a, 2) ^ right(a, 13) ^ right(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
    [h, g, f, e, d, c, b, a] = [g, f, e, (d + one) >>> 0, c, b, a, (one + two) >>> 0];
  }
  [a, b, c, d, e, f, g, h].forEach((word, i) => { state[i] += word; });
}

const left = (word, by) => ((word << by) | (word >>> (32 - by))) >>> 0;
const right = (word, by) => (word >>> by) | (word << (32 - by));

function primes(count) {
  const found = [];
  for (let n = 2; found.length < count; n += 1) {
    if (found.every((p) => n % p !== 0)) found.push(n);
  }
  return found;
}

/** The first 32 bits behind the point of a root. No root comes near a change of the last bit; a test says so. */
function fraction(root) {
  return Math.floor((root - Math.floor(root)) * 2 ** 32) >>> 0;
}
