// Arrow keys move through the results of the search page; Escape goes back to the question.
const question = document.getElementById("kb-q");

function hits() {
  return [...document.querySelectorAll("#found [data-hit]")];
}

function move(step) {
  const all = hits();
  const at = all.indexOf(document.activeElement);
  const next = at + step;
  if (next < 0) question.focus();
  else all[Math.min(next, all.length - 1)]?.focus();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const inside = event.target === question || event.target.matches?.("[data-hit]");
  if (!inside) return;
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    move(event.key === "ArrowDown" ? 1 : -1);
  } else if (event.key === "Escape" && event.target !== question) {
    event.preventDefault();
    question.focus();
  }
});

const found = document.getElementById("found");
document.addEventListener("htmx:beforeRequest", () => found?.setAttribute("aria-busy", "true"));
document.addEventListener("htmx:afterRequest", () => found?.setAttribute("aria-busy", "false"));
