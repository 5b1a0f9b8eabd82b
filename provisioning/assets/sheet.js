// What is printed on the sheet, however it was typed: any width, any case, with or without blanks and hyphens.
// The server reads it just so and has the last word; a mistyping that can be seen here does not cost one of the
// five tries. Pure.

/** As in the room's `ticket.rs`; a test compares. */
export const NUMBER_LENGTH = 10;
export const PASSWORD_LENGTH = 16;

const SEPARATORS = /[\s‐‑–—−ー-]/gu;

/** The ten digits, or null. */
export function readNumber(typed) {
  const digits = typed.normalize("NFKC").replace(SEPARATORS, "");
  return /^\d+$/.test(digits) && digits.length === NUMBER_LENGTH && checks(digits) ? digits : null;
}

/** The sixteen signs, or null; O is read as 0, I and L as 1. */
export function readPassword(typed) {
  const signs = typed.normalize("NFKC").replace(SEPARATORS, "").toUpperCase().replace(/O/g, "0").replace(/[IL]/g, "1");
  return /^[0-9A-HJKMNP-TV-Z]+$/.test(signs) && signs.length === PASSWORD_LENGTH ? signs : null;
}

/** Modulus 10, weights 2 and 1 from the right, digits of the products added up. */
function checks(digits) {
  const sum = Array.from(digits).reverse().reduce((total, digit, place) => {
    const product = Number(digit) * (place % 2 === 0 ? 1 : 2);
    return total + Math.floor(product / 10) + (product % 10);
  }, 0);
  return sum % 10 === 0;
}
