// Parts of a console's page that go on while somebody looks: `<section id="…" data-live>` is fetched again with its own page
// and exchanged where it differs. Without this script the page is the same and stands still. Ends when the page says no,
// when nobody has touched it for a while (asking must not keep a session alive), or when the box is unticked.
"use strict";

(() => {
  const EVERY_MS = 5_000;
  // Far below the gateway's half hour: whoever has left the desk is signed out as ever.
  const UNTOUCHED_MAX_MS = 5 * 60_000;
  const parts = () => [...document.querySelectorAll("[data-live][id]")];
  const main = document.getElementById("main");
  if (parts().length === 0 || !main) return;

  const label = document.createElement("label");
  label.className = "mm-following mm-screen";
  const box = document.createElement("input");
  box.type = "checkbox";
  box.checked = true;
  const words = document.createElement("span");
  label.append(box, words);
  main.append(label);
  const say = (text) => { words.textContent = text; };
  say("この画面の状態を自動で新しくする");

  let seen = false;
  let touched = Date.now();
  for (const kind of ["pointerdown", "keydown", "wheel"]) {
    addEventListener(kind, () => { touched = Date.now(); }, { passive: true });
  }
  // What somebody is using is left alone; the next look takes it.
  const used = (part) => part.contains(document.activeElement) || part.contains(getSelection()?.anchorNode ?? null)
    && !getSelection().isCollapsed;
  const same = (one, other) => one.innerHTML === other.innerHTML;

  async function look() {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" }, redirect: "error", cache: "no-store" });
    if (!answer.ok) throw new Error(String(answer.status));
    seen = true;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of parts()) {
      const next = fresh.getElementById(part.id);
      if (next && !same(part, next) && !used(part)) part.replaceChildren(...next.childNodes);
    }
  }

  async function turn() {
    if (document.visibilityState === "visible" && box.checked && Date.now() - touched < UNTOUCHED_MAX_MS) {
      try {
        await look();
      } catch {
        // What a form's answer shows has no page of its own to ask for.
        if (!seen) return label.remove();
        box.checked = false;
        box.disabled = true;
        return say("自動で新しくできなくなりました。画面を開き直してください。");
      }
    }
    setTimeout(turn, EVERY_MS);
  }
  setTimeout(turn, EVERY_MS);
})();
