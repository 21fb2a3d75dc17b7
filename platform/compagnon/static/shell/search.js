// The global search box: "/" leads there from anywhere, results while typing, Enter opens the marked one.
import { Results, Suggester } from "./results.js";

export function startSearch(texts) {
  const form = document.querySelector("[data-search]");
  if (!form) return;
  const input = form.querySelector("input");
  const results = new Results(input, form.querySelector(".results"), texts);
  const suggester = new Suggester();

  const everything = (q) => ({ title: `${texts.all} : ${q}`, url: `/search?q=${encodeURIComponent(q)}`, icon: "search" });
  const ask = () => {
    const q = input.value.trim();
    if (!q) { suggester.stop(); results.hide(); return; }
    suggester.ask(q, (groups) => {
      if (document.activeElement === input && input.value.trim() === q) results.show(groups, everything(q));
    });
  };

  input.addEventListener("input", ask);
  input.addEventListener("focus", ask);
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") results.move(1);
    else if (event.key === "ArrowUp") results.move(-1);
    else if (event.key === "Escape") { results.hide(); input.blur(); return; }
    else if (event.key === "Enter" && results.chosen && !event.isComposing) results.chosen.click();
    else return;
    event.preventDefault();
  });
  form.addEventListener("focusout", (event) => {
    if (!form.contains(event.relatedTarget)) setTimeout(() => results.hide(), 120);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    event.preventDefault();
    input.focus();
    input.select();
  });
}

export function typing(target) {
  return target.closest?.("input, textarea, select, [contenteditable], .xterm") !== null;
}
