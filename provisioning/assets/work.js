// One claim from typed words to files: keys are made, the request is sent, the answer is checked against the keys, and
// the files of every system (profile, .p12, Apple's profile, Linux's archive) are put together. No screen here. The private keys live in this closure, are the same for
// every attempt of one page (the server takes the same keys as the same claim and goes on where it stopped), and are
// overwritten as soon as the files exist.

import { SYSTEMS, appleFile, appleProfile } from "./apple.js";
import { certificates, fromBase64, toBase64 } from "./base64.js";
import { equal } from "./der.js";
import { linuxBundle, linuxFile } from "./linux.js";
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

/** `slot` is the number of this tunnel, `realm` the realm's name, `host` this page's: what the page was served with. */
export function createWork({ slot, realm, host }, { source = crypto, send = fetch } = {}) {
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
    if (entry.hardware) return claimHardware(entry, onStep);
    if (entry.serverKeys) return claimMade(entry, onStep);
    onStep("keys");
    if (!keys) await makeAll();
    onStep("request");
    const answer = await ask({
      wireguard_public_key: toBase64(keys.tunnel.publicKey), certificate_request: toBase64(keys.request), ...typed(entry),
    });
    onStep("files");
    const files = await makeFiles({ slot, realm, host }, keys, answer, source);
    keys.tunnel.privateKey.fill(0);
    keys = null;
    return files;
  }

  /** The named fallback: the server makes keys and files, and its records say so. */
  async function claimMade(entry, onStep) {
    onStep("request");
    const answer = await ask({ keys: "server", ...typed(entry) });
    onStep("files");
    return madeFiles(slot, answer);
  }

  /** Apple's hardware makes the certificate's key when the profile is installed: here is only the tunnel's. */
  async function claimHardware(entry, onStep) {
    onStep("keys");
    const tunnel = await makeKeys(source).catch(() => { throw own("keys"); });
    try {
      onStep("request");
      const answer = await post(send, { wireguard_public_key: toBase64(tunnel.publicKey), ...typed(entry) }, "/claim/apple");
      onStep("files");
      return hardwareFiles({ slot, realm, host }, tunnel, answer, source);
    } finally {
      tunnel.privateKey.fill(0);
    }
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

const typed = (entry) => ({
  number: entry.number, password: entry.password,
  ...(entry.adminPassword && { admin_password: entry.adminPassword }),
  ...(entry.label && { label: entry.label }),
});

async function post(send, body, path = "/claim") {
  let response;
  try {
    response = await send(path, {
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

async function makeFiles(place, keys, answer, source) {
  const { slot } = place;
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
    const root = certificates(answer.root)[0];
    return {
      madeBy: "device",
      profile: { name: profileFile(slot), text },
      apple: await makeApple(place, { ...parts, root, tunnel: text, endpoint: answer.peer.endpoint }, source),
      linux: { name: linuxFile(slot), octets: linuxBundle({ slot, claimHost: place.host, key: secret, chain, root, tunnel: text }) },
      certificate: {
        name: `mimamori-${slot}.p12`,
        modern: await pack({ ...parts, form: "modern" }, source),
        compatible: await pack({ ...parts, form: "compatible" }, source),
        password: certificatePassword,
      },
      ...counted(answer),
    };
  } catch (error) {
    throw error instanceof Problem ? error : own("answer");
  } finally {
    secret?.fill(0);
  }
}

const counted = (answer) => ({
  login: typeof answer.login === "string" ? answer.login : null,
  claimsLeft: Number.isInteger(answer.claims_left) ? answer.claims_left : 0,
});

/** The same files out of an answer that holds them whole; Apple's are signed, and Linux's device makes its own. */
function madeFiles(slot, answer) {
  try {
    const { profile: text, modern, compatible, password, apple } = answer.made;
    if (answer.slot !== slot || !/^[a-z2-9]{26,}$/.test(password)) throw own("answer");
    const signed = Object.entries(apple).filter(([system]) => system in SYSTEMS);
    return {
      madeBy: "server",
      profile: { name: profileFile(slot), text: new TextDecoder().decode(fromBase64(text)) },
      apple: Object.fromEntries(signed.map(([system, file]) => [system, { name: appleFile(slot, system), octets: fromBase64(file) }])),
      linux: null,
      certificate: { name: `mimamori-${slot}.p12`, modern: fromBase64(modern), compatible: fromBase64(compatible), password },
      ...counted(answer),
    };
  } catch (error) {
    throw error instanceof Problem ? error : own("answer");
  }
}

/** Nothing to save but a profile: another one each time, because what is in it is good once. */
function hardwareFiles({ slot, realm, host }, tunnel, answer, source) {
  try {
    if (answer.slot !== slot) throw own("answer");
    const place = { slot, zone: zoneOf(host), realm, friendlyName: String(answer.friendly_name) };
    const parts = {
      root: certificates(answer.root)[0], tunnel: profile(answer, tunnel.privateKey), tunnelName: tunnelNameOf(slot),
      endpoint: answer.peer.endpoint, acme: { directory: answer.directory, identifier: answer.client_identifier },
    };
    return { madeBy: "hardware", profile: null, certificate: null, linux: null, apple: eachApple({ ...place, ...parts }, source), ...counted(answer) };
  } catch (error) {
    throw error instanceof Problem ? error : own("answer");
  }
}

/** A profile for each of Apple's systems. 3DES, because which versions read AES is disputed; the password has 137 bits. */
async function makeApple({ slot, realm, host }, { chain, root, tunnel, endpoint, ...parts }, source) {
  const p12 = await pack({ ...parts, chain: chain.slice(0, 1), form: "compatible" }, source);
  const { friendlyName } = parts;
  const zone = zoneOf(host);
  return eachApple({ slot, zone, realm, friendlyName, root, ca: chain[1], p12, tunnel, tunnelName: tunnelNameOf(slot), endpoint }, source);
}

const zoneOf = (host) => host.replace(/:\d+$/, "").replace(/^claim\./, "");
const tunnelNameOf = (slot) => profileFile(slot).replace(/\.conf$/, "");

function eachApple(said, source) {
  return Object.fromEntries(Object.keys(SYSTEMS).map((system) => {
    const text = appleProfile({ ...said, system }, () => source.randomUUID());
    return [system, { name: appleFile(said.slot, system), octets: new TextEncoder().encode(text) }];
  }));
}
