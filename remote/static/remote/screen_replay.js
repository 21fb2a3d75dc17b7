// The replay of a screen: the recording's tiles ("s" events of the asciicast file) on a canvas, with play, seek and speed.

import { Canvas, parse, SCREEN } from "./tiles.js";

const holder = document.getElementById("screen-replay");
const playButton = document.getElementById("replay-play");
const range = document.getElementById("replay-at");
const time = document.getElementById("replay-time");
const speed = document.getElementById("replay-speed");
const canvas = new Canvas(document.getElementById("replay-canvas"));
const events = []; // {t, kind, key, source}: a source is the record as base64, decoded when it is drawn
let duration = 0;
let now = 0;
let next = 0;
let playing = false;
let last = 0;

async function load() {
  const response = await fetch(holder.dataset.source);
  if (!response.ok) throw new Error(String(response.status));
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
    const lines = (rest + piece.value).split("\n");
    rest = lines.pop();
    for (const line of lines) take(line);
  }
}

function take(line) {
  if (!line.startsWith("[")) return;
  const [pause, code, data] = JSON.parse(line);
  duration += pause;
  if (code !== "s") return;
  const head = parse(decoded(data.slice(0, 20)));
  events.push({ t: duration, kind: head.kind, key: head.y * 65536 + head.x, source: data });
}

function decoded(base64) {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

const show = (event) => canvas.draw(parse(decoded(event.source)));

// The picture at a moment: the last size before it, and the last tile of each place since.
function seek(to) {
  now = Math.max(0, Math.min(duration, to));
  let end = 0;
  let from = 0;
  while (end < events.length && events[end].t <= now) {
    if (events[end].kind === SCREEN) from = end;
    end += 1;
  }
  if (end === 0 && events.length) end = firstPicture();
  const places = new Map();
  for (let at = from; at < end; at += 1) {
    if (events[at].kind === SCREEN) places.clear();
    places.set(events[at].kind === SCREEN ? "screen" : events[at].key, events[at]);
  }
  next = end;
  for (const event of places.values()) show(event);
  tell();
}

// Before anything was seen: the first whole picture, rather than nothing.
function firstPicture() {
  const until = events[0].t + 1;
  let end = 0;
  while (end < events.length && events[end].t <= until) end += 1;
  return end;
}

function step(at) {
  if (!playing) return;
  now += ((at - last) / 1000) * Number(speed.value);
  last = at;
  while (next < events.length && events[next].t <= now) show(events[next++]);
  if (now >= duration) { now = duration; play(false); }
  tell();
  requestAnimationFrame(step);
}

function play(on) {
  playing = on;
  playButton.querySelector("span").textContent = on ? playButton.dataset.pause : playButton.dataset.play;
  playButton.querySelector("i").className = `ti ti-player-${on ? "pause" : "play"}`;
  if (!on) return;
  if (now >= duration) seek(0);
  last = performance.now();
  requestAnimationFrame(step);
}

const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
function tell() {
  range.value = String(now);
  range.setAttribute("aria-valuetext", clock(now));
  time.textContent = `${clock(now)} / ${clock(duration)}`;
}

playButton.addEventListener("click", () => play(!playing));
range.addEventListener("input", () => seek(Number(range.value)));
document.addEventListener("click", (event) => {
  const chosen = event.target.closest("[data-second]");
  if (chosen) seek(Number(chosen.dataset.second));
});
document.addEventListener("keydown", (event) => {
  if (event.key !== " " || event.target.closest("input, select, textarea, button, a, summary")) return;
  event.preventDefault();
  play(!playing);
});

playButton.disabled = true;
load().then(() => {
  range.max = String(duration);
  playButton.disabled = false;
  seek(Number(holder.dataset.start ?? 0));
}).catch(() => { document.getElementById("replay-trouble").hidden = false; }).finally(() => {
  document.getElementById("replay-loading").hidden = true;
});
