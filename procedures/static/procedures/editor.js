// The editor: findings that lead to their line, two tabs, and what was typed kept in this browser until it is saved.

const form = document.getElementById("editor");
const text = document.getElementById("text");
const side = form.querySelector(".editor-side");
const key = `editor:${document.body.dataset.member}:${form.dataset.key}`;

function goTo(line, column) {
  const lines = text.value.split("\n");
  const before = lines.slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
  const at = Math.min(before + Math.max(0, column - 1), text.value.length);
  const height = text.scrollHeight / Math.max(1, lines.length);
  text.focus();
  text.setSelectionRange(at, before + (lines[line - 1] ?? "").length);
  text.scrollTop = Math.max(0, height * (line - 4));
}

document.addEventListener("click", (event) => {
  const place = event.target.closest("[data-line]");
  if (place) goTo(Number(place.dataset.line), Number(place.dataset.column));
  const tab = event.target.closest("[data-show]");
  if (tab) show(tab.dataset.show);
});

function show(name) {
  side.dataset.tab = name;
  for (const tab of side.querySelectorAll("[data-show]")) tab.setAttribute("aria-selected", String(tab.dataset.show === name));
}

document.body.addEventListener("htmx:afterSwap", () => {
  const count = document.querySelector("#panel-findings")?.dataset.count ?? "0";
  document.getElementById("findings-count").textContent = count === "0" ? "✓" : `(${count})`;
});

document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "s") {
    event.preventDefault();
    form.requestSubmit(form.querySelector('[name="then"][value="keep"]'));
  }
});

function read() {
  try { return JSON.parse(localStorage.getItem(key)); } catch { return null; }
}

function keep() {
  try { localStorage.setItem(key, JSON.stringify({ at: Date.now(), seen: form.dataset.seen, text: text.value })); } catch { /* full or forbidden */ }
}

function forget() {
  localStorage.removeItem(key);
}

function offer(kept) {
  const notice = document.createElement("div");
  notice.className = "notice notice-info";
  const words = document.createElement("div");
  words.textContent = form.dataset.restore + " ";
  const yes = Object.assign(document.createElement("button"), { type: "button", className: "btn btn-sm btn-primary", textContent: form.dataset.restoreYes });
  const no = Object.assign(document.createElement("button"), { type: "button", className: "btn btn-sm btn-ghost", textContent: form.dataset.restoreNo });
  yes.addEventListener("click", () => { text.value = kept.text; notice.remove(); text.dispatchEvent(new Event("input", { bubbles: true })); });
  no.addEventListener("click", () => { forget(); notice.remove(); });
  words.append(yes, " ", no);
  notice.append(words);
  form.before(notice);
}

const kept = read();
const began = text.value;
if (kept && kept.text !== text.value) {
  // What the server answered to this very text (a refusal) is on the page already; anything else is offered back.
  offer(kept);
} else forget();
let timer = 0;
text.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(keep, 300); });
form.addEventListener("submit", () => { clearTimeout(timer); keep(); });
window.addEventListener("beforeunload", () => { if (text.value !== began) keep(); });
