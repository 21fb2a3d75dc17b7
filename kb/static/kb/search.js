// The search page by keyboard: j/k or arrows move, Enter opens, p or → previews, w says why, Escape goes back.
// It also tells the server what was asked and opened (/search/asked, /search/opened): the links stay plain links.
import { typing } from "../shell/search.js";

const question = document.getElementById("kb-q");
const found = document.getElementById("found");
const SETTLED = 2500; // ms without a key after which a typed question counts as asked
const wide = matchMedia("(min-width: 1280px)");
let settling = 0;
let previewing = 0;
let sent = "";

const layout = () => found.querySelector(".kb-layout");
const hits = () => [...found.querySelectorAll("[data-hit]")].filter((hit) => hit.offsetParent !== null);
const pane = () => document.getElementById("kb-preview");
const itemOf = (element) => element?.closest?.(".kb-hit") ?? null;

function post(url, fields) {
  const token = JSON.parse(document.body.getAttribute("hx-headers"))["X-CSRFToken"];
  navigator.sendBeacon(url, new URLSearchParams({ ...fields, _csrf_token: token }));
}

// learning

function tellOpened(event) {
  const link = event.target.closest?.("a[data-document]");
  if (!link || !layout()?.dataset.question) return;
  if (event.type === "auxclick" && event.button !== 1) return;
  const { question: q, results } = layout().dataset;
  post("/search/opened", { q, results, document: link.dataset.document });
}

function settle() {
  clearTimeout(settling);
  settling = setTimeout(() => {
    const { question: q, results } = layout()?.dataset ?? {};
    if (!q || q === sent) return;
    sent = q;
    post("/search/asked", { q, results });
  }, SETTLED);
}

// moving

function move(step) {
  const all = hits();
  const item = itemOf(document.activeElement);
  let at = all.indexOf(document.activeElement);
  if (at < 0 && item) at = all.findIndex((hit) => itemOf(hit) === item);
  const next = at + step;
  if (next < 0) question.focus();
  else all[Math.min(next, all.length - 1)]?.focus();
}

// the preview

function preview(hit, { enter = false } = {}) {
  const target = pane();
  if (!hit?.dataset.preview || !target) return;
  found.querySelectorAll(".kb-hit.is-previewed").forEach((one) => one.classList.remove("is-previewed"));
  itemOf(hit)?.classList.add("is-previewed");
  target.classList.add("is-open");
  const [kind, ...id] = hit.dataset.preview.split("/");
  const url = `/search/preview/${encodeURIComponent(kind)}/${encodeURIComponent(id.join("/"))}`;
  htmx.ajax("GET", url, { target, swap: "innerHTML" }).then(() => { if (enter) target.focus({ preventScroll: true }); });
}

function closePreview() {
  const target = pane();
  if (!target?.classList.contains("is-open")) return false;
  const item = found.querySelector(".kb-hit.is-previewed");
  target.classList.remove("is-open");
  if (wide.matches) target.replaceChildren();
  item?.classList.remove("is-previewed");
  (item?.querySelector("[data-hit]") ?? question).focus();
  return true;
}

// keys

function onKey(event) {
  if (event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented) return;
  const inQuestion = event.target === question;
  if (!inQuestion && typing(event.target)) return;
  const hit = itemOf(event.target)?.querySelector("[data-hit]") ?? (event.target.matches?.("[data-hit]") ? event.target : null);
  const act = action(event.key, inQuestion, hit);
  if (!act) return;
  event.preventDefault();
  act();
}

function action(key, inQuestion, hit) {
  if (key === "ArrowDown" && (inQuestion || hit)) return () => move(1);
  if (key === "ArrowUp" && hit) return () => move(-1);
  if (key === "Escape") return escape(inQuestion, hit);
  if (inQuestion) return null;
  if (key === "j") return () => move(1);
  if (key === "k") return () => move(-1);
  if ((key === "p" || key === "ArrowRight") && hit) return () => preview(hit, { enter: true });
  if (key === "ArrowLeft" && pane()?.contains(document.activeElement)) return closePreview;
  if (key === "w" && hit) return () => itemOf(hit)?.querySelector(".kb-why > summary")?.click();
  return null;
}

function escape(inQuestion, hit) {
  if (found.querySelector("details[data-menu][open]")) return null; // the shell closes it
  if (pane()?.classList.contains("is-open") && !inQuestion) return closePreview;
  return hit ? () => question.focus() : null;
}

document.addEventListener("keydown", onKey);
document.addEventListener("click", (event) => {
  tellOpened(event);
  if (event.target.closest("[data-close-preview]")) closePreview();
  const eye = event.target.closest("[data-show-preview]");
  if (eye) preview(itemOf(eye).querySelector("[data-preview]"), { enter: true });
});
document.addEventListener("auxclick", tellOpened);
document.addEventListener("focusin", (event) => {
  clearTimeout(previewing);
  const hit = event.target.matches?.("[data-preview]") ? event.target : null;
  if (hit && wide.matches) previewing = setTimeout(() => preview(hit), 180);
});
// Escape in an open menu gives the focus back to what opened it.
document.addEventListener("toggle", (event) => {
  if (event.target.matches?.(".kb-why") && !event.target.open && event.target.contains(document.activeElement)) {
    event.target.querySelector("summary").focus();
  }
}, true);

document.addEventListener("htmx:configRequest", (event) => {
  if (event.target.closest?.(".kb-search-form") && event.detail.triggeringEvent?.type !== "submit") event.detail.headers["X-Typing"] = "1";
});
document.addEventListener("htmx:beforeRequest", (event) => {
  if (event.detail.target === found) found.setAttribute("aria-busy", "true");
});
document.addEventListener("htmx:afterSettle", (event) => {
  if (event.detail.target !== found) return;
  found.setAttribute("aria-busy", "false");
  foldFilters();
  settle();
});

// On a phone the filters are folded until they are asked for.
function foldFilters() {
  if (matchMedia("(max-width: 767px)").matches) found.querySelector(".kb-facets")?.removeAttribute("open");
}
foldFilters();
