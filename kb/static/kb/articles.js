// The editor of articles: more causes, a ticket's words copied into a field, what was typed kept in this browser until
// the server has it. On the review page it says when somebody else changed what is being reviewed.

const form = document.getElementById("article-form");
const changed = document.getElementById("article-changed");

if (changed) {
  document.addEventListener("live:event", (event) => {
    if (event.detail.topic === changed.dataset.live) changed.hidden = false;
  });
}

if (form) startEditor();

function startEditor() {
  const pairs = document.getElementById("article-pairs");
  const more = document.getElementById("article-more");
  const key = `article:${document.body.dataset.member}:${form.dataset.key}`;
  more.hidden = false;
  more.addEventListener("click", () => addPair().querySelector("textarea").focus());
  document.addEventListener("click", copyWords);
  document.addEventListener("keydown", keepOnCtrlS);
  startKeeping();

  function addPair() {
    const number = pairs.querySelectorAll("[data-pair]").length + 1;
    pairs.append(document.getElementById("article-pair").content.cloneNode(true));
    const pair = pairs.lastElementChild;
    pair.querySelector("[data-pair-number]").textContent = String(number);
    for (const field of pair.querySelectorAll("textarea")) {
      const id = `f-${field.name}-${number}`;
      field.previousElementSibling.htmlFor = id;
      field.id = id;
    }
    return pair;
  }

  function copyWords(event) {
    const button = event.target.closest("[data-copy-to]");
    if (!button) return;
    const name = button.dataset.copyTo;
    const fields = [...form.querySelectorAll(`[name="${name}"]`)];
    const field = fields.at(-1);
    field.value = [field.value.trimEnd(), button.dataset.words].filter(Boolean).join("\n\n");
    field.dispatchEvent(new Event("input", { bubbles: true }));
    field.focus();
  }

  function keepOnCtrlS(event) {
    if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "s") return;
    event.preventDefault();
    form.requestSubmit(form.querySelector('[name="then"][value="keep"]'));
  }

  function typed() {
    const left = new Set(["_csrf_token", "seen", "article", "request_key", "translates", "then"]);
    return JSON.stringify([...new FormData(form)].filter(([name]) => !left.has(name)));
  }

  function startKeeping() {
    const began = typed();
    const keep = () => { try { localStorage.setItem(key, JSON.stringify({ at: Date.now(), typed: typed() })); } catch { /* full or forbidden */ } };
    let timer = 0;
    let kept = null;
    try { kept = JSON.parse(localStorage.getItem(key)); } catch { /* not ours */ }
    // What the server answered to this very text is on the page already; anything else is offered back.
    if (kept && kept.typed !== began) offer(kept.typed);
    else localStorage.removeItem(key);
    form.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(keep, 300); });
    form.addEventListener("submit", () => { clearTimeout(timer); keep(); });
    window.addEventListener("beforeunload", () => { if (typed() !== began) keep(); });
  }

  function offer(kept) {
    const notice = Object.assign(document.createElement("div"), { className: "notice notice-info" });
    const words = document.createElement("div");
    const yes = Object.assign(document.createElement("button"), { type: "button", className: "btn btn-sm btn-primary", textContent: form.dataset.restoreYes });
    const no = Object.assign(document.createElement("button"), { type: "button", className: "btn btn-sm btn-ghost", textContent: form.dataset.restoreNo });
    yes.addEventListener("click", () => { bringBack(JSON.parse(kept)); notice.remove(); });
    no.addEventListener("click", () => { localStorage.removeItem(key); notice.remove(); });
    words.append(form.dataset.restore + " ", yes, " ", no);
    notice.append(words);
    form.before(notice);
  }

  function bringBack(entries) {
    const values = grouped(entries);
    while (pairs.querySelectorAll("[data-pair]").length < (values.get("remedy") ?? []).length) addPair();
    const used = new Map();
    for (const field of form.elements) {
      if (!field.name || ["hidden", "submit", "button"].includes(field.type)) continue;
      const found = (values.get(field.name) ?? []).map(([, value]) => value);
      if (field.type === "checkbox") field.checked = found.includes(field.value);
      else { field.value = found[used.get(field.name) ?? 0] ?? ""; used.set(field.name, (used.get(field.name) ?? 0) + 1); }
    }
    form.dispatchEvent(new Event("input", { bubbles: true }));
  }

  function grouped(entries) {
    const found = new Map();
    for (const entry of entries) found.set(entry[0], [...(found.get(entry[0]) ?? []), entry]);
    return found;
  }
}
