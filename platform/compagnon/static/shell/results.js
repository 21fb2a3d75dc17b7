// A list of results under an input: drawn from the server's groups, walked with the arrow keys (ARIA combobox pattern).

export class Results {
  #input;
  #list;
  #texts;
  #index = -1;

  constructor(input, list, texts) {
    this.#input = input;
    this.#list = list;
    this.#texts = texts;
    list.addEventListener("pointermove", (event) => {
      const option = event.target.closest(".result");
      if (option) this.#select(this.#options.indexOf(option), false);
    });
    list.addEventListener("click", (event) => {
      const option = event.target.closest(".result[data-document]");
      if (option) opened(input.value.trim(), option.dataset.document);
    });
  }

  get #options() {
    return [...this.#list.querySelectorAll(".result")];
  }

  // groups: [{label, icon, hits: [{title, url, snippet_html, badges, run}]}]; foot: one more hit at the end.
  show(groups, foot = null) {
    const parts = [];
    for (const group of groups) {
      if (!group.hits.length) continue;
      parts.push(heading(group.label), ...group.hits.map((hit) => option(hit, group.icon)));
    }
    if (!parts.length) parts.push(empty(this.#texts.nothing));
    if (foot) parts.push(option(foot, foot.icon));
    this.#list.replaceChildren(...parts);
    this.#options.forEach((one, index) => { one.id = `${this.#list.id}-${index}`; });
    this.#list.hidden = false;
    this.#input.setAttribute("aria-expanded", "true");
    this.#select(this.#options.length ? 0 : -1, false);
  }

  hide() {
    this.#list.hidden = true;
    this.#list.replaceChildren();
    this.#index = -1;
    this.#input.setAttribute("aria-expanded", "false");
    this.#input.removeAttribute("aria-activedescendant");
  }

  move(by) {
    const count = this.#options.length;
    if (count) this.#select((this.#index + by + count) % count, true);
  }

  get chosen() {
    return this.#options[this.#index] ?? null;
  }

  #select(index, scroll) {
    this.chosen?.setAttribute("aria-selected", "false");
    this.#index = index;
    const option = this.chosen;
    if (!option) return;
    option.setAttribute("aria-selected", "true");
    this.#input.setAttribute("aria-activedescendant", option.id);
    if (scroll) option.scrollIntoView({ block: "nearest" });
  }
}

function element(tag, className, text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

function heading(label) {
  return element("div", "results-group", label);
}

function empty(text) {
  return element("div", "results-empty", text);
}

// What was opened for which words, so that the next one who asks finds it sooner; the link itself is a plain link.
function opened(q, document_) {
  if (!q) return;
  const token = JSON.parse(document.body.getAttribute("hx-headers"))["X-CSRFToken"];
  navigator.sendBeacon("/search/opened", new URLSearchParams({ q, document: document_, _csrf_token: token }));
}

function option(hit, icon) {
  const made = element("a", "result");
  made.href = hit.url;
  if (hit.document) made.dataset.document = hit.document;
  made.setAttribute("role", "option");
  made.setAttribute("aria-selected", "false");
  made.tabIndex = -1;
  const text = element("span", "result-text");
  text.append(element("span", "result-title", hit.title));
  if (hit.snippet_html) text.append(snippet(hit.snippet_html));
  made.append(element("i", `ti ti-${hit.icon || icon}`), text);
  if (hit.badges?.length) made.append(badges(hit.badges));
  return made;
}

// The server escapes snippets and marks words with <mark>; nothing else is let through here either.
function snippet(html) {
  const made = element("span", "result-snippet");
  const parsed = new DOMParser().parseFromString(html, "text/html").body;
  for (const node of parsed.childNodes) {
    made.append(node.nodeName === "MARK" ? element("mark", "", node.textContent) : node.textContent);
  }
  return made;
}

function badges(labels) {
  const made = element("span", "result-badges");
  for (const label of labels) {
    const text = typeof label === "string" ? label : label.label;
    made.append(element("span", `state state-${label.tone || "neutral"}`, text));
  }
  return made;
}

// Asks the server 90 ms after the last key; an answer that comes too late is dropped.
export class Suggester {
  #timer = 0;
  #running = null;

  ask(q, answer) {
    clearTimeout(this.#timer);
    this.#running?.abort();
    this.#timer = setTimeout(() => this.#fetch(q, answer), 90);
  }

  stop() {
    clearTimeout(this.#timer);
    this.#running?.abort();
  }

  async #fetch(q, answer) {
    this.#running = new AbortController();
    try {
      const response = await fetch(`/search/suggest?q=${encodeURIComponent(q)}`, {
        headers: { Accept: "application/json" },
        signal: this.#running.signal,
      });
      if (response.ok) answer((await response.json()).groups);
    } catch (error) {
      if (error.name !== "AbortError") answer([]);
    }
  }
}
