// Triple DES in CBC (FIPS 46-3, SP 800-67), for one purpose: a .p12 that older phones and Macs can read. The secrecy
// of such a file rests on its password, which has more than 128 random bits and never travels. Pure.

export const BLOCK = 8;
export const KEY_OCTETS = 24;

// Positions count from 1 at the highest bit, as in the standard.
const INITIAL = [58, 60, 62, 64, 57, 59, 61, 63].flatMap((row) => [0, 8, 16, 24, 32, 40, 48, 56].map((step) => row - step));
const FINAL = Array.from({ length: 64 }, (_, i) => INITIAL.indexOf(i + 1) + 1);
const EXPAND = Array.from({ length: 48 }, (_, i) => ((Math.floor(i / 6) * 4 + (i % 6) + 31) % 32) + 1);
const MIX = [
  16, 7, 20, 21, 29, 12, 28, 17, 1, 15, 23, 26, 5, 18, 31, 10, 2, 8, 24, 14, 32, 27, 3, 9, 19, 13, 30, 6, 22, 11, 4, 25,
];
const KEY_HALVES = [
  57, 49, 41, 33, 25, 17, 9, 1, 58, 50, 42, 34, 26, 18, 10, 2, 59, 51, 43, 35, 27, 19, 11, 3, 60, 52, 44, 36,
  63, 55, 47, 39, 31, 23, 15, 7, 62, 54, 46, 38, 30, 22, 14, 6, 61, 53, 45, 37, 29, 21, 13, 5, 28, 20, 12, 4,
];
const KEY_CHOICE = [
  14, 17, 11, 24, 1, 5, 3, 28, 15, 6, 21, 10, 23, 19, 12, 4, 26, 8, 16, 7, 27, 20, 13, 2,
  41, 52, 31, 37, 47, 55, 30, 40, 51, 45, 33, 48, 44, 49, 39, 56, 34, 53, 46, 42, 50, 36, 29, 32,
];
const KEY_TURNS = [1, 1, 2, 2, 2, 2, 2, 2, 1, 2, 2, 2, 2, 2, 2, 1];
/** Each box: four rows of sixteen, one hexadecimal digit per entry. */
const BOXES = [
  "e4d12fb83a6c5907 0f74e2d1a6cb9538 41e8d62bfc973a50 fc8249175b3ea06d",
  "f18e6b34972dc05a 3d47f28ec01a69b5 0e7ba4d158c6932f d8a13f42b67c05e9",
  "a09e63f51dc7b428 d709346a285ecbf1 d6498f30b12c5ae7 1ad069874fe3b52c",
  "7de3069a1285bc4f d8b56f03472c1ae9 a690cb7df13e5284 3f06a1d8945bc72e",
  "2c417ab6853fd0e9 eb2c47d150fa3986 421bad78f9c5630e b8c71e2d6f09a453",
  "c1af92680d34e75b af427c9561de0b38 9ef528c3704a1db6 432c95fabe17608d",
  "4b2ef08d3c975a61 d0b7491ae35c2f86 14bdc37eaf680592 6bd814a7950fe23c",
  "d2846fb1a93e50c7 1fd8a374c56b0e92 7b419ce206adf358 21e74a8dfc90356b",
].map((box) => box.split(" ").map((row) => Array.from(row, (digit) => parseInt(digit, 16))));

/** Encrypts, EDE with three keys; `data` is padded as PKCS#7 asks. */
export function encryptCbc(key, iv, data) {
  if (key.length !== KEY_OCTETS || iv.length !== BLOCK) throw new RangeError("3DES: 24 octets of key, 8 of IV");
  const keys = [0, 8, 16].map((at) => schedule(key.subarray(at, at + 8)));
  const stages = [keys[0], [...keys[1]].reverse(), keys[2]];
  const pad = BLOCK - (data.length % BLOCK);
  const out = new Uint8Array(data.length + pad).fill(pad);
  out.set(data);
  let before = toBits(iv);
  for (let at = 0; at < out.length; at += BLOCK) {
    const mixed = toBits(out.subarray(at, at + BLOCK)).map((bit, i) => bit ^ before[i]);
    before = stages.reduce(block, mixed);
    out.set(toOctets(before), at);
  }
  return out;
}

/** Sixteen round keys of 48 bits. */
function schedule(key) {
  const halves = pick(toBits(key), KEY_HALVES);
  let [c, d] = [halves.slice(0, 28), halves.slice(28)];
  return KEY_TURNS.map((turns) => {
    c = [...c.slice(turns), ...c.slice(0, turns)];
    d = [...d.slice(turns), ...d.slice(0, turns)];
    return pick([...c, ...d], KEY_CHOICE);
  });
}

/** Sixteen rounds over 64 bits. With the round keys reversed it decrypts. */
function block(bits, roundKeys) {
  const mixed = pick(bits, INITIAL);
  let [l, r] = [mixed.slice(0, 32), mixed.slice(32)];
  for (const roundKey of roundKeys) {
    const f = substitute(pick(r, EXPAND).map((bit, i) => bit ^ roundKey[i]));
    [l, r] = [r, l.map((bit, i) => bit ^ f[i])];
  }
  return pick([...r, ...l], FINAL);
}

function substitute(wide) {
  const narrow = [];
  BOXES.forEach((box, i) => {
    const [a, b, c, d, e, f] = wide.slice(6 * i, 6 * i + 6);
    const value = box[2 * a + f][8 * b + 4 * c + 2 * d + e];
    narrow.push(value >> 3, (value >> 2) & 1, (value >> 1) & 1, value & 1);
  });
  return pick(narrow, MIX);
}

const pick = (bits, positions) => positions.map((position) => bits[position - 1]);
const toBits = (octets) => Array.from(octets).flatMap((octet) => [7, 6, 5, 4, 3, 2, 1, 0].map((n) => (octet >> n) & 1));

function toOctets(bits) {
  return Uint8Array.from({ length: bits.length / 8 }, (_, i) => bits.slice(8 * i, 8 * i + 8).reduce((v, bit) => 2 * v + bit, 0));
}
