// A table that is fetched again and again and stays what it is under the hand: rows are known by their key, so that
// choice, scroll and focus stay; the order holds still while somebody points at it.

const SETTLE = 2500; // milliseconds after the last key or click

export class Rows {
  // on: choose(row or null), open(row)
  constructor(table, on = {}) {
    this.table = table;
    this.body = table.tBodies[0];
    this.on = on;
    this.tree = false;
    this.words = [];
    this.chosen = null; // the key
    this.sorting = { by: "", number: false, down: false };
    this.touched = 0;
    this.pointed = false;
    this.#listen();
  }

  get rows() { return [...this.body.rows]; }

  get row() { return this.chosen === null ? null : this.#find(this.chosen); }

  get shown() { return this.rows.filter((row) => !row.hidden); }

  // html: one <tbody>, whose data-… come back.
  take(html) {
    const template = document.createElement("template");
    template.innerHTML = `<table>${html}</table>`;
    const fresh = template.content.querySelector("tbody");
    const known = new Map(this.rows.map((row) => [row.dataset.key, row]));
    for (const row of [...fresh.rows]) {
      const old = known.get(row.dataset.key);
      if (old) { update(old, row); known.delete(row.dataset.key); } else this.body.append(row);
    }
    const left = this.chosen !== null ? known.get(this.chosen) : null;
    known.forEach((row) => row.remove());
    this.arrange();
    if (left) this.#choose(null, left);
    return fresh.dataset;
  }

  filter(text) {
    this.words = fold(text).split(/\s+/).filter(Boolean);
    this.arrange(true);
  }

  showTree(on) {
    this.tree = on;
    this.arrange(true);
  }

  arrange(now = false) {
    const visible = this.#visible();
    for (const row of this.body.rows) row.hidden = !visible.has(row);
    if (!now && this.#isHeld()) return;
    const order = this.tree ? this.#family() : this.#sorted(this.rows).map((row) => [row, 0]);
    order.forEach(([row, depth], index) => {
      row.style.setProperty("--depth", Math.min(depth, 8));
      if (this.body.rows[index] !== row) this.body.insertBefore(row, this.body.rows[index] ?? null);
    });
  }

  #isHeld() { return this.pointed || performance.now() - this.touched < SETTLE; }

  #sorted(rows) {
    const { by, number, down } = this.sorting;
    if (!by) return rows;
    const value = (row) => (number ? Number(row.dataset[by]) : fold(row.dataset[by] ?? ""));
    const compare = (a, b) => (number ? a - b : a.localeCompare(b));
    return [...rows].sort((a, b) => (compare(value(a), value(b)) || fold(a.dataset.name).localeCompare(fold(b.dataset.name))) * (down ? -1 : 1));
  }

  #family() {
    const ids = new Set(this.rows.map((row) => row.dataset.id));
    const children = new Map();
    for (const row of this.#sorted(this.rows)) {
      const parent = ids.has(row.dataset.parent) && row.dataset.parent !== row.dataset.id ? row.dataset.parent : "";
      children.set(parent, [...(children.get(parent) ?? []), row]);
    }
    const order = [];
    const seen = new Set();
    const walk = (id, depth) => {
      for (const row of children.get(id) ?? []) {
        if (seen.has(row)) continue;
        seen.add(row);
        order.push([row, depth]);
        walk(row.dataset.id, depth + 1);
      }
    };
    walk("", 0);
    return [...order, ...this.rows.filter((row) => !seen.has(row)).map((row) => [row, 0])]; // told in a circle: still shown
  }

  // Rows with all the words; in the tree also what they hang on.
  #visible() {
    const fits = (row) => { const text = fold(row.textContent); return this.words.every((word) => text.includes(word)); };
    const found = new Set(this.rows.filter(fits));
    if (!this.tree) return found;
    const byId = new Map(this.rows.map((row) => [row.dataset.id, row]));
    for (const row of [...found]) {
      for (let up = byId.get(row.dataset.parent); up && !found.has(up); up = byId.get(up.dataset.parent)) found.add(up);
    }
    return found;
  }

  #find(key) { return this.rows.find((row) => row.dataset.key === key) ?? null; }

  choose(row) { this.#choose(row, null); }

  #choose(row, left) {
    this.row?.removeAttribute("aria-selected");
    this.chosen = row ? row.dataset.key : null;
    if (row) {
      row.id = `row-${this.table.id}-chosen`;
      for (const other of this.rows) if (other !== row && other.id === row.id) other.removeAttribute("id");
      row.setAttribute("aria-selected", "true");
      this.table.setAttribute("aria-activedescendant", row.id);
    } else this.table.removeAttribute("aria-activedescendant");
    this.on.choose?.(row, left);
  }

  #listen() {
    this.body.addEventListener("pointerenter", () => { this.pointed = true; });
    this.body.addEventListener("pointerleave", () => { this.pointed = false; });
    this.body.addEventListener("click", (event) => {
      const row = event.target.closest("tr");
      if (!row || getSelection().toString()) return; // somebody selects text to copy it
      this.touched = performance.now();
      this.choose(row);
    });
    this.body.addEventListener("dblclick", (event) => { const row = event.target.closest("tr"); if (row) this.on.open?.(row); });
    this.table.addEventListener("keydown", (event) => this.#key(event));
    for (const button of this.table.tHead.querySelectorAll("[data-sort]")) button.addEventListener("click", () => this.#sort(button));
    const first = this.table.tHead.querySelector("[aria-sort] [data-sort]");
    if (first) this.sorting = { by: first.dataset.sort, number: "number" in first.dataset, down: first.closest("th").ariaSort === "descending" };
  }

  #sort(button) {
    const again = this.sorting.by === button.dataset.sort;
    const number = "number" in button.dataset;
    this.sorting = { by: button.dataset.sort, number, down: again ? !this.sorting.down : number };
    this.table.tHead.querySelectorAll("[aria-sort]").forEach((cell) => cell.removeAttribute("aria-sort"));
    button.closest("th").setAttribute("aria-sort", this.sorting.down ? "descending" : "ascending");
    this.arrange(true);
  }

  #key(event) {
    if (event.target !== this.table || event.ctrlKey || event.metaKey || event.altKey) return;
    const rows = this.shown;
    const at = rows.indexOf(this.row);
    const to = { ArrowDown: at + 1, ArrowUp: at < 0 ? 0 : at - 1, Home: 0, End: rows.length - 1, PageDown: at + 15, PageUp: at - 15 }[event.key];
    if (to !== undefined && rows.length) {
      const row = rows[Math.max(0, Math.min(to, rows.length - 1))];
      this.choose(row);
      row.scrollIntoView({ block: "nearest" });
    } else if (event.key === "Enter" && this.row) this.on.open?.(this.row);
    else if (event.key === "Escape" && this.row) this.choose(null);
    else return;
    this.touched = performance.now();
    event.preventDefault();
  }
}

function update(old, fresh) {
  for (const { name, value } of [...fresh.attributes]) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  [...fresh.cells].forEach((cell, index) => {
    const mine = old.cells[index];
    if (mine.innerHTML !== cell.innerHTML) mine.innerHTML = cell.innerHTML;
    if (mine.className !== cell.className) mine.className = cell.className;
    if (cell.title && mine.title !== cell.title) mine.title = cell.title;
  });
}

export function fold(text) {
  return text.normalize("NFD").replace(/\p{Diacritic}/gu, "").toLowerCase();
}
