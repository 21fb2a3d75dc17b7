// The page of a session for files: folders by their address behind #, what is dropped, what arrives.

import { say } from "../shell/toasts.js";
import { Queue, Upload, dropped } from "./uploads.js";

const session = JSON.parse(document.getElementById("session-data").textContent);
const texts = JSON.parse(document.getElementById("files-data").textContent);
const base = `/sessions/${session.id}/files`;
const page = { id: session.id, csrf: session.csrf, texts };
const box = document.getElementById("files");
const filter = document.getElementById("files-q");
const hidden = document.getElementById("files-hidden");
const rate = document.getElementById("files-rate");
const list = document.getElementById("transfers");
const queue = new Queue();
const UNFINISHED = `files-unfinished:${session.id}`;
let order = "name";
let down = false;
let replaceAll = null;
let asked = 0;

const fill = (text, facts) => text.replace(/%[a-z]/g, (sign) => facts[sign[1]] ?? "");
const key = () => location.hash.slice(1); // percent-encoded, and it stays so

export function size(bytes) {
  let unit = 0;
  while (bytes >= 1000 && unit < texts.units.length - 1) { bytes /= 1000; unit++; }
  return `${bytes.toLocaleString(document.documentElement.lang, { maximumFractionDigits: unit ? 1 : 0 })} ${texts.units[unit]}`;
}

// Folders

function address(start = 0) {
  const query = new URLSearchParams({ path: key(), order, down: down ? 1 : 0, hidden: hidden.checked ? 1 : 0, q: filter.value.trim(), start });
  return `${base}?${query}`;
}

async function fetched(where) {
  const response = await fetch(where, { headers: { accept: "application/json, text/html;q=0.5" } });
  if (response.ok) return response.text();
  const answer = await response.json().catch(() => ({}));
  throw Object.assign(new Error(answer.error || texts.failed), { code: answer.code });
}

async function show(focus = false) {
  const mine = ++asked;
  box.classList.add("is-busy");
  try {
    const html = await fetched(address());
    if (mine !== asked) return; // somebody went on meanwhile
    box.innerHTML = html;
    rate.value = box.querySelector("[data-rate]").dataset.rate;
    if (focus) box.querySelector("tbody [data-open]")?.focus();
  } catch (error) {
    if (mine !== asked) return;
    say(error.message, "warning");
    if (key() && ["not_found", "outside", "link", "not_folder", "name"].includes(error.code)) { say(texts.toTop, "info"); location.hash = ""; }
  } finally {
    if (mine === asked) box.classList.remove("is-busy");
  }
}

async function more(button) {
  button.disabled = true;
  try {
    const html = await fetched(address(button.dataset.next));
    const holder = document.createElement("tbody");
    holder.innerHTML = html;
    button.closest("tr").replaceWith(...holder.children);
    watchEnd();
  } catch (error) { button.disabled = false; say(error.message, "warning"); }
}

const atEnd = new IntersectionObserver((seen) => { for (const one of seen) if (one.isIntersecting && !one.target.disabled) more(one.target); });
function watchEnd() {
  atEnd.disconnect();
  const button = box.querySelector("[data-next]");
  if (button) atEnd.observe(button);
}
new MutationObserver(watchEnd).observe(box, { childList: true });

let typing = 0;
filter.addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(show, 200); });
hidden.addEventListener("change", () => show());
addEventListener("hashchange", () => { filter.value = ""; show(true); });

box.addEventListener("click", (event) => {
  const sort = event.target.closest("[data-order]");
  if (sort) {
    down = sort.dataset.order === order ? !down : sort.dataset.order !== "name";
    order = sort.dataset.order;
    show().then(() => box.querySelector(`[data-order="${order}"]`)?.focus());
    return;
  }
  const next = event.target.closest("[data-next]");
  if (next) more(next);
  const act = event.target.closest("[data-act]");
  if (act) doing[act.dataset.act](act.closest("tr"));
});

box.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  const row = event.target.closest("tbody tr");
  const go = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
  if (row && go) { row[go]?.querySelector("[data-open], [data-next]")?.focus(); event.preventDefault(); }
  if (event.key === "Backspace") { above(); event.preventDefault(); }
  if (row?.dataset.key && key() && event.key === "F2") { doing.rename(row); event.preventDefault(); }
  if (row?.dataset.key && key() && event.key === "Delete") { doing.delete(row); event.preventDefault(); }
});

function above() {
  const steps = [...box.querySelectorAll(".files-path li a")];
  if (steps.length > 1) location.hash = steps[steps.length - 2].getAttribute("href");
}

// Changes

const naming = document.getElementById("file-name");
const deleting = document.getElementById("file-delete");
const preview = document.getElementById("file-preview");

