// P-09 while it is typed: what is still missing from a new password. The server decides, with its list of common
// ones and the login, which this page does not know. Pure.

/** As in the room's `password.rs`; a test compares. */
export const LONG_ENOUGH = 13;
export const SHORTEST = 8;
export const LONGEST = 128;
export const DIFFERENT = 5;

/** `{ good, checks: [{ id, met }], hint }`; `hint` says the nearest way to a good one, in Japanese. */
export function look(typed) {
  const signs = Array.from(typed.normalize("NFKC"));
  const has = (pattern) => signs.some((sign) => pattern.test(sign));
  const kinds = [
    ["英字", has(/\p{Alphabetic}/u)], ["数字", has(/\p{N}/u)], ["記号", has(/[^\p{Alphabetic}\p{N}\s]/u)],
  ];
  const missing = kinds.filter(([, met]) => !met).map(([kind]) => kind);
  const long = signs.length >= LONG_ENOUGH;
  const mixed = signs.length >= SHORTEST && missing.length === 0;
  const varied = new Set(signs.map((sign) => sign.toLowerCase())).size >= DIFFERENT;
  const short = signs.length <= LONGEST;
  return {
    good: (long || mixed) && varied && short,
    checks: [{ id: "long", met: long }, { id: "mixed", met: mixed }, { id: "varied", met: varied && signs.length > 0 }],
    hint: hint(signs.length, { long, mixed, varied, short, missing }),
  };
}

function hint(length, { long, mixed, varied, short, missing }) {
  if (length === 0) return "";
  if (!short) return `長すぎます（${LONGEST}文字まで）。`;
  if (!long && !mixed) {
    const left = `あと${LONG_ENOUGH - length}文字で13文字になります。`;
    if (length < SHORTEST) return left;
    return `${left}または${missing.join("と")}を加えてください。`;
  }
  return varied ? "使える長さです。" : "同じ文字が続いています。ほかの文字も使ってください。";
}
