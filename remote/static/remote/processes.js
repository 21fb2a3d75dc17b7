// The page of processes and services: two tables that are looked at again by themselves, and what is done about a row.

import { askWithButton } from "../kb/suggested.js";
import { Rows } from "./rows.js";

const PROCESSES_EVERY = 4000;
const SERVICES_EVERY = 15_000;

const page = JSON.parse(document.getElementById("session-data").textContent);
const part = (id) => document.getElementById(id);
const texts = part("rows-texts") && JSON.parse(part("rows-texts").textContent);
const fill = (text, values) => text.replace(/\{(\w+)\}/g, (all, name) => values[name] ?? all);

function start() {
  let driving = page.driver === page.me;
  let held = false;
  let shown = "processes";
  let timer = 0;
  let busy = false;
  const asked = new Set(); // keys of processes that were asked to end and run on
  const tables = { processes: new Rows(part("processes"), { choose: chooseProcess, open: details }), services: new Rows(part("services"), { choose: chooseService }) };
  const said = { processes: {}, services: {} };
  const panel = (name) => part(`panel-${name}`);

  async function look() {
    clearTimeout(timer);
    if (busy) return;
    busy = true;
    const which = shown;
    try {
      const response = await fetch(`/sessions/${page.id}/${which}`, { headers: { "HX-Request": "true" } });
      if (!response.ok) throw new Error(reason(response));
      said[which] = { ...tables[which].take(await response.text()) };
      tell();
    } catch (error) {
      part("rows-state").textContent = error.message && error.name === "Error" ? error.message : texts.trouble;
    } finally {
      busy = false;
      again();
    }
  }

  function again() {
    clearTimeout(timer);
    if (!held) timer = setTimeout(() => (document.hidden ? again() : look()), shown === "processes" ? PROCESSES_EVERY : SERVICES_EVERY);
  }

  function tell() {
    const facts = said[shown];
    const parts = [fill(texts[shown], { n: facts.count ?? 0 })];
    if (tables[shown].words.length) parts.push(fill(texts.shown, { n: tables[shown].shown.length }));
    if (Number(facts.kernel)) parts.push(fill(texts.kernel, { n: facts.kernel }));
    if (Number(facts.leftOut)) parts.push(fill(texts.leftOut, { n: facts.leftOut }));
    if (Number(facts.failed)) parts.push(fill(texts.failed, { n: facts.failed }));
    if (held) parts.push(texts.held);
    const note = shown === "services" ? texts[facts.manager] : "";
    const line = [...(note ? [note] : []), parts.join(" · ")].join(" ");
    if (part("rows-state").textContent !== line) part("rows-state").textContent = line;
  }

  // what is chosen, and what may be done about it

  const hint = { processes: panel("processes").querySelector(".rows-chosen").textContent, services: panel("services").querySelector(".rows-chosen").textContent };

  function label(which, text) {
    const line = panel(which).querySelector(".rows-chosen");
    if (line.textContent !== text) line.textContent = text;
  }

  function allow(which, may) {
    for (const form of panel(which).querySelectorAll("form[data-act]")) form.querySelector("button").disabled = !may(form.dataset.act);
  }

  function chooseProcess(row, left) {
    const { name, pid, started, guarded } = row?.dataset ?? {};
    if (left) asked.delete(left.dataset.key);
    label("processes", row ? [fill(texts.chosen, { name, pid }), guarded ? texts[guarded] : driving ? "" : texts.watching].filter(Boolean).join(". ") : left ? fill(texts.gone, { name: left.dataset.name }) : hint.processes);
    const key = row?.dataset.key;
    allow("processes", (act) => Boolean(row && driving && !guarded && (act !== "kill" || asked.has(key))));
    panel("processes").querySelector("[data-details]").disabled = !row;
    panel("processes").querySelector("[data-act=kill]").hidden = !asked.has(key);
    part("details").hidden = true;
    if (!row) return;
    for (const form of panel("processes").querySelectorAll("form[data-act]")) {
      Object.assign(form.elements.pid, { value: pid });
      Object.assign(form.elements.started, { value: started });
      form.querySelector("input[name=name]").value = name;
      if (texts[form.dataset.act]) form.dataset.confirm = fill(texts[form.dataset.act], { name, pid });
    }
  }

  function chooseService(row) {
    const name = row?.dataset.name;
    label("services", row ? `${name}${driving ? "" : `. ${texts.watching}`}` : hint.services);
    const { state, start } = row?.dataset ?? {};
    const pointless = { start: state === "running", stop: state === "stopped" || state === "done", enable: start === "auto", disable: start === "disabled" };
    allow("services", (act) => Boolean(row && driving && !pointless[act] && start !== "masked"));
    if (!row) return;
    for (const form of panel("services").querySelectorAll("form[data-act]")) {
      const act = form.dataset.act;
      form.querySelector("input[name=name]").value = name;
      form.dataset.confirm = fill(texts.order[act], { name }) + (row.dataset.cuts && ["stop", "restart", "disable"].includes(act) ? ` ${texts.cuts}` : "");
    }
  }

  async function details(row) {
    const box = part("details");
    const { pid, started } = row.dataset;
    const response = await fetch(`/sessions/${page.id}/processes/one?pid=${pid}&started=${started}`, { headers: { "HX-Request": "true" } });
    box.hidden = false;
    if (response.ok) box.innerHTML = await response.text(); else box.textContent = reason(response);
    box.scrollIntoView({ block: "nearest" });
  }

  // doing it

  part("panel-processes").addEventListener("htmx:afterRequest", done);
  part("panel-services").addEventListener("htmx:afterRequest", done);

  function done(event) {
    const form = event.target.closest?.("form[data-act]");
    if (!form) return;
    const act = form.dataset.act;
    if (event.detail.successful && act === "end" && part("outcome").querySelector("[data-outcome=runs]")) asked.add(tables.processes.chosen);
    if (tables.processes.row) chooseProcess(tables.processes.row);
    look();
  }

  document.addEventListener("session:note", ({ detail: note }) => {
    if (!("driver" in note)) return;
    driving = note.driver === page.me;
    chooseProcess(tables.processes.row);
    chooseService(tables.services.row);
  });

  // the tools above the table

  function show(name) {
    shown = name;
    for (const one of ["processes", "services"]) {
      const tab = part(`tab-${one}`);
      tab.setAttribute("aria-selected", String(one === name));
      tab.setAttribute("aria-pressed", String(one === name));
      tab.tabIndex = one === name ? 0 : -1;
      panel(one).hidden = one !== name;
    }
    part("rows-tree").hidden = name !== "processes";
    part("outcome").replaceChildren();
    tables[name].filter(part("rows-filter").value);
    look();
  }

  for (const name of ["processes", "services"]) {
    const tab = part(`tab-${name}`);
    tab.addEventListener("click", () => show(name));
    tab.addEventListener("keydown", (event) => {
      if (!["ArrowLeft", "ArrowRight"].includes(event.key)) return;
      const other = name === "processes" ? "services" : "processes";
      show(other);
      part(`tab-${other}`).focus();
    });
  }
  part("rows-filter").addEventListener("input", () => { tables[shown].filter(part("rows-filter").value); tell(); });
  part("rows-filter").addEventListener("keydown", (event) => {
    if (event.key === "Escape") { part("rows-filter").value = ""; tables[shown].filter(""); tell(); part(shown).focus(); }
    else if (event.key === "ArrowDown" || event.key === "Enter") { event.preventDefault(); part(shown).focus(); tables[shown].choose(tables[shown].shown[0] ?? null); }
  });
  part("rows-tree").addEventListener("click", (event) => {
    const on = toggle(event.currentTarget);
    tables.processes.showTree(on);
    part("processes").classList.toggle("is-tree", on);
  });
  part("rows-pause").addEventListener("click", (event) => {
    held = toggle(event.currentTarget);
    tell();
    if (held) clearTimeout(timer); else look();
  });
  panel("processes").querySelector("[data-details]").addEventListener("click", () => { const row = tables.processes.row; if (row) details(row); });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]") || event.target.matches("input, textarea, select")) return;
    if (event.key === "f") { event.preventDefault(); part("rows-filter").focus(); }
    if (event.key === "Delete" && shown === "processes") panel("processes").querySelector("[data-act=end] button:enabled")?.click();
  });
  document.addEventListener("visibilitychange", () => { if (!document.hidden && !held) look(); });
  panel("processes").querySelector("[data-act=kill]").hidden = true;
  look();
}

function toggle(button) {
  const on = button.getAttribute("aria-pressed") !== "true";
  button.setAttribute("aria-pressed", String(on));
  return on;
}

// Why the server refused, in the reader's language.
function reason(response) {
  try { return JSON.parse(response.headers.get("HX-Trigger")).toasts.items[0].text; } catch { return texts.trouble; }
}

if (texts) start();
askWithButton(() => getSelection().toString(), (changed) => document.addEventListener("selectionchange", changed));
