// What can go wrong, in one shape with what the server says: code, both languages, remedy. The page's own entries are
// the ones that no server can tell, because it was not reached or not understood.

export class Problem extends Error {
  constructor({ code, ja, en, remedy_ja: remedyJa, remedy_en: remedyEn, trace = null }, retryAfter = null) {
    super(`${code} ${en}`);
    Object.assign(this, { code, ja, en, remedyJa, remedyEn, trace, retryAfter });
  }
}

const OWN = {
  insecure: {
    code: "MM-5491",
    ja: "このブラウザでは、鍵を作れません。", en: "This browser cannot make keys on this page.",
    remedy_ja: "アドレスが https:// で始まることと、ルート証明書を入れたことを確かめ、新しい版のブラウザで開き直してください。",
    remedy_en: "Check that the address begins with https:// and the root certificate is installed, then use a current browser.",
  },
  silent: {
    code: "MM-5492",
    ja: "サーバーから返事がありません。", en: "The server did not answer.",
    remedy_ja: "WireGuardの接続がオンになっているか確かめ、もう一度「登録する」を押してください。入力した内容は残っています。",
    remedy_en: "Check that the WireGuard tunnel is on, then press the button again. What you typed is still here.",
  },
  keys: {
    code: "MM-5493",
    ja: "端末の中で鍵を作る途中で止まりました。", en: "Making the keys on this device failed.",
    remedy_ja: "もう一度「登録する」を押してください。続くときは、別のブラウザでお試しください。",
    remedy_en: "Press the button again; if it stays, try another browser.",
  },
  answer: {
    code: "MM-5494",
    ja: "サーバーの返事が、この端末の鍵と合いません。", en: "The server's answer does not belong to this device's keys.",
    remedy_ja: "受け取ったものは使わず、事務局に電話してください。",
    remedy_en: "Do not use what was received; call the secretariat.",
  },
  unknown: {
    code: "MM-5495",
    ja: "サーバーが登録を受け付けませんでした。", en: "The server did not accept the registration.",
    remedy_ja: "しばらくして、もう一度「登録する」を押してください。", remedy_en: "Try again later.",
  },
};

export const own = (name) => new Problem(OWN[name]);

/** The problem in a response that is no success. */
export async function fromResponse(response) {
  const seconds = Number(response.headers.get("Retry-After"));
  const retryAfter = Number.isInteger(seconds) && seconds > 0 ? seconds : null;
  const said = await response.json().catch(() => null);
  const whole = ["code", "ja", "en", "remedy_ja", "remedy_en"].every((key) => typeof said?.[key] === "string");
  return new Problem(whole ? said : OWN.unknown, retryAfter);
}

/** Refusals that stand at a field as well; everything else stands above the form only. */
export const isAboutSheet = (code) => code === "MM-5401";
export const isAboutNewPassword = (code) => code === "MM-5412" || /^MM-550[1-5]$/.test(code);
