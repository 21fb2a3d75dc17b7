// The page of logs: read a page of one, go back, follow it, choose lines and take them along.

import { askAbout, askWithButton } from "../kb/suggested.js";
import { say } from "../shell/toasts.js";

const KEPT = 5000; // lines on the page while a log is followed
const KEEP_EVERY = 25_000;

const page = JSON.parse(document.getElementById("session-data").textContent);
const part = (id) => document.getElementById(id);
const texts = part("log-texts") && JSON.parse(part("log-texts").textContent);
const fill = (text, values) => text.replace(/\{(\w+)\}/g, (all, name) => values[name] ?? all);

function start() {
  const form = part("log-form");
  const lines = part("log-lines");
  const box = part("log-box");
  const units = new Set();
  const when = new Intl.DateTimeFormat(texts.locale === "en" ? "en-GB" : texts.locale, { month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
  const long = new Intl.DateTimeFormat(texts.locale === "en" ? "en-GB" : texts.locale, { year: "2-digit", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const moment = (at) => (new Date(at).getFullYear() === new Date().getFullYear() ? when : long).format(at);
  let older = "";
  let newer = "";
  let follow = ""; // its name while a log is followed
  let active = null;
  let anchor = null;
  let asked = 0;

  const url = (path) => `/sessions/${page.id}/logs${path}`;
  const get = (path) => fetch(url(path), { headers: { "HX-Request": "true" } });
  const post = (path, values) => fetch(url(path), { method: "POST", headers: { "HX-Request": "true", "x-csrftoken": page.csrf, "Content-Type": "application/x-www-form-urlencoded" }, body: new URLSearchParams(values) });
  const tell = (text) => { if (part("log-state").textContent !== text) part("log-state").textContent = text; };
  const all = () => [...lines.querySelectorAll(".log-line")];
  const query = (more = {}) => new URLSearchParams({ ...Object.fromEntries(new FormData(form)), ...more });

  // reading

  async function sources() {
    try {
      const response = await get("");
      if (!response.ok) throw new Error(reason(response));
      part("log-source").innerHTML = await response.text();
      await read();
    } catch (error) {
      tell(error.message || texts.trouble);
      setTimeout(sources, 5000);
    }
  }

  async function read() {
    if (!form.elements.source.value) { tell(""); return; }
    const mine = ++asked;
    if (follow) stop();
    tell(texts.reading);
    const response = await get(`/lines?${query()}`).catch(() => null);
    if (mine !== asked) return; // asked for something else meanwhile
    if (!response?.ok) { tell(response ? reason(response) : texts.trouble); return; }
    lines.replaceChildren();
    choose(null);
    const facts = add(await response.text(), "end");
    ({ older, newer } = facts);
    box.scrollTop = box.scrollHeight;
    part("log-follow").disabled = Boolean(form.elements.source.selectedOptions[0]?.dataset.rotated);
    summary(facts);
  }

  async function back() {
    const cursor = older;
    part("log-older").disabled = true;
    const response = await get(`/lines?${query({ cursor })}`).catch(() => null);
    part("log-older").disabled = false;
    if (!response?.ok) { tell(response ? reason(response) : texts.trouble); return; }
    const below = box.scrollHeight - box.scrollTop;
    const facts = add(await response.text(), "start");
    older = facts.older;
    box.scrollTop = box.scrollHeight - below;
    summary(facts);
  }

  function add(html, where) {
    const template = document.createElement("template");
    template.innerHTML = html;
    const found = template.content.firstElementChild;
    const fresh = [...found.querySelectorAll(".log-line")];
    fresh.forEach(dress);
    lines[where === "end" ? "append" : "prepend"](...fresh);
    return { older: found.dataset.older, newer: found.dataset.newer, stopped: found.dataset.stopped };
  }

  function dress(line) {
    const at = Number(line.dataset.at);
    line.querySelector("time").textContent = at ? moment(at) : "";
    line.querySelector(".log-unit").title = line.dataset.unit;
    line.setAttribute("aria-selected", "false");
    const unit = line.dataset.unit;
    if (!unit || units.has(unit) || units.size > 300) return;
    units.add(unit);
    part("log-units").append(new Option(unit, unit));
  }

  function summary(facts = {}) {
    part("log-older").hidden = !older;
    const count = all().length;
    const words = count ? [fill(texts.lines, { n: count })] : [follow ? texts.noneFollowed : texts.none];
    if (facts.stopped) words.push(texts.stopped);
    if (follow) words.push(texts.following);
    tell(words.join(" · "));
  }

  // following

  async function begin() {
    const name = [...crypto.getRandomValues(new Uint8Array(8))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    follow = name;
    pressed(true);
    const response = await post("/follow", Object.fromEntries(query({ follow: name, cursor: newer }))).catch(() => null);
    if (response?.ok) summary();
    else if (follow === name) { follow = ""; pressed(false); tell(response ? reason(response) : texts.trouble); }
  }

  function stop() {
    if (follow) post("/leave", { follow }).catch(() => null);
    follow = "";
    pressed(false);
    summary();
  }

  function pressed(on) {
    part("log-follow").setAttribute("aria-pressed", String(on));
    part("log-follow").querySelector(".ti").className = `ti ti-player-${on ? "stop" : "play"}`;
  }

  async function keep() {
    if (!follow) return;
    const mine = follow;
    const response = await post("/keep", { follow: mine }).catch(() => null);
    if (response?.status === 409 && follow === mine) begin(); // the server or the agent began anew: go on behind the last line
  }

  function hear(note) {
    if (note.type === "welcome" && follow) { // the page was cut off: what came meanwhile was told to nobody here
      post("/leave", { follow }).catch(() => null);
      begin();
    }
    if (note.type !== "log" || note.follow !== follow) return;
    if (note.ended) { ended(note.ended); return; }
    const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
    for (const line of note.lines) lines.append(drawn(line));
    if (note.skipped) lines.append(gap(note.skipped));
    if (note.newer) newer = note.newer;
    while (lines.children.length > KEPT) lines.firstElementChild.remove();
    if (atEnd) box.scrollTop = box.scrollHeight;
    summary();
  }

  function ended(why) {
    follow = "";
    pressed(false);
    if (texts.failed[why]) tell(texts.failed[why]); else summary();
  }

  function drawn({ at, severity, unit, text }) {
    const line = document.createElement("div");
    const level = severity <= 3 ? " is-bad" : severity === 4 ? " is-warn" : severity === 7 ? " is-soft" : "";
    line.className = `log-line${level}`;
    line.role = "option";
    Object.assign(line.dataset, { at, unit });
    const cells = [document.createElement("time"), document.createElement("span"), document.createElement("span")];
    cells[1].className = "log-unit";
    cells[1].textContent = unit;
    cells[2].className = "log-text";
    cells[2].textContent = text;
    line.append(...cells);
    dress(line);
    return line;
  }

  function gap(count) {
    const line = document.createElement("div");
    line.className = "log-gap";
    line.textContent = fill(texts.skipped, { n: count });
    return line;
  }

  // choosing

  const chosen = () => all().filter((line) => line.getAttribute("aria-selected") === "true");
  const words = (line) => [line.querySelector("time").textContent, line.dataset.unit, line.querySelector(".log-text").textContent].filter(Boolean).join("  ");

  function selected() {
    const marked = getSelection().toString();
    return marked || chosen().map((line) => line.querySelector(".log-text").textContent).join("\n");
  }

  function choose(line, { extend = false, toggle = false } = {}) {
    const every = all();
    if (extend && anchor && line) {
      const [from, to] = [every.indexOf(anchor), every.indexOf(line)].sort((a, b) => a - b);
      every.forEach((one, index) => mark(one, index >= from && index <= to));
    } else if (toggle && line) {
      mark(line, line.getAttribute("aria-selected") !== "true");
      anchor = line;
    } else {
      every.forEach((one) => mark(one, one === line));
      anchor = line;
    }
    move(line);
    offer();
  }

  function mark(line, on) { line.setAttribute("aria-selected", String(on)); }

  function move(line) {
    active?.classList.remove("is-active");
    active?.removeAttribute("id");
    active = line;
    if (!line) { lines.removeAttribute("aria-activedescendant"); return; }
    line.classList.add("is-active");
    line.id = "log-active";
    lines.setAttribute("aria-activedescendant", line.id);
  }

  function offer() {
    const count = chosen().length;
    part("log-chosen").textContent = count ? fill(texts.chosen, { n: count }) : part("log-chosen").dataset.hint;
    for (const id of ["log-ask", "log-note", "log-copy"]) part(id).disabled = !count;
    document.dispatchEvent(new Event("log:chosen"));
  }

  lines.addEventListener("click", (event) => {
    const line = event.target.closest(".log-line");
    if (!line || getSelection().toString()) return; // somebody marks text to copy it
    choose(line, { extend: event.shiftKey, toggle: event.ctrlKey || event.metaKey });
  });
  lines.addEventListener("keydown", (event) => {
    const every = all();
    const at = every.indexOf(active);
    const to = { ArrowDown: at + 1, ArrowUp: at < 0 ? every.length - 1 : at - 1, Home: 0, End: every.length - 1, PageDown: at + 20, PageUp: at - 20 }[event.key];
    if (to !== undefined && every.length) {
      const line = every[Math.max(0, Math.min(to, every.length - 1))];
      choose(line, { extend: event.shiftKey });
      line.scrollIntoView({ block: "nearest" });
    } else if (event.key === " " && active) choose(active, { toggle: true });
    else if (event.key === "a" && (event.ctrlKey || event.metaKey)) { every.forEach((line) => mark(line, true)); offer(); }
    else if (event.key === "c" && (event.ctrlKey || event.metaKey) && !getSelection().toString()) copy();
    else if (event.key === "Escape") choose(null);
    else return;
    event.preventDefault();
  });

  // taking along

  async function copy() {
    await navigator.clipboard?.writeText(chosen().map(words).join("\n"));
    say(texts.copied, "success");
  }

  async function note() {
    part("log-note").disabled = true;
    const source = form.elements.source.selectedOptions[0]?.textContent ?? "";
    const response = await post("/note", { lines: [source, ...chosen().map(words)].join("\n") }).catch(() => null);
    part("log-note").disabled = false;
    const toast = response && said(response);
    say(toast?.text ?? texts.trouble, toast?.kind ?? "warning");
  }

  part("log-ask").addEventListener("click", () => askAbout(selected()));
  part("log-note").addEventListener("click", note);
  part("log-copy").addEventListener("click", copy);
  part("log-older").addEventListener("click", back);
  part("log-follow").addEventListener("click", () => (follow ? stop() : begin()));
  form.addEventListener("submit", (event) => { event.preventDefault(); read(); });
  form.addEventListener("change", (event) => { if (event.target.matches("select, [type=checkbox]")) read(); });
  document.addEventListener("session:note", ({ detail }) => hear(detail));
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey && event.shiftKey && event.key.toLowerCase() === "f") { event.preventDefault(); askAbout(selected()); return; }
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]") || event.target.matches("input, textarea, select")) return;
    if (event.key === "f") { event.preventDefault(); form.elements.text.focus(); }
  });
  askWithButton(selected, (changed) => {
    document.addEventListener("selectionchange", changed);
    document.addEventListener("log:chosen", changed);
  });
  part("log-chosen").dataset.hint = part("log-chosen").textContent;
  setInterval(keep, KEEP_EVERY);
  sources();
}

function said(response) {
  try { return JSON.parse(response.headers.get("HX-Trigger")).toasts.items[0]; } catch { return null; }
}

// Why the server refused, in the reader's language.
function reason(response) { return said(response)?.text ?? texts.trouble; }

if (texts) start();
