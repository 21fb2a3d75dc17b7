// Keys for one hand: d done, f failed, s skip, n note, x execute, c check, a already true. And a guard: when somebody else
// moved the run on, the buttons of the new step wait a moment, so that a click meant for the step before does not hit it.

const SETTLE = 900; // milliseconds
const page = document.getElementById("run");

function typing(target) {
  return target.closest("input, textarea, select, [contenteditable], dialog[open]");
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || typing(event.target)) return;
  const key = event.key.toLowerCase();
  if (key === "n") { focus(page.querySelector("[data-note]"), event); return; }
  const button = page.querySelector(`[data-key="${CSS.escape(key)}"]`);
  if (!button || button.disabled) return;
  event.preventDefault();
  button.click();
  if (button.tagName === "SUMMARY") focus(button.parentElement.querySelector("input[name=justification]"));
});

function focus(field, event) {
  if (!field) return;
  event?.preventDefault();
  field.focus();
}

function now() {
  return page.querySelector(".run");
}

let step = now()?.dataset.step;
let opened = [];

page.addEventListener("htmx:beforeSwap", () => {
  opened = [...page.querySelectorAll("details[id][open]")].map((part) => part.id);
});

page.addEventListener("htmx:afterSwap", () => {
  const run = now();
  if (!run) return;
  document.querySelectorAll("[data-revision]").forEach((field) => { field.value = run.dataset.revisionNow; });
  for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
  if (run.dataset.step === step) return;
  step = run.dataset.step;
  run.querySelector(".run-step")?.classList.add("is-fresh");
  const buttons = [...run.querySelectorAll(".run-button:not([disabled])")];
  buttons.forEach((button) => { button.disabled = true; });
  setTimeout(() => buttons.forEach((button) => { button.disabled = false; }), SETTLE);
});
