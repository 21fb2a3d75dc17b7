// The terminal page: one socket, taken up again by itself, and what it says around the screen.

import { askAbout, askWithButton } from "../kb/suggested.js";
import * as frames from "./frames.js";
import { Keyboard } from "./keyboard.js";
import { SessionLink } from "./link.js";
import { Pointing } from "./pointing.js";
import { Screen } from "./screen.js";

const page = JSON.parse(document.getElementById("session-data").textContent);
const texts = page.texts;
const part = (id) => document.getElementById(id);

const ACK_EVERY = 64 * 1024; // bytes drawn between two acknowledgements
const ACK_LATEST = 200; // milliseconds

let offset = null; // how far the output was written to the screen
let drawn = 0;
let acknowledged = 0;
let ackTimer = 0;
let replayUntil = 0;
let driver = null;
let people = [];
let agent = false;
let frozen = false;
let alone = false; // four eyes are asked for, and nobody else is here
let asking = null; // who asked for the keyboard last
let pointing = null;
let open = false;
let ctrl = false;

const keyboard = new Keyboard(
  (bytes, at) => link.send(frames.data(bytes, at)),
  (number) => link.say("again", { number }),
  showTyped,
);
const link = new SessionLink(page, {
  hear,
  draw: (data) => draw(frames.decode(data)),
  cut: () => { open = false; keyboard.hold(); show(); },
  waiting: () => say(texts.waiting, "warn"),
  refused: () => say(texts.left, "bad"),
  ended: end,
}, () => offset);
let screen = null;

function startScreen() {
  if (screen) return;
  part("terminal").hidden = false;
  part("waiting").hidden = true;
  screen = new Screen(part("terminal"), {
    typed: (text) => keyboard.type(withCtrl(text)),
    resized: (columns, rows) => link.send(frames.resize(columns, rows)),
    asked: askAbout,
    shown,
  });
  window.compagnonTerminal = screen.terminal; // for tests and assistive scripts
}

function shown() {
  askWithButton(() => screen.terminal.getSelection(), (changed) => screen.terminal.onSelectionChange(changed));
  pointing = new Pointing(screen.terminal, part("point"), (place) => link.say("point", place));
  screen.terminal.focus();
}

function showOnceRead(upto) {
  if (upto >= replayUntil) screen.show();
}

// what it says

const HEARD = {
  welcome(note) {
    open = true;
    agent = note.agent;
    frozen = note.frozen;
    alone = note.alone;
    replayUntil = note.end;
    startScreen();
    screen.size(note.columns, note.rows);
    showOnceRead(drawn);
    setDriver(note.driver);
    keyboard.connected();
    if (note.typed !== null) keyboard.resume(note.typed, note.confirmed); else keyboard.hold();
  },
  people(note) { people = note.people; setDriver(note.driver); },
  link(note) { agent = note.agent; if (!agent) keyboard.hold(); },
  resume(note) { keyboard.resume(note.upto, note.confirmed, note.number); },
  typed(note) { keyboard.arrived(note.upto); },
  hold() { keyboard.hold(); },
  refused(note) { if (keyboard.refused(note.upto)) announce(texts.refused); },
  frozen(note) { frozen = note.frozen; if (frozen) keyboard.hold(); },
  eyes(note) { alone = note.alone; if (alone) keyboard.hold(); },
  point(note) { pointing?.show(note); },
  size(note) { screen?.size(note.columns, note.rows); },
  asks(note) { if (driver === page.me && note.id !== page.me) { asking = note.id; offer(note); } },
};

function hear(note) {
  HEARD[note.type]?.(note);
  show();
}

function draw(frame) {
  if (!screen) startScreen();
  if (frame.kind === frames.SNAPSHOT) {
    offset = drawn = acknowledged = frame.offset;
    replayUntil = Math.max(replayUntil, frame.offset);
    screen.reset(frame.payload);
    showOnceRead(drawn);
    return;
  }
  if (frame.kind !== frames.DATA) return;
  const fresh = offset === null ? frame.payload : frame.payload.subarray(Math.max(0, offset - frame.offset));
  if (!fresh.length) return;
  offset = frame.offset + frame.payload.length;
  const upto = offset;
  screen.write(fresh, upto <= replayUntil, () => { drawn = upto; showOnceRead(upto); acknowledge(); });
}

function acknowledge() {
  clearTimeout(ackTimer);
  if (drawn - acknowledged >= ACK_EVERY) sendAck(); else ackTimer = setTimeout(sendAck, ACK_LATEST);
}

function sendAck() {
  if (!link.ready || drawn === acknowledged) return;
  acknowledged = drawn;
  link.send(frames.ack(drawn, 0));
}

function end() {
  open = false;
  keyboard.hold();
  show();
  if (screen) screen.driving = false;
  part("waiting").hidden = screen !== null;
  if (!screen) location.reload();
}

