// The replay: asciinema-player with speed, places to jump to, and finding words in the text.

import { askAbout, askWithButton } from "../kb/suggested.js";

const PAUSE = 2; // seconds to which pauses are shortened
const holder = document.getElementById("player");
const speedBox = document.getElementById("replay-speed");
const idleBox = document.getElementById("replay-idle");
const now = document.getElementById("replay-now");
const reduced = matchMedia("(prefers-reduced-motion: reduce)").matches;

let source = ""; // the asciicast text, loaded once
let times = []; // seconds of the recording at which something happens, and the same moments as played
let played = [];
let player = null;
let playing = false;

async function load() {
  const response = await fetch(holder.dataset.source);
  if (!response.ok) throw new Error(String(response.status));
  source = await response.text();
  measure();
}

// Pauses are shortened by the player: its seconds are not those of the recording.
function measure() {
  const limit = idleBox.checked ? PAUSE : Infinity;
  let recorded = 0;
  let shown = 0;
  times = [0];
  played = [0];
  for (const line of source.split("\n").slice(1)) {
    if (!line.startsWith("[")) continue;
    const pause = Number(/^\[\s*([0-9.eE+-]+)/.exec(line)?.[1] ?? 0);
    recorded += pause;
    shown += Math.min(pause, limit);
    times.push(recorded);
    played.push(shown);
  }
}

const between = (from, to, value) => {
  let low = 0;
  let high = from.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (from[middle] <= value) low = middle; else high = middle - 1;
  }
  const next = low + 1 < to.length ? to[low + 1] : to[low];
  return Math.min(to[low] + (value - from[low]), next);
};
const asPlayed = (second) => between(times, played, second);
const asRecorded = (second) => between(played, times, second);

function create(at) {
  player?.dispose();
  const idle = idleBox.checked ? { idleTimeLimit: PAUSE } : {};
  player = window.AsciinemaPlayer.create({ data: source }, holder, {
    fit: "width", preload: true, terminalFontFamily: "var(--mono)", cursorMode: reduced ? "steady" : "blinking",
    speed: Number(speedBox.value), poster: `npt:${Math.max(at, 1)}`, ...idle,
  });
  player.addEventListener("play", () => { playing = true; });
  player.addEventListener("playing", () => { playing = true; });
  player.addEventListener("pause", () => { playing = false; });
  player.addEventListener("ended", () => { playing = false; });
  window.compagnonPlayer = player; // for tests
}

// To a second of the recording, and wait there: whoever looks for a moment wants to read it.
async function seek(second) {
  await player.play();
  await player.seek(asPlayed(second));
  await player.pause();
  tell();
}

async function again() {
  const at = asRecorded(player.getCurrentTime());
  const went = playing;
  measure();
  create(asPlayed(at));
  if (!at && !went) return;
  await player.play();
  await player.seek(asPlayed(at));
  if (!went) await player.pause();
}

function tell() {
  if (!player) return;
  const second = asRecorded(player.getCurrentTime());
  now.textContent = clock(second);
  let current = null;
  for (const one of document.querySelectorAll("#recording-steps [data-second]")) {
    if (Number(one.dataset.second) <= second + 0.05) current = one;
  }
  for (const one of document.querySelectorAll("#recording-steps [data-second]")) {
    one.toggleAttribute("aria-current", one === current);
  }
}

function clock(second) {
  const whole = Math.max(0, Math.floor(second));
  const two = (value) => String(value).padStart(2, "0");
  const hours = Math.floor(whole / 3600);
  return `${hours ? `${hours}:` : ""}${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
}

async function start() {
  try {
    await load();
  } catch {
    document.getElementById("replay-trouble").hidden = false;
    return;
  }
  create(0);
  if (holder.dataset.start) await seek(Number(holder.dataset.start));
  setInterval(tell, 250);
  speedBox.addEventListener("change", again);
  idleBox.addEventListener("change", again);
  document.addEventListener("click", (event) => {
    const chosen = event.target.closest("[data-second]");
    if (chosen) seek(Number(chosen.dataset.second));
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

// finding words

const HITS = 1000;
const box = document.getElementById("transcript-q");
const text = document.getElementById("transcript");
const count = document.getElementById("find-count");
const whole = text?.textContent ?? "";
const moments = JSON.parse(document.getElementById("transcript-moments")?.textContent ?? "[]");
let hits = []; // of each: its mark, and the second of the recording at which its line stood there
let hit = -1;

box?.addEventListener("input", () => find(box.value));
document.getElementById("transcript-find")?.addEventListener("submit", (event) => { event.preventDefault(); step(1); });
document.getElementById("find-previous")?.addEventListener("click", () => step(-1));

function find(words) {
  const wanted = words.trim().toLowerCase();
  const low = whole.toLowerCase();
  const pieces = [];
  hits = [];
  hit = -1;
  let from = 0;
  let line = 0;
  for (let at = wanted.length < 2 ? -1 : low.indexOf(wanted); at >= 0 && hits.length < HITS; at = low.indexOf(wanted, from)) {
    const mark = document.createElement("mark");
    mark.textContent = whole.slice(at, at + wanted.length);
    const before = whole.slice(from, at);
    line += before.split("\n").length - 1;
    hits.push({ mark, second: moments[line] });
    pieces.push(before, mark);
    from = at + wanted.length;
  }
  text.replaceChildren(...pieces, whole.slice(from));
  show();
  hits[0]?.mark.scrollIntoView({ block: "nearest" });
}

async function step(by) {
  if (!hits.length) return;
  hit = (hit + by + hits.length) % hits.length;
  show();
  hits[hit].mark.scrollIntoView({ block: "nearest" });
  // Moments are whole seconds: the words stand there at the end of theirs.
  if (hits[hit].second !== undefined && player) await seek(hits[hit].second + 1);
}

function show() {
  hits.forEach(({ mark }, index) => mark.classList.toggle("is-current", index === hit));
  const asked = box.value.trim().length >= 2;
  const some = count.dataset.some.replace("%n", String(hit + 1)).replace("%a", String(hits.length));
  count.textContent = !asked ? "" : hits.length ? some : count.dataset.none;
}
