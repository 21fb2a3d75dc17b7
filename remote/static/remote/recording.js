// The replay: asciinema-player, a list of places to jump to, and finding words in the text.

import { askAbout, askWithButton } from "../kb/suggested.js";

const holder = document.getElementById("player");
const reduced = matchMedia("(prefers-reduced-motion: reduce)").matches;

function start() {
  const at = Number(holder.dataset.start || 0); // where a search found words
  const player = window.AsciinemaPlayer.create(holder.dataset.source, holder, {
    fit: "width", idleTimeLimit: 2, preload: true, terminalFontFamily: "var(--mono)", cursorBlink: !reduced,
    startAt: at, poster: `npt:${at || 1}`,
  });
  window.compagnonPlayer = player; // for tests
  document.addEventListener("click", async (event) => {
    const seconds = event.target.closest("[data-seek]")?.dataset.seek;
    if (seconds === undefined) return;
    await player.seek(Number(seconds));
    for (const one of document.querySelectorAll("[data-seek]")) one.toggleAttribute("aria-current", one.dataset.seek === seconds);
  });
}

// Both scripts are deferred; the player's comes first in the page.
if (window.AsciinemaPlayer) start(); else addEventListener("load", start);

// What is selected in the player or in the text is looked for, as in a terminal.
const selected = () => String(document.getSelection());
askWithButton(selected, (changed) => document.addEventListener("selectionchange", changed));
document.addEventListener("keydown", (event) => {
  if (!event.ctrlKey || !event.shiftKey || event.key.toLowerCase() !== "f") return;
  event.preventDefault();
  askAbout(selected());
});

const box = document.getElementById("transcript-q");
const text = document.getElementById("transcript");
box?.addEventListener("input", () => find(box.value));

function find(words) {
  const whole = text.textContent;
  text.textContent = whole;
  if (words.length < 2) return;
  const pieces = [];
  const low = whole.toLowerCase();
  const wanted = words.toLowerCase();
  let from = 0;
  for (let at = low.indexOf(wanted); at >= 0 && pieces.length < 1000; at = low.indexOf(wanted, from)) {
    const mark = document.createElement("mark");
    mark.textContent = whole.slice(at, at + wanted.length);
    pieces.push(whole.slice(from, at), mark);
    from = at + wanted.length;
  }
  text.replaceChildren(...pieces, whole.slice(from));
  text.querySelector("mark")?.scrollIntoView({ block: "nearest" });
}
