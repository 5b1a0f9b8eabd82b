// QR codes (ISO/IEC 18004) for a tunnel profile: octets, level M, versions 1 to 20 (666 octets). Pure.

/** Codewords of a symbol, blocks at level M, and correction codewords in each block; versions 1 to 20. */
const CODEWORDS = [26, 44, 70, 100, 134, 172, 196, 242, 292, 346, 404, 466, 532, 581, 655, 733, 815, 901, 991, 1085];
const BLOCKS = [1, 1, 1, 2, 2, 4, 4, 4, 5, 5, 5, 8, 9, 9, 10, 10, 11, 13, 14, 16];
const CORRECTION = [10, 16, 26, 18, 24, 16, 18, 22, 22, 26, 30, 22, 22, 24, 24, 28, 28, 26, 26, 26];
/** Centres of the alignment patterns behind the first one at 6. */
const ALIGNMENT = [
  [], [18], [22], [26], [30], [34], [22, 38], [24, 42], [26, 46], [28, 50], [30, 54], [32, 58], [34, 62],
  [26, 46, 66], [26, 48, 70], [26, 50, 74], [30, 54, 78], [30, 56, 82], [30, 58, 86], [34, 62, 90],
];
const VERSION_MAX = CODEWORDS.length;
const LEVEL_M = 0b00;
const BYTE_MODE = 0b0100;
/** Light modules that every reader needs around the symbol. */
const QUIET = 4;

const MASKS = [
  (x, y) => (x + y) % 2, (_, y) => y % 2, (x) => x % 3, (x, y) => (x + y) % 3,
  (x, y) => (Math.floor(x / 3) + Math.floor(y / 2)) % 2, (x, y) => ((x * y) % 2) + ((x * y) % 3),
  (x, y) => (((x * y) % 2) + ((x * y) % 3)) % 2, (x, y) => (((x + y) % 2) + ((x * y) % 3)) % 2,
];

/** `{ size, version, dark(x, y) }`. Throws when the text is too long. */
export function encode(text) {
  const data = new TextEncoder().encode(text);
  const version = versionFor(data.length);
  const codewords = interleave(frame(data, version), version);
  const drawn = MASKS.map((_, mask) => draw(codewords, version, mask));
  const best = drawn.reduce((a, b) => (penalty(b) < penalty(a) ? b : a));
  return { size: best.length, version, dark: (x, y) => best[y]?.[x] === 1 };
}

/** `viewBox` and path data of the symbol with its quiet zone; one unit is one module. */
export function outline({ size, dark }) {
  const runs = [];
  for (let y = 0; y < size; y += 1) {
    for (let x = 0; x < size; x += 1) {
      if (!dark(x, y)) continue;
      let end = x;
      while (dark(end, y)) end += 1;
      runs.push(`M${x + QUIET} ${y + QUIET}h${end - x}v1h${x - end}z`);
      x = end;
    }
  }
  return { viewBox: `0 0 ${size + 2 * QUIET} ${size + 2 * QUIET}`, path: runs.join("") };
}

const dataCodewords = (version) => CODEWORDS[version - 1] - BLOCKS[version - 1] * CORRECTION[version - 1];
const countBits = (version) => (version < 10 ? 8 : 16);

function versionFor(octets) {
  for (let version = 1; version <= VERSION_MAX; version += 1) {
    if (4 + countBits(version) + 8 * octets <= 8 * dataCodewords(version)) return version;
  }
  throw new RangeError("QR: too long");
}

/** Mode, length, octets, terminator and padding as codewords. */
function frame(data, version) {
  const bits = [];
  const put = (value, size) => { for (let i = size - 1; i >= 0; i -= 1) bits.push((value >> i) & 1); };
  put(BYTE_MODE, 4);
  put(data.length, countBits(version));
  data.forEach((octet) => put(octet, 8));
  const capacity = 8 * dataCodewords(version);
  put(0, Math.min(4, capacity - bits.length));
  put(0, (8 - (bits.length % 8)) % 8);
  for (let pad = 0xec; bits.length < capacity; pad ^= 0xec ^ 0x11) put(pad, 8);
  return Array.from({ length: capacity / 8 }, (_, i) => bits.slice(8 * i, 8 * i + 8).reduce((v, bit) => 2 * v + bit, 0));
}

/** Blocks with their correction, dealt out like cards; the last blocks are one codeword longer. */
function interleave(data, version) {
  const [count, size] = [BLOCKS[version - 1], CORRECTION[version - 1]];
  const short = Math.floor(data.length / count);
  const longer = data.length % count;
  const blocks = [];
  for (let i = 0, at = 0; i < count; i += 1) {
    const length = short + (i >= count - longer ? 1 : 0);
    blocks.push(data.slice(at, at + length));
    at += length;
  }
  const corrections = blocks.map((block) => correction(block, size));
  const deal = (hands) => {
    const longest = Math.max(...hands.map((hand) => hand.length));
    return Array.from({ length: longest }, (_, i) => hands.flatMap((hand) => (i < hand.length ? [hand[i]] : []))).flat();
  };
  return [...deal(blocks), ...deal(corrections)];
}

