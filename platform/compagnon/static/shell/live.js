// Parts of the page that refetch themselves when their topic moves:
//   <div data-live="ticket:12" hx-get="/tickets/12/fragment" hx-trigger="live">
// Several topics are separated by spaces. Scripts may listen to the document's event "live:event" (detail: topic, kind);
// a page that only wants that names its topics in data-live without hx-get.
// A part that holds something typed and not yet sent is left alone: it says that it changed, and follows when it is sent
// or asked for. Forms with data-draft do not hold it back: their text comes back by itself (drafts.js).
// One event stream for the page; closed while the page is hidden, so that many open tabs do not use up connections.

const HIDDEN_FOR = 30_000; // milliseconds before a hidden page lets go

let source = null;
let topics = "";
let broken = false;
let hiddenTimer = 0;
let words = {};

export function startLive(texts) {
  words = texts;
  keepWhatIsTheSame();
  keepUnfolded();
  connect();
  document.addEventListener("submit", (event) => { event.target.dataset.sentAt = Date.now(); }, true);
  document.addEventListener("input", (event) => { if (event.target.form) delete event.target.form.dataset.sentAt; }, true);
  document.body.addEventListener("htmx:load", () => connect());
  document.addEventListener("visibilitychange", () => {
    clearTimeout(hiddenTimer);
    if (document.hidden) hiddenTimer = setTimeout(close, HIDDEN_FOR);
    else if (!source) { connect(); refreshAll(); }
  });
  window.addEventListener("pagehide", close);
  window.addEventListener("pageshow", (event) => { if (event.persisted) { connect(); refreshAll(); } });
}

function wanted() {
  const found = new Set();
  for (const part of document.querySelectorAll("[data-live]")) {
    part.dataset.live.split(/\s+/).filter(Boolean).forEach((topic) => found.add(topic));
  }
  return [...found].sort().slice(0, 50).join(",");
}

function connect() {
  const now = wanted();
  if (source && now === topics) return;
  close();
  topics = now;
  if (!topics) return;
  source = new EventSource(`/events?topics=${encodeURIComponent(topics)}`);
  source.onopen = () => { if (broken) refreshAll(); broken = false; show(true); };
  source.onmessage = (message) => hear(JSON.parse(message.data));
  source.onerror = () => {
    broken = true;
    setTimeout(() => show(!broken), 3000);
    if (source?.readyState === EventSource.CLOSED) retryLater();
  };
}

// The browser gives up when the server answers an error (a restart behind a proxy): try again by ourselves.
function retryLater() {
  source = null;
  setTimeout(() => { if (!source && !document.hidden) connect(); }, 4000 + Math.random() * 4000);
}

function close() {
  source?.close();
  source = null;
}

function hear(event) {
  document.dispatchEvent(new CustomEvent("live:event", { detail: event }));
  if (event.kind === "signed_out") { window.location.reload(); return; }
  for (const part of document.querySelectorAll("[data-live]")) {
    if (event.kind === "lost" || part.dataset.live.split(/\s+/).includes(event.topic)) refresh(part);
  }
}

// Events that come close together cause one request: the second waits for the first.
// While a button is held down nothing is replaced: the click would land on an element that is gone, and be lost.
const waiting = new WeakMap();
let pressed = false;
for (const [name, down] of [["pointerdown", true], ["pointerup", false], ["pointercancel", false]]) {
  document.addEventListener(name, () => { pressed = down; }, { capture: true, passive: true });
}

function refresh(part) {
  if (waiting.has(part)) return;
  waiting.set(part, setTimeout(() => again(part), 40));
}

function again(part) {
  waiting.delete(part);
  if (pressed) refresh(part);
  else if (holdsSomethingTyped(part)) offer(part);
  else window.htmx?.trigger(part, "live");
}

function holdsSomethingTyped(part) {
  return [...part.querySelectorAll("input, textarea, select")].some((field) => {
    const form = field.form;
    return form && part.contains(form) && !form.dataset.draft && !form.dataset.sentAt && changed(field);
  });
}

function changed(field) {
  if (["hidden", "submit", "button"].includes(field.type)) return false;
  if (["checkbox", "radio"].includes(field.type)) return field.checked !== field.defaultChecked;
  if (field.tagName !== "SELECT") return field.value !== field.defaultValue;
  const first = [...field.options].findIndex((option) => option.defaultSelected);
  return field.selectedIndex !== Math.max(first, 0);
}

function offer(part) {
  if (part.querySelector(".live-offer")) return;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "live-offer";
  button.textContent = words.changed;
  button.addEventListener("click", () => { button.remove(); window.htmx?.trigger(part, "live"); });
  part.prepend(button);
}

// A part that reads the same is left alone: nothing moves under the pointer, and nothing is read out again.
function keepWhatIsTheSame() {
  const shown = new WeakMap();
  document.querySelectorAll("[data-live]").forEach((part) => shown.set(part, part.innerHTML.trim()));
  document.body.addEventListener("htmx:beforeSwap", (event) => {
    const part = event.detail.target;
    if (!part.hasAttribute("data-live")) return;
    const sent = document.createElement("template");
    sent.innerHTML = event.detail.serverResponse;
    const html = sent.innerHTML.trim();
    if (shown.get(part) === html && event.detail.requestConfig?.verb === "get") event.detail.shouldSwap = false;
    shown.set(part, html);
  });
}

// What was unfolded in a part stays unfolded when the part is replaced.
function keepUnfolded() {
  let open = [];
  const label = (details) => details.querySelector("summary")?.textContent.trim();
  document.body.addEventListener("htmx:beforeSwap", (event) => {
    open = [...event.detail.target.querySelectorAll("details[open]")].map(label);
  });
  document.body.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.requestConfig?.verb !== "get") return; // what was sent is done: fold it again
    for (const details of event.detail.target.querySelectorAll("details:not([open])")) {
      if (open.includes(label(details))) details.open = true;
    }
  });
}

function refreshAll() {
  document.querySelectorAll("[data-live]").forEach(refresh);
}

function show(connected) {
  document.getElementById("connection").hidden = connected;
}
