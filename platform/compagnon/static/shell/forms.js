// Small helps around forms: asked before grave acts, sent once, menus that close, filters that apply by themselves.

export function startForms() {
  document.addEventListener("submit", onSubmit, true);
  document.addEventListener("click", onClick);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") document.querySelectorAll("details[data-menu][open]").forEach(closeMenu);
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target.form) event.target.form.requestSubmit();
  });
  document.addEventListener("change", (event) => {
    if (event.target.closest("form[data-auto]") && event.target.tagName === "SELECT") event.target.form.requestSubmit();
  });
  window.addEventListener("pageshow", () => {
    document.querySelectorAll("form[data-sent]").forEach((form) => delete form.dataset.sent);
  });
}

function onSubmit(event) {
  const form = event.target;
  if (form.dataset.confirm && form.dataset.confirmed !== "yes") {
    event.preventDefault();
    event.stopImmediatePropagation();
    ask(form, event.submitter);
    return;
  }
  delete form.dataset.confirmed;
  if (form.method !== "post" || form.matches("[hx-post]")) return;
  if (form.dataset.sent) { event.preventDefault(); return; } // a second click sends nothing
  form.dataset.sent = "yes";
}

function ask(form, submitter) {
  const dialog = document.getElementById("confirm");
  dialog.querySelector("#confirm-text").textContent = form.dataset.confirm;
  dialog.addEventListener("close", () => {
    if (dialog.returnValue !== "yes") return;
    form.dataset.confirmed = "yes";
    form.requestSubmit(submitter?.form === form ? submitter : null);
  }, { once: true });
  dialog.returnValue = "no";
  dialog.showModal();
}

function onClick(event) {
  if (event.target.closest("[data-go-back]")) history.back();
  if (event.target.closest("[data-print]")) window.print();
  const copy = event.target.closest("[data-copy]");
  if (copy) navigator.clipboard?.writeText(copy.dataset.copy);
  for (const menu of document.querySelectorAll("details[data-menu][open]")) {
    if (!menu.contains(event.target)) closeMenu(menu);
  }
}

function closeMenu(menu) {
  menu.open = false;
}
