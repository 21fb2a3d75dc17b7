// The chat with the person at the machine: lines as they come, who is writing, and nothing lost that was not sent.

import { link } from "./call_session.js";

const form = document.getElementById("chat-form");
const box = document.getElementById("chat-text");
const lines = document.getElementById("chat-lines");
const typing = document.getElementById("chat-typing");
const closed = document.getElementById("chat-window");
const me = JSON.parse(document.getElementById("session-data").textContent).me;
const TYPING_SHOWN = 5000;
const TYPING_EVERY = 2500;
let quiet = 0;
let toldTyping = 0;

const moved = () => document.dispatchEvent(new Event("chat-moved"));

function showTyping(note) {
  if (note.id === me) return;
  typing.textContent = typing.dataset.typing.replace("%s", note.id === null ? typing.dataset.person : note.name);
  clearTimeout(quiet);
  quiet = setTimeout(() => { typing.textContent = ""; }, TYPING_SHOWN);
}

document.addEventListener("session:note", ({ detail: note }) => {
  if (!form) return;
  if (note.type === "typing") showTyping(note);
  if (note.type === "chat" || note.type === "welcome") { typing.textContent = ""; moved(); }
  if ("window" in note) closed.hidden = note.window;
});

// What is read further up stays where it is; at the end, the end stays in sight.
let atEnd = true;
lines?.addEventListener("scroll", () => { atEnd = lines.scrollHeight - lines.scrollTop - lines.clientHeight < 40; });
lines?.addEventListener("htmx:afterSwap", () => { if (atEnd) lines.scrollTop = lines.scrollHeight; });

// A line that was not taken stays in the box, and keeps its key: sent again, it is said once.
let written = "";
form?.addEventListener("htmx:beforeRequest", () => { written = box.value; });
form?.addEventListener("htmx:afterRequest", ({ detail }) => {
  if (!detail.successful) return;
  form.elements.key.value = crypto.randomUUID();
  if (box.value === written) box.value = "";
  atEnd = true;
  box.focus();
  moved();
});
box?.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  if (box.value.trim()) form.requestSubmit();
});
box?.addEventListener("input", () => {
  if (Date.now() - toldTyping < TYPING_EVERY) return;
  toldTyping = Date.now();
  link.say("typing");
});
