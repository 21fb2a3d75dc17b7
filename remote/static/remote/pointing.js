// Pointing: a light with a name where somebody points, and a marked stretch where they select, for everybody to see.
// Places are columns, and lines counted up from the bottom of the screen: the scrollback is not equally long everywhere.

const SEEN = 4000; // milliseconds for which a place is shown
const EVERY = 80; // milliseconds between two places that are told

export class Pointing {
  #terminal;
  #told = 0;
  #lights = new Map(); // of each member: what is shown, and when it goes

  // button: the toggle; tell(place) sends where this page points.
  constructor(terminal, button, tell) {
    this.#terminal = terminal;
    this.tell = tell;
    this.on = false;
    button.hidden = false;
    const set = (on) => {
      this.on = on;
      button.setAttribute("aria-pressed", String(on));
      terminal.element.classList.toggle("is-pointing", on);
    };
    button.addEventListener("click", () => { set(!this.on); terminal.focus(); });
    terminal.element.addEventListener("mousemove", (event) => { if (this.on) this.#point(event); });
    terminal.onSelectionChange(() => { if (this.on) this.#stretch(); });
  }

  #bottom() { return this.#terminal.buffer.active.baseY + this.#terminal.rows - 1; }

  #point(event) {
    if (performance.now() - this.#told < EVERY) return;
    const box = this.#terminal.element.querySelector(".xterm-screen").getBoundingClientRect();
    const column = Math.floor(((event.clientX - box.left) / box.width) * this.#terminal.cols);
    const row = Math.floor(((event.clientY - box.top) / box.height) * this.#terminal.rows);
    if (column < 0 || row < 0 || column >= this.#terminal.cols || row >= this.#terminal.rows) return;
    this.#told = performance.now();
    this.tell({ column, line: this.#bottom() - (this.#terminal.buffer.active.viewportY + row) });
  }

  #stretch() {
    const chosen = this.#terminal.getSelectionPosition();
    if (!chosen) return;
    const bottom = this.#bottom();
    const place = { column: chosen.start.x, line: bottom - chosen.start.y, to_column: chosen.end.x, to_line: bottom - chosen.end.y };
    if (Object.values(place).every((value) => value >= 0)) this.tell(place);
  }

  // note: id, name, column, line, and for a stretch to_column, to_line.
  show(note) {
    this.#forget(note.id);
    const cursor = this.#terminal.buffer.active.baseY + this.#terminal.buffer.active.cursorY;
    const shown = [];
    for (const part of this.#parts(note)) {
      const marker = this.#terminal.registerMarker(this.#bottom() - part.line - cursor);
      const decoration = marker && this.#terminal.registerDecoration({ marker, x: part.x, width: part.width, layer: "top" });
      decoration?.onRender((element) => this.#dress(element, note, part));
      if (marker) shown.push({ marker, decoration });
    }
    const timer = setTimeout(() => this.#forget(note.id), SEEN);
    this.#lights.set(note.id, { shown, timer });
  }

  #parts(note) {
    if (note.to_line === undefined) return [{ line: note.line, x: Math.min(note.column, this.#terminal.cols - 1), width: 1, light: true }];
    const parts = [];
    for (let line = note.line; line >= note.to_line && parts.length < 200; line--) {
      const from = line === note.line ? note.column : 0;
      const to = line === note.to_line ? note.to_column : this.#terminal.cols;
      if (to > from) parts.push({ line, x: from, width: Math.min(to, this.#terminal.cols) - from, light: false });
    }
    return parts;
  }

  #dress(element, note, part) {
    if (element.dataset.dressed) return;
    element.dataset.dressed = "1";
    element.classList.add(part.light ? "point-light" : "point-stretch");
    if (!part.light && part.line !== note.line) return;
    const name = document.createElement("span");
    name.className = "point-name";
    name.textContent = note.name;
    element.append(name);
  }

  #forget(id) {
    const light = this.#lights.get(id);
    if (!light) return;
    clearTimeout(light.timer);
    for (const { marker, decoration } of light.shown) { decoration?.dispose(); marker.dispose(); }
    this.#lights.delete(id);
  }
}