// around the screen

function setDriver(id) {
  const before = driver;
  driver = id;
  if (screen && (before !== driver || driver === page.me)) screen.driving = driver === page.me;
  const here = people.some((person) => person.id === driver);
  part("ask-keyboard").hidden = driver === page.me || !here;
  part("take-keyboard").hidden = driver === page.me || here;
}

function show() {
  if (link.over) say(texts.over, "off");
  else if (!open) say(link.tries > 0 || screen ? texts.cut : texts.connecting, "bad");
  else if (frozen) say(texts.frozen, "bad");
  else if (alone) say(texts.alone, "bad");
  else if (!agent) say(texts.agentAway, "warn");
  else say(texts.open, "ok");
  const holder = people.find((person) => person.id === driver);
  const text = driver === page.me ? texts.driving : holder ? texts.watching.replace("%s", holder.name) : texts.nobody;
  part("driver-state").textContent = open ? text : "";
}

function say(text, tone) {
  const line = part("link-state");
  if (line.textContent !== text) line.textContent = text;
  line.dataset.tone = tone;
}

function showTyped() {
  const held = keyboard.held;
  part("typed").hidden = !held;
  part("forget-typed").hidden = !keyboard.forgettable;
  part("typed-text").textContent = held ? readable(keyboard.text) : "";
}

function readable(text) {
  return text.slice(-400).replace(/[\x00-\x1f\x7f]/g, (c) => (c === "\r" ? "⏎" : c === "\x7f" ? "⌫" : c === "\t" ? "⇥" : `^${String.fromCharCode(c.charCodeAt(0) + 64)}`));
}

function announce(text, button) {
  const item = document.createElement("div");
  item.className = "toast-item toast-info";
  const words = document.createElement("span");
  words.textContent = text;
  item.append(words);
  if (button) item.append(button);
  part("toasts").append(item);
  setTimeout(() => item.remove(), button ? 20_000 : 5000);
}

function offer(note) {
  if (part("toasts").querySelector(`[data-asks="${Number(note.id)}"]`)) return; // asked twice, offered once
  const button = document.createElement("button");
  button.type = "button";
  button.dataset.asks = note.id;
  button.className = "btn btn-sm btn-primary";
  button.textContent = texts.give;
  button.addEventListener("click", () => { handOver(note.id); button.closest(".toast-item").remove(); });
  announce(texts.asks.replace("%s", note.name), button);
}

function handOver(to) {
  const headers = { "x-csrftoken": page.csrf, "Content-Type": "application/x-www-form-urlencoded" };
  fetch(`/sessions/${page.id}/hand-over`, { method: "POST", headers, body: new URLSearchParams({ to }), redirect: "manual" });
}

// keys that a phone does not have

const KEYS = { esc: "\x1b", tab: "\t", up: "\x1b[A", down: "\x1b[B", left: "\x1b[D", right: "\x1b[C", ctrlc: "\x03" };

function withCtrl(text) {
  if (!ctrl || text.length !== 1) return text;
  setCtrl(false);
  const code = text.toUpperCase().charCodeAt(0);
  return code >= 64 && code < 96 ? String.fromCharCode(code - 64) : text;
}

function setCtrl(on) {
  ctrl = on;
  document.querySelector("[data-key=ctrl]").setAttribute("aria-pressed", String(on));
}

document.addEventListener("click", (event) => {
  const key = event.target.closest("[data-key]")?.dataset.key;
  if (key === "ctrl") setCtrl(!ctrl);
  else if (key && driver === page.me) keyboard.type(KEYS[key]);
  if (key) screen?.terminal.focus();
  const to = event.target.closest("[data-hand-over]");
  if (to) handOver(to.dataset.handOver);
});
function askForKeyboard() {
  link.say("ask");
  announce(texts.asked);
}

// Ctrl+Shift+K: give the keyboard to who asked for it, ask for it, or take it when its holder has gone.
document.addEventListener("keydown", (event) => {
  if (!event.ctrlKey || !event.shiftKey || event.altKey || event.key.toLowerCase() !== "k" || !open) return;
  event.preventDefault();
  event.stopPropagation();
  if (driver !== page.me) part("take-keyboard").hidden ? askForKeyboard() : handOver(page.me);
  else if (asking !== null && people.some((person) => person.id === asking)) { handOver(asking); asking = null; }
}, true);
part("ask-keyboard").addEventListener("click", askForKeyboard);
part("take-keyboard").addEventListener("click", () => handOver(page.me));
part("smaller").addEventListener("click", () => screen?.larger(-1));
part("larger").addEventListener("click", () => screen?.larger(1));
part("forget-typed").addEventListener("click", () => keyboard.forgetHeld());

show();
link.connect();
