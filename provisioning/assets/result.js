// The page after the claim: files to save (two, or one for everything where a system takes that), a QR code, the file's password, and the way on. Everything is made in
// memory and gone with the page; leaving before the files are saved is asked about. Edge: the screen.

import { encode, outline } from "./qr.js";

const byId = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const GROUP = 4;

/** `files` of `work.js`. */
export function show(files, slot) {
  // One of Apple's profiles is all there is when the device's hardware makes the key.
  const both = files.certificate ? ["profile-link", "certificate-link"] : ["apple-mobile-link", "mac-link"];
  const unsaved = new Set(both);
  if (files.certificate) offerFiles(files, unsaved);
  for (const part of document.querySelectorAll("[data-needs='files']")) part.hidden = !files.certificate;
  for (const [system, file] of Object.entries(files.apple)) {
    offer(`${system}-link`, file.name, file.octets, "application/x-apple-aspen-config", unsaved, both);
  }
  if (files.linux) offer("linux-link", files.linux.name, files.linux.octets, "application/x-tar", unsaved, both);
  byId("apple-all").hidden = Object.keys(files.apple).length === 0;
  if (!files.certificate) byId("apple-all").open = true;
  byId("linux-all").hidden = !files.linux;
  for (const part of document.querySelectorAll("[data-made-by]")) part.hidden = part.dataset.madeBy !== files.madeBy;
  addEventListener("beforeunload", (event) => { if (unsaved.size > 0) event.preventDefault(); });

  say("tunnel", `sns-${slot}`);
  byId("claims-left").textContent = files.claimsLeft > 0
    ? `うまくいかないときは、このページを開き直して、同じ用紙であと${files.claimsLeft}回やり直せます。`
    : "やり直しはできません。うまくいかないときは、事務局に電話してください。";
  byId("login").textContent = files.login ?? "";
  byId("login-line").hidden = !files.login;
  const next = byId("next-link");
  // Whoever has a login here manages a facility or the association; the others' logins come later, for the SNS.
  next.href = `https://${location.host.replace(/^claim\./, files.login ? "office." : "sns.")}/`;
  next.textContent = next.href;
  void openForThisSystem();
  byId("result").hidden = false;
  byId("result-title").focus();
  scrollTo(0, 0);
}

/** Tunnel and certificate, each as a file of its own. */
function offerFiles(files, unsaved) {
  // Octet streams: a phone would put .txt behind the name of a text.
  offer("profile-link", files.profile.name, new TextEncoder().encode(files.profile.text), "application/octet-stream", unsaved);
  const { name, modern, compatible, password } = files.certificate;
  offer("certificate-link", name, modern, "application/x-pkcs12", unsaved);
  offer("compatible-link", name, compatible, "application/x-pkcs12", unsaved, ["certificate-link"]);
  byId("profile-name").textContent = files.profile.name;
  byId("certificate-name").textContent = name;
  say("profile", files.profile.name);
  drawQr(files.profile.text);
  showPassword(password);
}

/** `stands`: the files that need not be saved any more once this one is. */
function offer(id, name, octets, type, unsaved, stands = [id]) {
  const link = byId(id);
  link.href = URL.createObjectURL(new Blob([octets], { type }));
  link.download = name;
  octets.fill(0);
  link.addEventListener("click", () => {
    stands.forEach((one) => unsaved.delete(one));
    link.classList.add("claim-done");
    if (!link.textContent.startsWith("✓")) link.textContent = "✓ 保存しました（もう一度）";
  });
  addEventListener("pagehide", (event) => { if (!event.persisted) URL.revokeObjectURL(link.href); });
}

function say(name, text) {
  for (const place of document.querySelectorAll(`[data-name="${name}"]`)) place.textContent = text;
}

function drawQr(text) {
  const { viewBox, path } = outline(encode(text));
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", viewBox);
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", "新しい接続設定のQRコード");
  svg.setAttribute("shape-rendering", "crispEdges");
  const dark = document.createElementNS(SVG, "path");
  dark.setAttribute("d", path);
  svg.append(dark);
  byId("profile-qr").replaceChildren(svg);
}

/** In groups for the eye; copied without them. */
function showPassword(password) {
  const groups = password.match(new RegExp(`.{1,${GROUP}}`, "g")).map((group) => {
    const span = document.createElement("span");
    span.textContent = group;
    return span;
  });
  byId("certificate-password").replaceChildren(...groups);
  byId("certificate-copy").addEventListener("click", async () => {
    const done = await navigator.clipboard.writeText(password).then(() => true, () => false);
    byId("certificate-copied").textContent = done ? "コピーしました。" : "コピーできません。上の文字を長押しして選んでください。";
  });
}

/** Opens the instructions of the system that this browser says it runs on; a wrong guess hides nothing. */
async function openForThisSystem() {
  const agent = navigator.userAgent;
  const system = /iPhone|iPad/.test(agent) || (/Macintosh/.test(agent) && navigator.maxTouchPoints > 1) ? "apple-mobile"
    : /Android/.test(agent) ? "android" : /Windows/.test(agent) ? "windows" : /Macintosh/.test(agent) ? "mac"
    : /Linux/.test(agent) ? "linux" : null;
  for (const part of document.querySelectorAll(`[data-system~="${system}"]`)) part.open = true;
  const told = await navigator.userAgentData?.getHighEntropyValues(["platformVersion"]).catch(() => null);
  const version = Number.parseInt(told?.platformVersion ?? "", 10);
  const older = system === "apple-mobile" ? Number.parseInt(/ OS (\d+)_/.exec(agent)?.[1] ?? "99", 10) <= 15
    : (system === "android" || system === "mac") && version <= 13;
  if (older) byId("compatible").open = true;
}
