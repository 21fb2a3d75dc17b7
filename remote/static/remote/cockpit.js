// A machine's page: its load while the page is shown, and one key for each thing to do.

const LOAD_EVERY = 3000;

// The place of the load is kept when the rest of the page is fetched anew (hx-preserve).
const place = () => document.getElementById("machine-load");
let asking = false;

async function look() {
  const box = place();
  if (!box || document.hidden || asking) return;
  asking = true;
  try {
    const response = await fetch(box.dataset.load, { headers: { "HX-Request": "true" } });
    if (!response.ok) return;
    const html = await response.text();
    if (place() && place().innerHTML !== html) place().innerHTML = html;
  } catch { /* the next look may get through */ } finally {
    asking = false;
  }
}

setInterval(look, LOAD_EVERY);
document.addEventListener("visibilitychange", look);
look();

// The reason follows the ticket as long as nobody wrote another one.
document.addEventListener("change", (event) => {
  if (event.target.id !== "terminal-ticket") return;
  const reason = document.getElementById("terminal-reason");
  const title = event.target.selectedOptions?.[0]?.dataset.title ?? "";
  if (reason.value !== reason.defaultValue && reason.value) return;
  reason.value = title;
  reason.defaultValue = title;
});

function press(key) {
  const button = document.querySelector(`#act-form button[name=capability][aria-keyshortcuts="${key}"]`);
  if (!button) return false;
  const form = button.form;
  const live = document.querySelector(`[data-live-capability="${button.value}"][data-live-ticket="${CSS.escape(form.elements.ticket_id.value)}"]`);
  if (live) { live.click(); return true; } // it is open already: go there
  if (button.value === "tunnel") {
    form.querySelector(".ask-tunnel").open = true;
    form.elements.target.focus();
    return true;
  }
  return submitWith(button);
}

function submitWith(button) {
  const { ticket_id: ticket, reason } = button.form.elements;
  const missing = [ticket, reason].find((field) => !field.checkValidity());
  if (missing) missing.focus(); else button.click();
  return true;
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey || event.repeat || event.isComposing) return;
  if (event.target.closest?.("input, textarea, select, [contenteditable], dialog") || document.querySelector("dialog[open]")) return;
  if (event.key === "r") {
    const repair = document.querySelector("[data-key-r]");
    if (!repair) return;
    event.preventDefault();
    repair.click();
  } else if (event.key === "w") {
    const wake = document.querySelector("[data-key-w]");
    if (wake && submitWith(wake)) event.preventDefault();
  } else if (/^[a-z]$/.test(event.key) && press(event.key)) event.preventDefault();
});
