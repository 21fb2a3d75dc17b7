// The editor of articles: more causes, a ticket's words copied into a field, what was typed kept in this browser until
// the server has it. On the review page it says when somebody else changed what is being reviewed.

const form = document.getElementById("article-form");
const SUBMITTED = "article:submitted";
const changed = document.getElementById("article-changed");

if (changed) {
  document.addEventListener("live:event", (event) => {
    if (event.detail.topic === changed.dataset.live) changed.hidden = false;
  });
}

const submitted = takeSubmitted();
if (location.hash === "#kept" || form?.dataset.answer === "kept") forgetSubmitted();
if (form) startEditor();

// What was in the forms that were sent last from this tab, by the key it is kept under. Asked once: an error page does
// not come here, and whatever page comes after it says nothing about what was sent.
function takeSubmitted() {
  try {
    const found = JSON.parse(sessionStorage.getItem(SUBMITTED)) ?? {};
    sessionStorage.removeItem(SUBMITTED);
    return found;
  } catch { return {}; }
}

// The server has it. What another tab has kept under the same key since stays.
function forgetSubmitted() {
  for (const [key, typed] of Object.entries(submitted)) {
    try { if (JSON.parse(localStorage.getItem(key))?.typed === typed) localStorage.removeItem(key); } catch { /* not ours */ }
  }
  if (location.hash === "#kept") history.replaceState(history.state, "", location.pathname + location.search);
}

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
    const refused = form.dataset.answer === "refused";
    let timer = 0;
    let kept = null;
    try { kept = JSON.parse(localStorage.getItem(key)); } catch { /* not ours */ }
    // What is on the page already is not offered; only what the server has is forgotten.
    const shown = kept && (kept.typed === began || (refused && submitted[key] === kept.typed));
    if (kept && !shown) offer(kept);
    else if (!refused) localStorage.removeItem(key);
    form.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(keep, 300); });
    form.addEventListener("submit", () => { clearTimeout(timer); keep(); remember(refused); });
    window.addEventListener("beforeunload", () => { if (typed() !== began) keep(); });
  }

  // With the text that it was typed upon: brought back upon another one, the server shows both.
  function keep() {
    const entry = { at: Date.now(), typed: typed(), seen: form.elements.seen?.value ?? "", article: form.elements.article?.value ?? "" };
    try { localStorage.setItem(key, JSON.stringify(entry)); } catch { /* full or forbidden */ }
  }

  // After a refusal the page may have another key than the one under which the text was kept first.
  function remember(refused) {
    const all = { ...(refused ? submitted : {}), [key]: typed() };
    try { sessionStorage.setItem(SUBMITTED, JSON.stringify(all)); } catch { /* full or forbidden */ }
  }

  function offer(kept) {
    const notice = Object.assign(document.createElement("div"), { className: "notice notice-info" });
    const words = document.createElement("div");
    const yes = Object.assign(document.createElement("button"), { type: "button", className: "btn btn-sm btn-primary", textContent: form.dataset.restoreYes });
    const no = Object.assign(document.createElement("button"), { type: "button", className: "btn btn-sm btn-ghost", textContent: form.dataset.restoreNo });
    yes.addEventListener("click", () => { bringBack(kept); notice.remove(); });
    no.addEventListener("click", () => { localStorage.removeItem(key); notice.remove(); });
    words.append(form.dataset.restore + " ", yes, " ", no);
    notice.append(words);
    form.before(notice);
  }

  function bringBack(kept) {
    const values = grouped(JSON.parse(kept.typed));
    if (kept.seen) { setHidden("seen", kept.seen); setHidden("article", kept.article); }
    else if (form.elements.seen && kept.seen === "") form.elements.seen.value = "";
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

  function setHidden(name, value) {
    if (!form.elements[name]) form.append(Object.assign(document.createElement("input"), { type: "hidden", name }));
    form.elements[name].value = value;
  }

  function grouped(entries) {
    const found = new Map();
    for (const entry of entries) found.set(entry[0], [...(found.get(entry[0]) ?? []), entry]);
    return found;
  }
}
