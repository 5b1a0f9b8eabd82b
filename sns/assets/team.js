// Keeps a team's open page as new as the team: listens to its live stream and takes the timeline from the page itself, so
// that what is shown has one writer, the server. Without it the page works the same, by its button. Edge: the screen.

const section = document.getElementById("posts-section");
const { team, after, older } = section.dataset;
const live = document.getElementById("live");
/** Only whoever is not shown news by itself needs the button. */
const look = document.getElementById("look");
/** Posts come in threes and fours; one reading is enough for them. */
const SETTLE_MS = 150;
const STOPPED = "自動の更新が止まりました。画面を開き直してください。";
const AWAY = "いま、つながっていません。つながると自動で新しくなります。";
let due = 0;
let posted = false;

const stream = new EventSource(`/api/teams/${team}/events?after=${after}`);
for (const kind of ["post", "ack"]) stream.addEventListener(kind, () => later(kind));
// A stream that ends comes back by itself; what it missed it is sent then. After a refusal it does not: reload to sign in.
stream.addEventListener("error", () => {
  look.hidden = false;
  say(stream.readyState === EventSource.CLOSED ? STOPPED : AWAY);
});
stream.addEventListener("open", () => {
  look.hidden = older === undefined;
  if (live.textContent === AWAY) say("");
});

function later(kind) {
  // Whoever reads older posts is told, and not moved.
  if (older) return kind === "post" && say("新しい投稿があります。");
  posted ||= kind === "post";
  clearTimeout(due);
  due = setTimeout(renew, SETTLE_MS);
  return undefined;
}

async function renew() {
  const tell = posted;
  posted = false;
  const response = await fetch(`/teams/${team}`, { headers: { Accept: "text/html" }, redirect: "error" }).catch(() => null);
  if (!response?.ok) {
    look.hidden = false;
    return say(STOPPED);
  }
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const [now, next] = [document.getElementById("timeline"), page.getElementById("timeline")];
  if (!next) return undefined;
  for (const open of now.querySelectorAll("details[open]")) {
    const same = next.querySelector(`[id="${open.closest("article").id}"] details`);
    if (same) same.open = true;
  }
  const known = new Set([...now.querySelectorAll("article")].map((article) => article.id));
  const fresh = [...next.querySelectorAll("article")].filter((article) => !known.has(article.id)).length;
  const focused = document.activeElement?.closest?.("article")?.id;
  now.replaceChildren(...next.childNodes);
  if (focused) document.getElementById(focused)?.querySelector("button, summary")?.focus();
  return tell && fresh > 0 ? say(`新しい投稿が${fresh}件届きました。`) : undefined;
}

function say(text) {
  live.textContent = text;
  live.hidden = text === "";
}
