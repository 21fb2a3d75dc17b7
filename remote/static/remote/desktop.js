// The screen of a machine: its picture, everybody's pointers and, once the person said yes to that too, mouse and keyboard.

import { link } from "./call_session.js";
import { ack, decode } from "./frames.js";
import { Canvas, parse } from "./tiles.js";

const page = JSON.parse(document.getElementById("session-data").textContent);
const texts = JSON.parse(document.getElementById("desktop-texts")?.textContent ?? "{}");
const canvas = document.getElementById("desktop-canvas");
const keys = document.getElementById("desktop-keys"); // what is typed lands here first
const pointers = document.getElementById("desktop-pointers");
const state = document.getElementById("desktop-control");
const trouble = document.getElementById("desktop-trouble");
const askButton = document.getElementById("ask-control");
const endButton = document.getElementById("end-control");
const choice = document.getElementById("monitor");
const WHOLE = 65535;
const POINT_EVERY = 100;
const SEND_EVERY = 40;
const POINTER_SHOWN = 4000;
const WIDEST = 1920;
const HELD = new Set(["Shift", "Control", "Alt", "Meta"]); // their repetition says nothing
let driver = null;
let controller = null;
let code = "";
let pointedAt = 0;
let waiting = [];
let wheel = { x: 0, y: 0 };

const inControl = () => controller === page.me && driver === page.me;

// ---- the picture

const drawing = canvas && new Canvas(canvas, (screen) => {
  const several = screen.y > 1;
  document.getElementById("monitor-choice").hidden = !several;
  if (choice.options.length !== screen.y) {
    choice.replaceChildren(...Array.from({ length: screen.y }, (_, at) => new Option(String(at + 1), String(at + 1))));
  }
  choice.value = String(screen.x);
});

document.addEventListener("session:frame", ({ detail }) => {
  if (!drawing) return;
  const frame = decode(detail);
  const upto = frame.offset + frame.payload.length;
  const socket = link.socket;
  drawing.draw(parse(frame.payload)).then(() => { if (link.socket === socket) link.send(ack(upto, 0)); });
});

function tellView(monitor = 0) {
  const shown = Math.round(canvas.parentElement.clientWidth * Math.min(2, devicePixelRatio));
  link.say("view", { monitor, width: Math.max(320, Math.min(WIDEST, shown)) });
}

choice?.addEventListener("change", () => tellView(Number(choice.value)));
let resizing = 0;
addEventListener("resize", () => { clearTimeout(resizing); resizing = setTimeout(() => canvas && tellView(), 500); });
document.getElementById("full-screen")?.addEventListener("click", () => document.getElementById("desktop").requestFullscreen?.());

// ---- what the server tells

document.addEventListener("session:note", ({ detail: note }) => {
  if (!canvas) return;
  if ("driver" in note) driver = note.driver;
  if ("controller" in note) { controller = note.controller; showControl(note.asking); }
  else if ("driver" in note) showControl(false);
  if ("trouble" in note) {
    trouble.hidden = !note.trouble;
    trouble.textContent = note.trouble === "silent" ? texts.silent : texts.trouble.replace("%s", note.trouble);
  }
  if (note.type === "welcome") tellView();
  if (note.type === "pointer") showPointer(note);
});

let had = false;
function showControl(asking) {
  const mine = inControl();
  askButton.hidden = driver !== page.me || controller !== null || asking;
  endButton.hidden = !mine;
  canvas.classList.toggle("is-controlled", mine);
  let text = "";
  if (asking) text = driver === page.me && code ? texts.asking.replace("%s", code) : texts.askingOther;
  else if (mine) text = texts.mine;
  else if (controller !== null) text = texts.other;
  else if (had) text = texts.refused;
  if (mine && !had) keys.focus({ preventScroll: true });
  had = asking || controller !== null;
  if (!asking) code = "";
  state.textContent = text;
  state.hidden = !text;
}

async function post(path) {
  const answer = await fetch(`/sessions/${page.id}/screen/${path}`, { method: "POST", headers: { "x-csrftoken": page.csrf } });
  if (!answer.ok) throw new Error(String(answer.status));
  return answer;
}

function failed() {
  state.hidden = false;
  state.textContent = texts.failed;
}

