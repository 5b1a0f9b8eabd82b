(() => {
  const one = (selector, place) => (place ?? document).querySelector(selector);
  const all = (selector) => [...document.querySelectorAll(selector)];
  const next = one("section[aria-labelledby=next]");
  const grave = next && one("a.mm-button-bad", next);
  return {
    phase: h.clean(one("h1 .mm-chip").innerText),
    next: next && {
      step: one("[name=step]", next)?.value ?? grave?.getAttribute("href").split("/").pop(),
      name: h.clean(one("h2", next).innerText).replace("次にすること: ", ""), grave: !!grave },
    asked: all("form.mm-ask").filter((form) => !one("[aria-pressed]", form))
      .map((form) => ({ question: one("[name=question]", form).value, ja: h.clean(one("p", form).innerText) })),
    call: h.clean(document.body.innerText).includes("電話の記録（かけてきた方"),
    attach: !!one("#attach"),
    others: all("ul.mm-rows li").filter((row) => one("[name=step]", row)).map((row) => ({
      step: one("[name=step]", row).value, words: h.clean(one("span", row).innerText),
      confirms: one("[name=act]", row).value === "confirm" })),
    closed: all("ol.mm-checks li.mm-done").map((row) => h.clean(row.innerText)),
    letters: all("td[data-label=宛先]").map((cell) => ({
      step: h.clean(cell.parentElement.cells[0].innerText), to: h.clean(cell.innerText),
      state: h.clean(cell.parentElement.cells[2].innerText) })),
  };
})()
