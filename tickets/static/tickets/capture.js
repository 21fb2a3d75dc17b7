// The capture screen: keeps what is typed, brings it back, and looks up again what belongs to it.

import { forget, read, write } from "./kept.js";

const SECRET = new Set(["csrf_token", "_csrf_token"]);
const form = document.getElementById("capture");

if (form) start();

function start() {
  if (form.dataset.capture === "restore") restore();
  form.addEventListener("input", keep);
  form.addEventListener("change", keep);
  document.body.addEventListener("htmx:afterSwap", afterSwap);
}

function keep() {
  const values = {};
  for (const [key, value] of new FormData(form)) if (!SECRET.has(key) && typeof value === "string") values[key] = value;
  if (worthKeeping(values)) write(values);
}

function worthKeeping(values) {
  return ["symptom", "title", "caller", "client_id", "new_name"].some((key) => (values[key] ?? "").trim());
}

function restore() {
  const kept = read();
  if (!kept || !worthKeeping(kept)) return;
  fill(kept);
  say();
  if (kept.client_id) chooseAgain(kept);
  window.htmx?.trigger(form.elements.symptom, "input");
}

function fill(kept) {
  for (const field of form.elements) {
    if (!(field.name in kept) || SECRET.has(field.name) || field.type === "submit") continue;
    if (["radio", "checkbox"].includes(field.type)) field.checked = field.value === kept[field.name];
    else field.value = kept[field.name];
  }
}

// The client's card comes from the server: choose the same client once more, then the fields on the card.
function chooseAgain(kept) {
  window.htmx?.ajax("POST", "/tickets/new/client", { source: form, target: "#client", values: { client_id: kept.client_id } })
    .then(() => { fill(kept); suggest(); });
}

function afterSwap(event) {
  if (event.target.id !== "client") return;
  document.getElementById("callers").replaceChildren();
  keep();
  suggest();
  if (event.target.querySelector("[data-chosen]") && !form.elements.symptom.value) form.elements.symptom.focus();
}

function suggest() {
  window.htmx?.ajax("POST", "/tickets/new/suggestions", { source: form, target: "#suggestions" });
}

function say() {
  const note = document.createElement("p");
  note.className = "notice notice-info";
  const text = document.createElement("span");
  text.textContent = form.dataset.restored;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "btn btn-sm btn-outline-secondary";
  button.textContent = form.dataset.forget;
  button.addEventListener("click", () => { forget(); window.location.replace("/tickets/new"); });
  note.append(text, button);
  form.prepend(note);
}