/** Remainder of the block by the generator polynomial (Reed-Solomon over GF(256), 0x11d). */
function correction(block, size) {
  let generator = [1];
  for (let i = 0, root = 1; i < size; i += 1, root = times(root, 2)) {
    const next = [...generator, 0];
    generator.forEach((factor, j) => { next[j + 1] ^= times(factor, root); });
    generator = next;
  }
  const rest = [...block, ...new Array(size).fill(0)];
  for (let i = 0; i < block.length; i += 1) {
    const factor = rest[i];
    generator.forEach((g, j) => { rest[i + j] ^= times(g, factor); });
  }
  return rest.slice(block.length);
}

function times(a, b) {
  let product = 0;
  for (let bit = 7; bit >= 0; bit -= 1) {
    product = (product << 1) ^ (product & 0x80 ? 0x11d : 0);
    if ((b >> bit) & 1) product ^= a;
  }
  return product;
}

/** The whole symbol as rows of 0 and 1. */
function draw(codewords, version, mask) {
  const size = 17 + 4 * version;
  const rows = Array.from({ length: size }, () => new Array(size).fill(null));
  const set = (x, y, dark) => { rows[y][x] = dark ? 1 : 0; };
  drawFixed(rows, set, version);
  drawFormat(set, size, mask);
  if (version >= 7) drawVersion(set, size, version);
  const bits = codewords.flatMap((word) => [7, 6, 5, 4, 3, 2, 1, 0].map((i) => (word >> i) & 1));
  let at = 0;
  for (let right = size - 1, upward = true; right > 0; right -= 2, upward = !upward) {
    // The column of the timing pattern is skipped.
    if (right === 6) right = 5;
    for (let step = 0; step < size; step += 1) {
      const y = upward ? size - 1 - step : step;
      for (const x of [right, right - 1]) {
        if (rows[y][x] !== null) continue;
        set(x, y, (bits[at] ?? 0) ^ (MASKS[mask](x, y) === 0 ? 1 : 0));
        at += 1;
      }
    }
  }
  return rows;
}

/** Finders with their margin, timing, alignment. */
function drawFixed(rows, set, version) {
  const size = rows.length;
  for (const [cx, cy] of [[3, 3], [size - 4, 3], [3, size - 4]]) {
    for (let dy = -4; dy <= 4; dy += 1) {
      for (let dx = -4; dx <= 4; dx += 1) {
        const ring = Math.max(Math.abs(dx), Math.abs(dy));
        if (rows[cy + dy]?.[cx + dx] !== undefined) set(cx + dx, cy + dy, ring !== 2 && ring !== 4);
      }
    }
  }
  for (let i = 8; i < size - 8; i += 1) {
    set(i, 6, i % 2 === 0);
    set(6, i, i % 2 === 0);
  }
  const centres = ALIGNMENT[version - 1].length === 0 ? [] : [6, ...ALIGNMENT[version - 1]];
  const last = centres.at(-1);
  for (const cy of centres) {
    for (const cx of centres) {
      // Three corners belong to the finders.
      if ((cx === 6 && cy === 6) || (cx === 6 && cy === last) || (cx === last && cy === 6)) continue;
      for (let dy = -2; dy <= 2; dy += 1) {
        for (let dx = -2; dx <= 2; dx += 1) set(cx + dx, cy + dy, Math.max(Math.abs(dx), Math.abs(dy)) !== 1);
      }
    }
  }
}

/** Level and mask, twice, with their BCH code. */
function drawFormat(set, size, mask) {
  const data = (LEVEL_M << 3) | mask;
  const code = ((data << 10) | remainder(data << 10, 0x537, 10)) ^ 0x5412;
  for (let i = 0; i < 15; i += 1) {
    const dark = (code >> i) & 1;
    if (i < 6) set(8, i, dark);
    else if (i < 8) set(8, i + 1, dark);
    else if (i === 8) set(7, 8, dark);
    else set(14 - i, 8, dark);
    if (i < 8) set(size - 1 - i, 8, dark);
    else set(8, size - 15 + i, dark);
  }
  set(8, size - 8, true);
}

function drawVersion(set, size, version) {
  const code = (version << 12) | remainder(version << 12, 0x1f25, 12);
  for (let i = 0; i < 18; i += 1) {
    const [near, far] = [Math.floor(i / 3), size - 11 + (i % 3)];
    set(far, near, (code >> i) & 1);
    set(near, far, (code >> i) & 1);
  }
}

function remainder(value, polynomial, degree) {
  let rest = value;
  for (let bit = 31 - Math.clz32(value); bit >= degree; bit -= 1) {
    if ((rest >> bit) & 1) rest ^= polynomial << (bit - degree);
  }
  return rest;
}

/** The standard's four measures of a symbol that is hard to read. */
function penalty(rows) {
  const size = rows.length;
  const columns = rows.map((_, x) => rows.map((row) => row[x]));
  let points = 0;
  for (const line of [...rows, ...columns]) {
    const text = line.join("");
    for (const run of text.match(/0{5,}|1{5,}/g) ?? []) points += run.length - 2;
    for (let at = 0; at + 11 <= size; at += 1) {
      const part = text.slice(at, at + 11);
      if (part === "10111010000" || part === "00001011101") points += 40;
    }
  }
  let dark = 0;
  for (let y = 0; y < size; y += 1) {
    for (let x = 0; x < size; x += 1) {
      dark += rows[y][x];
      const sum = x + 1 < size && y + 1 < size ? rows[y][x] + rows[y][x + 1] + rows[y + 1][x] + rows[y + 1][x + 1] : 1;
      if (sum === 0 || sum === 4) points += 3;
    }
  }
  return points + 10 * Math.floor(Math.abs((20 * dark) / (size * size) - 10));
}
