// What a person does with a page, for the tests: finds things by the words on them. Nothing here changes a page.
(() => {
  const clean = (text) => text.replace(/\s+/g, " ").trim();
  const shown = (e) => e.getClientRects().length > 0 && getComputedStyle(e).visibility === "visible";
  const CONTROLS = "a[href], button, summary, label, input, select, textarea";
  const GROUPS = "tr, li, article, section, form, fieldset, details, dialog";

  /** The smallest group that shows these words, or the page. */
  function within(words) {
    if (!words) return document.body;
    const groups = [...document.querySelectorAll(GROUPS)].filter((e) => shown(e) && clean(e.innerText).includes(words));
    return groups.sort((a, b) => a.innerText.length - b.innerText.length);
  }

  function control(words, group) {
    const places = [within(group)].flat();
    for (const place of places) {
      const all = [...place.querySelectorAll(CONTROLS)].filter((e) => shown(e) && !e.disabled);
      const named = (match) => all.find((e) => match(clean(e.innerText || e.value || e.getAttribute("aria-label") || "")));
      const found = named((text) => text === words) ?? named((text) => text.startsWith(words));
      if (found) return found;
    }
    return null;
  }

  /** The field under a label that begins so, in the smallest group that has one. */
  function field(words, group) {
    for (const place of [within(group)].flat()) {
      const labels = [...place.querySelectorAll("label")].filter((e) => shown(e) && clean(e.innerText).startsWith(words));
      const named = [...place.querySelectorAll("[aria-label]")].filter((e) => shown(e) && e.ariaLabel.startsWith(words));
      const found = labels.map((e) => e.control).find((e) => e && shown(e)) ?? named[0];
      if (found) return found;
    }
    return null;
  }

  /** Where a finger would go; nothing when something lies over it. */
  function place(e) {
    if (!e) return null;
    e.scrollIntoView({ block: "center", behavior: "instant" });
    const box = [...e.getClientRects()][0];
    const [x, y] = [box.left + box.width / 2, box.top + box.height / 2];
    const top = document.elementFromPoint(x, y);
    return top && (e.contains(top) || top.contains(e) || e.control === top) ? { x, y } : null;
  }

  /** Notes whether the finger that comes down next meets this element, whatever the page moves meanwhile. */
  function aim(e) {
    window.tapMet = false;
    const meets = (click) => {
      const at = click.target;
      window.tapMet ||= e.contains(at) || at.contains(e) || e.control === at;
    };
    document.addEventListener("click", meets, { capture: true, once: true });
    return place(e);
  }

  /** What no page may be, at any size (ruling 15). */
  function faults() {
    const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
    const all = [...document.querySelectorAll("button, input, select, textarea, summary, .mm-button, nav a")].filter(shown);
    // On a phone a link that stands alone is a target, too; inside a sentence it cannot be.
    const lone = (a) => clean(a.parentElement.innerText) === clean(a.innerText) && innerWidth <= 640 && !a.className.includes("mm-skip");
    all.push(...[...document.querySelectorAll("main a[href]")].filter((a) => shown(a) && lone(a)));
    const target = (e) => (e.type === "checkbox" || e.type === "radio" ? e.closest("label") ?? e : e).getBoundingClientRect();
    const name = (e) => clean(e.innerText || e.id || e.className).slice(0, 40);
    const texts = [...document.querySelectorAll("body *")].filter((e) => shown(e)
      && [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) && !["RT", "RP"].includes(e.tagName));
    return [
      ...(wide > 0 ? [`scrolls sideways by ${wide}px`] : []),
      ...all.filter((e) => target(e).height < 43.5).map((e) => `lower than 44px: ${name(e)}`),
      ...all.filter((e) => ["INPUT", "SELECT", "TEXTAREA"].includes(e.tagName) && e.type !== "hidden"
        && e.labels.length === 0 && !e.ariaLabel).map((e) => `no label: ${name(e)}`),
      ...texts.filter((e) => parseFloat(getComputedStyle(e).fontSize) < 14).map((e) => `smaller than 14px: ${name(e)}`),
      ...(document.documentElement.lang === "ja" ? [] : ["not marked as Japanese"]),
      ...(document.querySelectorAll("h1").length === 1 ? [] : ["not one h1"]),
    ];
  }

  return { clean, control, field, place, aim, faults };
})()
