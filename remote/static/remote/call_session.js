// The page of a session without a terminal: who is there, whether the link holds, and the reload when its state moves.

import { SessionLink } from "./link.js";

const page = JSON.parse(document.getElementById("session-data").textContent);
const texts = page.texts;
const line = document.getElementById("link-state");
let agent = false;
let frozen = false;
let alone = false; // four eyes are asked for, and nobody else is here

function say(text, tone) {
  if (line.textContent !== text) line.textContent = text;
  line.dataset.tone = tone;
}

function show() {
  if (frozen) say(texts.frozen, "bad");
  else if (alone) say(texts.alone, "bad");
  else if (!agent) say(texts.agentAway, "warn");
  else say(texts.open, "ok");
}

// Whoever draws a capability listens for these: document.addEventListener("session:note", …).
function hear(note) {
  if ("agent" in note) agent = note.agent;
  if ("frozen" in note) frozen = note.frozen;
  if ("alone" in note) alone = note.alone;
  if (note.type === "welcome" && page.state !== "open") { location.reload(); return; }
  show();
  document.dispatchEvent(new CustomEvent("session:note", { detail: note }));
}

export const link = new SessionLink(page, {
  hear,
  draw: (data) => document.dispatchEvent(new CustomEvent("session:frame", { detail: data })),
  cut: () => say(texts.cut, "bad"),
  waiting: () => say(texts.waiting, "warn"),
  refused: () => say(texts.left, "bad"),
  ended: () => { if (page.state !== "ended") location.reload(); },
});

if (page.state === "ended") say(texts.over, "off"); else link.connect();
