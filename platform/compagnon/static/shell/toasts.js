// Short messages in the corner: drawn by the server, sent by htmx answers (event "toasts"), or said by a script.

const SECONDS = { success: 6, info: 8, warning: 12, danger: 0 }; // 0: stays until closed

let box = null;
let labels = {};

export function startToasts(texts) {
  box = document.getElementById("toasts");
  labels = texts;
  box.querySelectorAll(".toast-item").forEach(expire);
  box.addEventListener("click", (event) => event.target.closest(".toast-close")?.parentElement.remove());
  document.body.addEventListener("toasts", (event) => event.detail.items.forEach((item) => say(item.text, item.kind)));
  document.body.addEventListener("htmx:sendError", () => say(labels.failed, "warning"));
}

export function say(text, kind = "info") {
  const item = document.createElement("div");
  item.className = `toast-item toast-${kind}`;
  const words = document.createElement("span");
  words.textContent = text;
  const close = document.createElement("button");
  close.type = "button";
  close.className = "toast-close";
  close.setAttribute("aria-label", labels.close);
  close.innerHTML = '<i class="ti ti-x" aria-hidden="true"></i>';
  item.append(words, close);
  box.append(item);
  while (box.children.length > 4) box.firstElementChild.remove();
  expire(item);
}

function expire(item) {
  const kind = Object.keys(SECONDS).find((name) => item.classList.contains(`toast-${name}`));
  const seconds = SECONDS[kind] ?? 8;
  if (!seconds) return;
  let timer = setTimeout(() => item.remove(), seconds * 1000);
  item.addEventListener("pointerenter", () => clearTimeout(timer));
  item.addEventListener("pointerleave", () => { timer = setTimeout(() => item.remove(), 3000); });
}
