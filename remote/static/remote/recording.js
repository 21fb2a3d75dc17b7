// The replay: asciinema-player, a list of places to jump to, and finding words in the text.

import { askAbout, askWithButton } from "../kb/suggested.js";

const holder = document.getElementById("player");
const reduced = matchMedia("(prefers-reduced-motion: reduce)").matches;

function startPlayer() {
  // Idle time is left out: seconds of the recording are not those of the player, except in startAt.
  const start = holder.dataset.start ? { startAt: Number(holder.dataset.start) } : { poster: "npt:0:01" };
  const player = window.AsciinemaPlayer.create(holder.dataset.source, holder, {
    fit: "width", idleTimeLimit: 2, preload: true, terminalFontFamily: "var(--mono)", cursorBlink: !reduced, ...start,
  });
  if (start.startAt) player.play().then(() => player.pause()); // shows the moment that was found, and waits there
  window.compagnonPlayer = player; // for tests
  document.addEventListener("click", async (event) => {
    const chosen = event.target.closest("[data-seek]");
    if (!chosen) return;
    await player.seek({ marker: Number(chosen.dataset.seek) });
    for (const one of document.querySelectorAll("[data-seek]")) one.toggleAttribute("aria-current", one === chosen);
  });
}

// Both scripts are deferred; the player's comes first in the page.
if (window.AsciinemaPlayer) startPlayer(); else addEventListener("load", startPlayer);

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