askButton?.addEventListener("click", async () => {
  try {
    code = (await (await post("control")).json()).code;
    if (controller === null && had) { state.textContent = texts.asking.replace("%s", code); state.hidden = false; }
  } catch { failed(); }
});
endButton?.addEventListener("click", () => post("control/end").catch(failed));

// ---- pointers

function place(event) {
  const box = canvas.getBoundingClientRect();
  const part = (value, size) => Math.max(0, Math.min(WHOLE, Math.round((value / size) * WHOLE)));
  return { x: part(event.clientX - box.left, box.width), y: part(event.clientY - box.top, box.height) };
}

const shown = new Map();
function showPointer(note) {
  let one = shown.get(note.id);
  if (!one) {
    one = { element: document.createElement("span"), hide: 0 };
    one.element.className = "desktop-pointer";
    one.element.textContent = note.name;
    shown.set(note.id, one);
    pointers.append(one.element);
  }
  one.element.style.left = `${(note.x / WHOLE) * 100}%`;
  one.element.style.top = `${(note.y / WHOLE) * 100}%`;
  one.element.hidden = false;
  clearTimeout(one.hide);
  one.hide = setTimeout(() => { one.element.hidden = true; }, POINTER_SHOWN);
}

// ---- mouse and keyboard

function add(event) {
  const last = waiting.at(-1);
  if (event.what === "move" && last?.what === "move") waiting.pop();
  waiting.push(event);
}

setInterval(() => {
  if (wheel.x || wheel.y) { waiting.push({ what: "wheel", dx: clamp(wheel.x), dy: clamp(wheel.y) }); wheel = { x: 0, y: 0 }; }
  while (waiting.length) link.say("input", { events: waiting.splice(0, 64) });
}, SEND_EVERY);

const clamp = (value) => Math.max(-20, Math.min(20, Math.round(value)));

canvas?.addEventListener("pointermove", (event) => {
  if (inControl()) { add({ what: "move", ...place(event) }); return; }
  if (Date.now() - pointedAt < POINT_EVERY) return;
  pointedAt = Date.now();
  link.say("pointer", place(event));
});

for (const [name, down] of [["pointerdown", true], ["pointerup", false]]) {
  canvas?.addEventListener(name, (event) => {
    if (!inControl() || event.button > 2) return;
    event.preventDefault();
    keys.focus({ preventScroll: true });
    if (down) canvas.setPointerCapture(event.pointerId);
    add({ what: "move", ...place(event) });
    add({ what: "button", button: event.button, down });
  });
}
canvas?.addEventListener("contextmenu", (event) => { if (inControl()) event.preventDefault(); });
canvas?.addEventListener("wheel", (event) => {
  if (!inControl()) return;
  event.preventDefault();
  const step = event.deltaMode === 0 ? 1 / 100 : 1 / 3;
  wheel.x += event.deltaX * step;
  wheel.y += event.deltaY * step;
}, { passive: false });

// What makes a character is typed as that character, whatever the two keyboards look like, dead keys and input methods
// included: it is read from a field. Everything else is a key.
const isText = (event) => {
  if (["Dead", "Process", "Unidentified", "AltGraph"].includes(event.key)) return true;
  if ([...event.key].length !== 1) return false;
  return (!event.ctrlKey && !event.altKey && !event.metaKey) || event.getModifierState("AltGraph");
};

function onKey(event, down) {
  if (!inControl() || event.isComposing || isText(event)) return;
  event.preventDefault();
  if (event.ctrlKey && event.altKey && event.key === "Escape") { keys.blur(); return; }
  if (event.key.length <= 20 && !(event.repeat && HELD.has(event.key))) add({ what: "key", key: event.key, down });
}

function typed() {
  const characters = [...keys.value];
  keys.value = "";
  if (!inControl()) return;
  while (characters.length) add({ what: "text", text: characters.splice(0, 10).join("") });
}

keys?.addEventListener("keydown", (event) => onKey(event, true));
keys?.addEventListener("keyup", (event) => onKey(event, false));
keys?.addEventListener("input", (event) => { if (!event.isComposing) typed(); });
keys?.addEventListener("compositionend", typed);
keys?.addEventListener("blur", () => { if (inControl()) add({ what: "release" }); });