const doing = {
  rename: (row) => name(texts.rename.replace("%s", row.dataset.name), "rename", row.dataset.key, row.dataset.name),
  delete: (row) => {
    const whole = row.dataset.kind === "folder";
    document.getElementById("file-delete-text").textContent = (whole ? texts.deleteWhole : texts.deleteOne).replace("%s", row.dataset.name);
    open(deleting, "delete", { key: row.dataset.key, whole: whole ? "on" : "" });
  },
  preview: async (row) => {
    try {
      document.getElementById("file-preview-body").innerHTML = await fetched(`${base}/preview?path=${encodeURIComponent(row.dataset.key)}`);
      preview.showModal();
    } catch (error) { say(error.message, "warning"); }
  },
};

function name(title, verb, place, initial) {
  document.getElementById("file-name-title").textContent = title;
  open(naming, verb, { key: place, name: initial });
  const field = naming.querySelector("[name=name]");
  const dot = initial.lastIndexOf(".");
  field.setSelectionRange(0, dot > 0 ? dot : initial.length);
}

function open(dialog, verb, values) {
  const form = dialog.querySelector("form");
  for (const [field, value] of Object.entries(values)) form.elements[field].value = value;
  form.onsubmit = (event) => { event.preventDefault(); change(verb, new URLSearchParams(new FormData(form)), dialog); };
  dialog.showModal();
}

async function change(verb, values, dialog = null) {
  try {
    const response = await fetch(`${base}/${verb}`, { method: "POST", headers: { accept: "application/json" }, body: values });
    const answer = await response.json().catch(() => ({}));
    if (!response.ok) throw new Error(answer.error || texts.failed);
    dialog?.close();
    show(true);
  } catch (error) { say(error.message, "warning"); }
}

document.getElementById("new-folder").addEventListener("click", () => { if (key()) name(texts.make, "make", key(), ""); });
document.addEventListener("click", (event) => { if (event.target.closest("dialog [data-close]")) event.target.closest("dialog").close(); });
rate.addEventListener("change", () => change("rate", new URLSearchParams({ rate: rate.value, _csrf_token: session.csrf })));

// Uploads

const drawn = new Map();

function draw(upload) {
  let row = drawn.get(upload);
  if (!row) {
    row = document.createElement("li");
    row.className = "transfer";
    row.innerHTML = '<span class="transfer-name"></span><span class="transfer-state"></span><span class="transfer-buttons"></span><progress class="bar"></progress>';
    row.querySelector(".transfer-name").textContent = upload.path;
    list.append(row);
    drawn.set(upload, row);
  }
  const bar = row.querySelector("progress");
  bar.max = upload.file.size || 1;
  bar.value = upload.state === "done" ? bar.max : upload.sent;
  bar.hidden = upload.over;
  row.querySelector(".transfer-state").textContent = words(upload);
  if (row.dataset.state === upload.state) return;
  row.dataset.state = upload.state;
  row.querySelector(".transfer-buttons").replaceChildren(...buttons(upload));
  remember();
  if (upload.state === "done" && upload.key === key()) show();
}

function words(upload) {
  if (upload.state === "failed") return upload.problem || texts.failed;
  if (upload.state === "asking") {
    const when = upload.present.modified ? new Date(upload.present.modified * 1000).toLocaleString(document.documentElement.lang === "en" ? "en-GB" : document.documentElement.lang) : "";
    return fill(texts.exists, { s: size(upload.present.size || 0), d: when });
  }
  if (upload.state === "done") return `${size(upload.file.size)} · ${texts.done.replace("%s", upload.sum)}`;
  const state = texts[upload.state] || "";
  return upload.state === "sending" || upload.state === "cut" ? `${state} · ${size(upload.sent)} / ${size(upload.file.size)}${speed(upload)}` : state;
}

function speed(upload) {
  const now = performance.now();
  if (upload.state !== "sending") { upload.mark = null; return ""; }
  if (!upload.mark || upload.sent < upload.mark.sent) upload.mark = { at: now, sent: upload.sent };
  const passed = (now - upload.mark.at) / 1000;
  return passed > 0.5 ? ` · ${size((upload.sent - upload.mark.sent) / passed)}/s` : "";
}

