// X25519 (RFC 7748) for browsers whose WebCrypto does not have it yet.
// Numbers modulo 2^255 - 19 as fifteen limbs of 17 bits in doubles: every product stays below 2^53, so it is exact,
// and what leaves at the top comes back at the bottom times 19. No branch and no index depends on the key; what the
// engine makes of it is its own affair, which is why WebCrypto goes first. Pure.

const LIMBS = 15;
const RADIX = 2 ** 17;
/** (486662 - 2) / 4 */
const A24 = 121665;
export const KEY_OCTETS = 32;
const BASE = Uint8Array.from({ length: KEY_OCTETS }, (_, i) => (i === 0 ? 9 : 0));

/** The public key of a private key. */
export const publicOf = (privateKey) => scalarMult(privateKey, BASE);

/** Cleared and set bits as RFC 7748 section 5 asks; in place. */
export function clamp(key) {
  key[0] &= 248;
  key[31] = (key[31] & 127) | 64;
  return key;
}

export function scalarMult(scalar, u) {
  const k = clamp(Uint8Array.from(scalar));
  const x1 = unpack(u);
  let [x2, z2, x3, z3] = [small(1), small(0), Float64Array.from(x1), small(1)];
  let swapped = 0;
  for (let t = 254; t >= 0; t -= 1) {
    const bit = (k[t >> 3] >> (t & 7)) & 1;
    exchange(swapped ^ bit, x2, x3);
    exchange(swapped ^ bit, z2, z3);
    swapped = bit;
    const [a, b, c, d] = [add(x2, z2), subtract(x2, z2), add(x3, z3), subtract(x3, z3)];
    const [aa, bb, da, cb] = [multiply(a, a), multiply(b, b), multiply(d, a), multiply(c, b)];
    const e = subtract(aa, bb);
    const [sum, difference] = [add(da, cb), subtract(da, cb)];
    x3 = multiply(sum, sum);
    z3 = multiply(x1, multiply(difference, difference));
    x2 = multiply(aa, bb);
    z2 = multiply(e, add(aa, scale(e, A24)));
  }
  exchange(swapped, x2, x3);
  exchange(swapped, z2, z3);
  k.fill(0);
  return pack(multiply(x2, invert(z2)));
}

function small(value) {
  const limbs = new Float64Array(LIMBS);
  limbs[0] = value;
  return limbs;
}

/** Swaps when `bit` is 1, by arithmetic. */
function exchange(bit, a, b) {
  for (let i = 0; i < LIMBS; i += 1) {
    const moved = bit * (a[i] - b[i]);
    a[i] -= moved;
    b[i] += moved;
  }
}

const add = (a, b) => a.map((limb, i) => limb + b[i]);
const subtract = (a, b) => a.map((limb, i) => limb - b[i]);
const scale = (a, factor) => carry(a.map((limb) => limb * factor));

function multiply(a, b) {
  const wide = new Float64Array(2 * LIMBS - 1);
  for (let i = 0; i < LIMBS; i += 1) {
    for (let j = 0; j < LIMBS; j += 1) wide[i + j] += a[i] * b[j];
  }
  for (let i = LIMBS; i < wide.length; i += 1) wide[i - LIMBS] += 19 * wide[i];
  return carry(wide.slice(0, LIMBS));
}

/** Two rounds: after them a limb is below 2^17 and at most a little over at the bottom. */
function carry(limbs) {
  for (let round = 0; round < 2; round += 1) {
    for (let i = 0; i < LIMBS; i += 1) {
      const over = Math.floor(limbs[i] / RADIX);
      limbs[i] -= over * RADIX;
      if (i + 1 < LIMBS) limbs[i + 1] += over;
      else limbs[0] += 19 * over;
    }
  }
  return limbs;
}

/** z^(p - 2); of that exponent's 255 bits only 2 and 4 are zero. */
function invert(z) {
  let power = z;
  for (let bit = 253; bit >= 0; bit -= 1) {
    power = multiply(power, power);
    if (bit !== 2 && bit !== 4) power = multiply(power, z);
  }
  return power;
}

function unpack(bytes) {
  const limbs = new Float64Array(LIMBS);
  // The highest bit is ignored, as the RFC says.
  for (let bit = 0; bit < 255; bit += 1) {
    limbs[Math.floor(bit / 17)] += ((bytes[bit >> 3] >> (bit & 7)) & 1) * 2 ** (bit % 17);
  }
  return limbs;
}

/** The one representative below p. */
function pack(limbs) {
  const whole = carry(carry(limbs));
  // whole + 19 reaches 2^255 exactly when whole >= p, and is then whole - p with the top bit gone.
  const shifted = Float64Array.from(whole);
  shifted[0] += 19;
  let over = 0;
  for (let i = 0; i < LIMBS; i += 1) {
    shifted[i] += over;
    over = Math.floor(shifted[i] / RADIX);
    shifted[i] -= over * RADIX;
  }
  const bytes = new Uint8Array(KEY_OCTETS);
  for (let bit = 0; bit < 255; bit += 1) {
    const limb = Math.floor(bit / 17);
    const chosen = over * shifted[limb] + (1 - over) * whole[limb];
    bytes[bit >> 3] |= ((chosen >> (bit % 17)) & 1) << (bit & 7);
  }
  return bytes;
}
