// Suggestions of the library, for every page that has some: a link goes into the message by a click or Alt L, what is
// found is said politely, nothing is replaced under the focus, and a selected error is looked for (askAbout).

const LIMIT = 20_000; // characters of a selection, the last ones

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-insert]");
  if (button) insert(button);
});

document.addEventListener("keydown", (event) => {
  if (!event.altKey || event.ctrlKey || event.metaKey || event.key.toLowerCase() !== "l") return;
  const button = document.querySelector(`[data-insert-into="${CSS.escape(event.target.id ?? "")}"]`);
  if (!button) return;
  event.preventDefault();
  insert(button);
});

// Which document was opened for which error teaches the search; the link stays a plain link. What a caller said is not
// sent: only what was picked from an error.
for (const type of ["click", "auxclick"]) {
  document.addEventListener(type, (event) => {
    const link = event.target.closest?.("[data-question] a[data-document]");
    if (!link || (type === "auxclick" && event.button !== 1)) return;
    const token = JSON.parse(document.body.getAttribute("hx-headers"))["X-CSRFToken"];
    const q = link.closest("[data-question]").dataset.question;
    navigator.sendBeacon("/search/opened", new URLSearchParams({ q, document: link.dataset.document, _csrf_token: token }));
  });
}

// Where the cursor is, with a space before it; the field hears of it as if it had been typed, so that drafts keep it.
function insert(button) {
  const field = document.getElementById(button.dataset.insertInto);
  if (!field) return;
  const before = field.value.slice(0, field.selectionStart);
  const text = `${before && !/\s$/.test(before) ? " " : ""}${button.dataset.insert} `;
  field.focus();
  field.setRangeText(text, field.selectionStart, field.selectionEnd, "end");
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

// Suggestions that somebody walks through with the keyboard stay until the focus has left them.
document.body.addEventListener("htmx:beforeSwap", (event) => {
  const part = event.detail.target;
  if (part.matches("[data-suggested]") && part.contains(document.activeElement)) event.detail.shouldSwap = false;
});

// Said in few words, and only when they changed: the whole list would talk over who is typing.
document.body.addEventListener("htmx:afterSwap", (event) => {
  const part = event.target.closest?.("[data-suggested]");
  const status = part?.parentElement.querySelector("[data-suggested-status]");
  if (!status) return;
  const said = [...part.querySelectorAll("[data-summary]")].map((one) => one.dataset.summary).join(", ");
  if (status.textContent !== said) status.textContent = said;
});

export function askAbout(text) {
  const panel = document.querySelector("[data-error-panel]");
  if (!panel || !text.trim()) return;
  const { environment, ticket, machine } = panel.dataset;
  const values = { text: text.slice(-LIMIT), environment, ticket, machine };
  window.htmx?.ajax("POST", "/search/error", { target: "#about-error", source: panel, values });
}

// The button of the panel: selected() gives the text there is now, listen(call) says when that may have changed.
export function askWithButton(selected, listen) {
  const button = document.querySelector("[data-ask-selection]");
  if (!button) return;
  const keep = (event) => event.preventDefault(); // pressing it does not undo the selection
  button.addEventListener("mousedown", keep);
  button.addEventListener("click", () => askAbout(selected()));
  listen(() => { button.disabled = !selected().trim(); });
}
