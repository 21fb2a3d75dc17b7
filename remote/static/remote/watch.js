// A client watches a session by link. The secret is in the address's fragment; it goes to the server once, in the socket.

import * as frames from "./frames.js";
import { Pulse } from "./pulse.js";
import { Screen } from "./screen.js";

const page = JSON.parse(document.getElementById("watch-data").textContent);
const texts = page.texts;
const secret = location.hash.slice(1);
const part = (id) => document.getElementById(id);

let screen = null;
let socket = null;
let offset = null;
let replayUntil = 0;
let tries = 0;
let over = false;
const pulse = new Pulse(() => socket?.send(JSON.stringify({ type: "ping" })), drop);

function connect() {
  if (over) return;
  const address = new URL(`/watch/${page.id}/ws`, location.href);
  address.protocol = address.protocol.replace("http", "ws");
  address.hash = "";
  socket = new WebSocket(address);
  pulse.dialled();
  socket.binaryType = "arraybuffer";
  socket.onopen = () => { offset = null; socket.send(JSON.stringify({ secret })); };
  socket.onmessage = (event) => { pulse.heard(); if (typeof event.data === "string") hear(JSON.parse(event.data)); else draw(frames.decode(event.data)); };
  socket.onclose = lose;
}

function drop() {
  socket.onclose = null;
  socket.close();
  lose();
}

function lose() {
  socket = null;
  pulse.lost();
  if (over) return;
  say(texts.cut, "bad");
  setTimeout(connect, Math.random() * Math.min(3000, 500 * 2 ** tries++));
}

const HEARD = {
  welcome(note) {
    tries = 0;
    start();
    replayUntil = note.end;
    screen.size(note.columns, note.rows);
    say(note.agent ? texts.open : texts.agentAway, note.agent ? "ok" : "warn");
  },
  link(note) { say(note.agent ? texts.open : texts.agentAway, note.agent ? "ok" : "warn"); },
  size(note) { screen?.size(note.columns, note.rows); },
  people(note) {
    const names = note.people.filter((one) => one.id).map((one) => (one.driver ? texts.keyboard.replace("%s", one.name) : one.name));
    part("watch-people").textContent = names.length ? texts.there.replace("%s", names.join(", ")) : texts.nobody;
  },
  ended() { end(texts.over); },
  refused(note) { end(note.reason || texts.refused); },
};

function hear(note) { HEARD[note.type]?.(note); }

function start() {
  if (screen) return;
  part("terminal").hidden = false;
  part("watch-stop").hidden = false;
  screen = new Screen(part("terminal"), { typed() {}, resized() {}, asked() {} });
  screen.driving = false;
  window.compagnonTerminal = screen.terminal; // for tests
}

function draw(frame) {
  if (!screen) return;
  if (frame.kind === frames.SNAPSHOT) {
    offset = frame.offset;
    screen.reset(frame.payload);
    showOnceRead(offset);
    return;
  }
  if (frame.kind !== frames.DATA) return;
  const fresh = offset === null ? frame.payload : frame.payload.subarray(Math.max(0, offset - frame.offset));
  if (!fresh.length) return;
  offset = frame.offset + frame.payload.length;
  const upto = offset;
  screen.write(fresh, true, () => { showOnceRead(upto); if (socket?.readyState === WebSocket.OPEN) socket.send(frames.ack(upto, 0)); });
}

function showOnceRead(upto) {
  if (upto >= replayUntil) screen.show();
}

function end(text) {
  over = true;
  part("watch-stop").hidden = true;
  say(text, "off");
  pulse.lost();
  socket?.close();
}

function say(text, tone) {
  part("link-state").textContent = text;
  part("link-state").dataset.tone = tone;
}

part("watch-stop").addEventListener("click", () => {
  if (window.confirm(texts.sure)) socket?.send(JSON.stringify({ type: "stop" }));
});

if (secret) connect(); else end(texts.refused);
