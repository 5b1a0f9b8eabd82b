// Drives the claim page (本登録): the form, the progress, what went wrong and where, the files. Nothing is stored, and
// nothing that was typed is lost on an error; the keys' work is in `work.js`. Edge: the screen and the network.

import { look } from "./password.js";
import { isAboutNewPassword, isAboutSheet, own } from "./problem.js";
import { readNumber, readPassword } from "./sheet.js";
import { show } from "./result.js";
import { STEPS, able, createWork } from "./work.js";

const byId = (id) => document.getElementById(id);
const FIELDS = ["number", "password", "admin-password"];

const form = byId("claim-form");
const send = byId("send");
const slot = document.body.dataset.slot;

start();

function start() {
  if (!able()) {
    tell(own("insecure"));
    return;
  }
  fromFragment();
  const work = createWork({ slot, realm: document.body.dataset.realm, host: location.host });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!send.disabled) submit(work);
  });
  FIELDS.forEach((name) => byId(name).addEventListener("input", () => fault(name, "")));
  byId("admin-password").addEventListener("input", watchPassword);
  byId("admin-password-show").addEventListener("click", togglePassword);
  // Where the key is made, is one choice.
  const choices = [byId("server-keys"), byId("hardware")];
  choices.forEach((one) => one.addEventListener("change", () => {
    if (one.checked) choices.filter((other) => other !== one).forEach((other) => { other.checked = false; });
  }));
  send.disabled = false;
}

/** A QR code may carry the sheet's words behind the #, which no server sees; they leave the address bar at once. */
function fromFragment() {
  const words = new URLSearchParams(location.hash.slice(1));
  for (const name of ["number", "password"]) {
    if (words.has(name)) byId(name).value = words.get(name);
  }
  if (location.hash) history.replaceState(null, "", location.pathname);
}

async function submit(work) {
  const entry = typed();
  if (!entry) return;
  busy(true);
  tell(null);
  try {
    const files = await work.claim(entry, step);
    for (const name of [...FIELDS, "label"]) byId(name).value = "";
    for (const choice of ["server-keys", "hardware"]) byId(choice).checked = false;
    byId("entry").hidden = true;
    show(files, slot);
  } catch (problem) {
    busy(false);
    tell(problem.code ? problem : own("keys"));
    if (problem.retryAfter) countDown(problem.retryAfter);
  }
}

/** What was typed, or null after saying at each field what is missing. */
function typed() {
  const entry = {
    number: readNumber(byId("number").value),
    password: readPassword(byId("password").value),
    adminPassword: byId("admin-password").value,
    label: byId("label").value.trim(),
    serverKeys: byId("server-keys").checked,
    hardware: byId("hardware").checked,
  };
  fault("number", entry.number ? "" : "10けたの数字を、用紙のとおりに入力してください。");
  fault("password", entry.password ? "" : "16文字を、用紙のとおりに入力してください。英字の I・L・O・U は使っていません。");
  const weak = entry.adminPassword !== "" && !look(entry.adminPassword).good;
  fault("admin-password", weak ? "このパスワードは、まだ使えません。" : "");
  const first = FIELDS.find((name) => byId(name).getAttribute("aria-invalid") === "true");
  if (!first) return entry;
  byId(first).focus();
  return null;
}

function fault(name, text) {
  const place = byId(`${name}-error`);
  place.textContent = text;
  place.hidden = text === "";
  byId(name).setAttribute("aria-invalid", String(text !== ""));
}

function busy(on) {
  send.disabled = on;
  send.textContent = on ? "登録しています…" : "登録する";
  for (const input of form.querySelectorAll("input")) input.readOnly = on;
  byId("progress").hidden = !on;
  if (on) byId("progress").scrollIntoView({ block: "nearest" });
  if (!on) byId("status").textContent = "";
}

function step(name) {
  const now = STEPS.indexOf(name);
  for (const line of byId("progress").children) {
    const at = STEPS.indexOf(line.dataset.step);
    line.classList.toggle("met", at < now);
    line.classList.toggle("now", at === now);
    if (at === now) byId("status").textContent = line.textContent;
  }
}

/** At the field that it is about, and whole above the form; `null` takes it away. */
function tell(problem) {
  const box = byId("problem");
  box.replaceChildren();
  box.hidden = problem === null;
  if (!problem) return;
  const line = (text, className, lang) => {
    const p = document.createElement("p");
    Object.assign(p, { textContent: text, className, lang: lang ?? "ja" });
    box.append(p);
  };
  // The button counts down; a number that stands still beside it would be wrong a second later.
  line(problem.retryAfter ? problem.ja.replace(/（あと\d+秒）/, "") : problem.ja, "mm-notice-title");
  line(problem.remedyJa, "");
  line(`${problem.en} ${problem.remedyEn}`, "mm-small", "en");
  line([problem.code, problem.trace].filter(Boolean).join("　"), "mm-small mm-code claim-trace");
  if (isAboutSheet(problem.code)) ["number", "password"].forEach((name) => fault(name, "用紙と見比べてください。"));
  if (!isAboutNewPassword(problem.code)) return box.focus();
  fault("admin-password", problem.ja);
  byId("admin-password").focus();
}

/** The server asked to wait: the button says for how long, and comes back by itself. */
function countDown(seconds) {
  const until = Date.now() + seconds * 1000;
  const wait = byId("wait");
  send.disabled = true;
  wait.hidden = false;
  const tick = () => {
    const left = Math.ceil((until - Date.now()) / 1000);
    wait.textContent = `あと${Math.floor(left / 60)}分${String(left % 60).padStart(2, "0")}秒で、もう一度入力できます。`;
    if (left > 0) return;
    clearInterval(timer);
    wait.hidden = true;
    send.disabled = false;
    tell(null);
    byId("status").textContent = "もう一度入力できます。";
  };
  const timer = setInterval(tick, 1000);
  tick();
}

function watchPassword() {
  const { checks, hint } = look(byId("admin-password").value);
  const list = byId("admin-password-checks");
  list.hidden = byId("admin-password").value === "";
  for (const { id, met } of checks) list.querySelector(`[data-check="${id}"]`).classList.toggle("met", met);
  byId("admin-password-hint").textContent = hint;
}

function togglePassword() {
  const shown = byId("admin-password").type === "text";
  byId("admin-password").type = shown ? "password" : "text";
  byId("admin-password-show").setAttribute("aria-pressed", String(!shown));
  byId("admin-password-show").textContent = shown ? "表示" : "隠す";
}
