// A tar archive (POSIX ustar) of a few small files, each with its mode: how a Linux device gets its files at once, with
// a key that nobody else on it can read. Pure: octets out.

import { concat } from "./der.js";

const BLOCK = 512;
/** Names of ustar without a prefix. */
const NAME_MAX = 100;
/** Regular file. */
const FILE = 0x30;

/** `files`: `{ name, mode, octets }`. The same files give the same archive: no owner, and `at` (seconds) for all. */
export function tar(files, at = 0) {
  const parts = files.flatMap(({ name, mode, octets }) => {
    const rest = new Uint8Array((BLOCK - (octets.length % BLOCK)) % BLOCK);
    return [header(name, mode, octets.length, at), octets, rest];
  });
  return concat(...parts, new Uint8Array(2 * BLOCK));
}

function header(name, mode, size, at) {
  const block = new Uint8Array(BLOCK);
  const put = (place, text) => block.set(new TextEncoder().encode(text), place);
  if (!/^[A-Za-z0-9._/-]+$/.test(name) || name.length > NAME_MAX) throw new RangeError("tar: name");
  const octal = (value, digits) => value.toString(8).padStart(digits, "0");
  put(0, name);
  put(100, `${octal(mode, 7)}\0${octal(0, 7)}\0${octal(0, 7)}\0${octal(size, 11)}\0${octal(at, 11)}\0`);
  block[156] = FILE;
  put(257, "ustar\0" + "00");
  // The sum is taken with eight blanks in its own place.
  block.fill(0x20, 148, 156);
  put(148, `${octal(block.reduce((sum, octet) => sum + octet, 0), 6)}\0 `);
  return block;
}