function buttons(upload) {
  const made = (text, does, kind = "btn-outline-secondary") => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = `btn btn-sm ${kind}`;
    button.textContent = text;
    button.setAttribute("aria-label", `${text}: ${upload.path}`);
    button.addEventListener("click", does);
    return button;
  };
  const close = () => made(texts.close, () => { drawn.get(upload).remove(); drawn.delete(upload); }, "btn-ghost");
  if (upload.state === "asking") {
    return [
      made(texts.replace, () => upload.answer?.(true), "btn-danger"),
      made(texts.replaceAll, () => { replaceAll = true; for (const one of drawn.keys()) if (one.state === "asking") one.answer?.(true); }),
      made(texts.skip, () => upload.answer?.(false)),
    ];
  }
  if (upload.state === "failed") return [made(texts.retry, () => { upload.set("waiting"); queue.add(upload); }), close()];
  return upload.over ? [close()] : [made(texts.cancel, () => upload.stop())];
}

// What is not finished is named again after a reload: browsers give no file back by themselves.
function remember() {
  const left = [...drawn.keys()].filter((one) => !one.over).map((one) => ({ path: one.path, size: one.file.size, key: one.key }));
  if (left.length) sessionStorage.setItem(UNFINISHED, JSON.stringify(left.slice(0, 50))); else sessionStorage.removeItem(UNFINISHED);
}

for (const one of JSON.parse(sessionStorage.getItem(UNFINISHED) || "[]")) {
  const row = document.createElement("li");
  row.className = "transfer";
  row.dataset.left = `${one.key}\n${one.path}`;
  row.innerHTML = '<span class="transfer-name"></span><span class="transfer-state"></span>';
  row.querySelector(".transfer-name").textContent = one.path;
  row.querySelector(".transfer-state").textContent = `${size(one.size)} · ${texts.unfinished}`;
  list.append(row);
}

function send(files) {
  if (!key()) return;
  replaceAll = null;
  for (const { file, names } of files) {
    const upload = new Upload(file, key(), names, page, draw);
    upload.always = () => replaceAll;
    for (const row of list.querySelectorAll("[data-left]")) if (row.dataset.left === `${upload.key}\n${upload.path}`) row.remove();
    draw(upload);
    queue.add(upload);
  }
}

const chosen = (input) => [...input.files].map((file) => ({ file, names: (file.webkitRelativePath || file.name).split("/") }));
for (const [button, input] of [["pick-files", "files-input"], ["pick-folder", "folder-input"]]) {
  const field = document.getElementById(input);
  document.getElementById(button).addEventListener("click", () => { if (key()) field.click(); });
  field.addEventListener("change", () => { send(chosen(field)); field.value = ""; });
}

const carriesFiles = (event) => [...(event.dataTransfer?.types || [])].includes("Files");
addEventListener("dragover", (event) => { if (carriesFiles(event)) { event.preventDefault(); box.classList.toggle("is-over", Boolean(key())); } });
addEventListener("dragleave", (event) => { if (!event.relatedTarget) box.classList.remove("is-over"); });
addEventListener("drop", async (event) => {
  if (!carriesFiles(event)) return;
  event.preventDefault();
  box.classList.remove("is-over");
  try { send(await dropped(event.dataTransfer.items)); } catch { say(texts.reading, "warning"); }
});
addEventListener("beforeunload", (event) => { if ([...drawn.keys()].some((one) => !one.over)) event.preventDefault(); });

// What others do, and what became of downloads

document.addEventListener("session:note", ({ detail: note }) => {
  if (note.type !== "files") return;
  if (note.verb === "rate") {
    rate.value = String(note.rate);
    say(note.rate ? fill(texts.rate, { w: note.by, r: note.rate }) : fill(texts.noRate, { w: note.by }), "info");
    return;
  }
  const file = (note.path || "").split(/[/\\]/).pop();
  if (["get", "zip"].includes(note.verb)) arrived(note, file);
});

function arrived(note, file) {
  const facts = { n: file, w: note.by, s: size(note.bytes || 0), h: note.sha256 };
  if (note.problem === "stopped") { line(fill(texts.stoppedGet, facts), "stopped"); return; }
  if (note.problem) { line(fill(texts.problem, { n: file, w: note.problem === "changed" ? texts.changed : texts.failed }), "failed"); return; }
  const left = note.skipped ? ` (${fill(texts.left, { c: note.skipped })})` : "";
  line(fill(note.sha256 ? texts.got : texts.gotPart, facts) + left, "done");
}

function line(text, state) {
  const row = document.createElement("li");
  row.className = "transfer";
  row.dataset.state = state;
  const words_ = document.createElement("span");
  words_.className = "transfer-name";
  words_.textContent = text;
  const close = document.createElement("button");
  close.type = "button";
  close.className = "btn btn-sm btn-ghost";
  close.textContent = texts.close;
  close.addEventListener("click", () => row.remove());
  row.append(words_, close);
  list.append(row);
  while (list.children.length > 200) list.firstElementChild.remove();
}

show(document.activeElement === document.body);
