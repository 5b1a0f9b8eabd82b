// One claim from typed words to files: keys are made, the request is sent, the answer is checked against the keys, and
// the profile and the .p12 are put together. No screen here. The private keys live in this closure, are the same for
// every attempt of one page (the server takes the same keys as the same claim and goes on where it stopped), and are
// overwritten as soon as the files exist.

import { certificates, toBase64 } from "./base64.js";
import { equal } from "./der.js";
import { makePassword, pack } from "./p12.js";
import { Problem, fromResponse, own } from "./problem.js";
import { keyOfCertificate, makeKey, makeRequest, privateKey, publicKey } from "./request.js";
import { makeKeys, profile, profileFile } from "./tunnel.js";

/** Longer than the server waits for its own neighbours; then the person is told and may press again. */
const ANSWER_WAIT_MS = 60_000;

/** The request or the tunnel key cannot be used (the room's catalogue). */
const KEYS_REFUSED = new Set(["MM-5410", "MM-5411"]);

export const STEPS = Object.freeze(["keys", "request", "files"]);

/** Can this page make keys at all? */
export function able(scope = globalThis) {
  return scope.isSecureContext !== false && typeof scope.crypto?.subtle?.generateKey === "function";
}

/** `slot` is the number of this tunnel, which the page was served with. */
export function createWork(slot, { source = crypto, send = fetch } = {}) {
  let keys = null;

  async function makeAll() {
    try {
      const [tunnel, pair] = await Promise.all([makeKeys(source), makeKey(source.subtle)]);
      keys = { tunnel, pair, request: await makeRequest(pair, slot, source.subtle) };
    } catch {
      throw own("keys");
    }
  }

  /** `{ number, password, adminPassword, label }` → files. `onStep` hears each of STEPS as it begins. */
  async function claim(entry, onStep = () => {}) {
    onStep("keys");
    if (!keys) await makeAll();
    onStep("request");
    const answer = await ask({
      number: entry.number,
      password: entry.password,
      wireguard_public_key: toBase64(keys.tunnel.publicKey),
      certificate_request: toBase64(keys.request),
      ...(entry.adminPassword && { admin_password: entry.adminPassword }),
      ...(entry.label && { label: entry.label }),
    });
    onStep("files");
    const files = await makeFiles(slot, keys, answer, source);
    keys.tunnel.privateKey.fill(0);
    keys = null;
    return files;
  }

  async function ask(body) {
    try {
      return await post(send, body);
    } catch (problem) {
      // The same keys would be refused for ever: the next attempt makes others.
      if (KEYS_REFUSED.has(problem.code)) keys = null;
      throw problem;
    }
  }

  return { claim };
}

async function post(send, body) {
  let response;
  try {
    response = await send("/claim", {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "application/json" },
      body: JSON.stringify(body),
      credentials: "same-origin", cache: "no-store", redirect: "error", referrerPolicy: "no-referrer",
      signal: AbortSignal.timeout(ANSWER_WAIT_MS),
    });
  } catch {
    throw own("silent");
  }
  if (!response.ok) throw await fromResponse(response);
  try {
    return await response.json();
  } catch {
    throw own("silent");
  }
}

async function makeFiles(slot, keys, answer, source) {
  let secret;
  try {
    const chain = certificates(answer.certificate_chain);
    if (answer.slot !== slot || !equal(keyOfCertificate(chain[0]), await publicKey(keys.pair, source.subtle))) {
      throw own("answer");
    }
    const text = profile(answer, keys.tunnel.privateKey);
    secret = await privateKey(keys.pair, source.subtle);
    const certificatePassword = makePassword(source);
    const parts = { key: secret, chain, friendlyName: String(answer.friendly_name), password: certificatePassword };
    return {
      profile: { name: profileFile(slot), text },
      certificate: {
        name: `mimamori-${slot}.p12`,
        modern: await pack({ ...parts, form: "modern" }, source),
        compatible: await pack({ ...parts, form: "compatible" }, source),
        password: certificatePassword,
      },
      login: typeof answer.login === "string" ? answer.login : null,
      claimsLeft: Number.isInteger(answer.claims_left) ? answer.claims_left : 0,
    };
  } catch (error) {
    throw error instanceof Problem ? error : own("answer");
  } finally {
    secret?.fill(0);
  }
}
