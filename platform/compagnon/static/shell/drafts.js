// <form data-draft="ticket-12-reply">: what is typed is kept in this browser until the form is sent, so that nothing is
// lost when the network drops or the page is closed. Passwords and files are never kept.

const PREFIX = "draft:";
const KEEP = 7 * 24 * 3600 * 1000;

export function startDrafts(texts) {
  forgetOld();
  document.querySelectorAll("form[data-draft]").forEach((form) => watch(form, texts));
  document.body.addEventListener("htmx:load", (event) => {
    const found = event.target.matches?.("form[data-draft]") ? [event.target] : event.target.querySelectorAll?.("form[data-draft]");
    found?.forEach((form) => watch(form, texts));
  });
}

function watch(form, texts) {
  if (form.dataset.draftWatched) return;
  form.dataset.draftWatched = "yes";
  const key = PREFIX + document.body.dataset.member + ":" + form.dataset.draft;
  restore(form, key, texts);
  form.addEventListener("input", () => keep(form, key));
  form.addEventListener("submit", () => setTimeout(() => { if (!form.isConnected || !form.querySelector(".is-invalid")) localStorage.removeItem(key); }, 0));
  form.addEventListener("htmx:afterRequest", (event) => { if (event.detail.successful) localStorage.removeItem(key); });
}

function fields(form) {
  return [...form.elements].filter((field) => field.name && !["hidden", "password", "file", "submit", "button"].includes(field.type));
}

function keep(form, key) {
  const values = {};
  for (const field of fields(form)) {
    if (["checkbox", "radio"].includes(field.type)) { if (field.checked) (values[field.name] ??= []).push(field.value); }
    else if (field.value) values[field.name] = [field.value];
  }
  try { localStorage.setItem(key, JSON.stringify({ at: Date.now(), values })); } catch { /* full or forbidden */ }
}

function restore(form, key, texts) {
  let kept = null;
  try { kept = JSON.parse(localStorage.getItem(key)); } catch { return; }
  if (!kept) return;
  let changed = false;
  for (const field of fields(form)) {
    const values = kept.values[field.name];
    if (!values) continue;
    if (["checkbox", "radio"].includes(field.type)) field.checked = values.includes(field.value);
    else if (!field.value && values[0]) { field.value = values[0]; changed = true; }
  }
  if (changed) note(form, texts);
}

function note(form, texts) {
  const line = document.createElement("p");
  line.className = "form-hint draft-note";
  line.textContent = texts.draft;
  form.append(line);
}

function forgetOld() {
  try {
    for (const key of Object.keys(localStorage).filter((name) => name.startsWith(PREFIX))) {
      if (Date.now() - JSON.parse(localStorage.getItem(key)).at > KEEP) localStorage.removeItem(key);
    }
  } catch { /* nothing to forget */ }
}
