// The terminal itself (xterm.js), with everything that hostile output could reach out with switched off.

import { Terminal } from "../vendor/xterm/xterm.mjs";
import { FitAddon } from "../vendor/xterm/addon-fit.mjs";
import { Unicode11Addon } from "../vendor/xterm/addon-unicode11.mjs";

const SIZE_KEY = "compagnon.terminal.size";
// OSC commands that would act outside of the screen: title (0-2), working folder (7), links (8), notifications (9, 99, 777),
// clipboard (52), shell marks (133, 633), iTerm2 (1337). Colours (4, 10-12, 104, …) stay.
const INERT = [0, 1, 2, 7, 8, 9, 52, 99, 133, 633, 777, 1337];
const COLOURS = [4, 10, 11, 12]; // these may be set; asked for, the terminal would type the answer
// Questions of the output that are left without an answer, which would be typed into the shell: DECRQM, window reports,
// secondary device attributes, XTVERSION, private status reports.
const UNANSWERED = [
  { intermediates: "$", final: "p" }, { prefix: "?", intermediates: "$", final: "p" }, { final: "t" },
  { prefix: ">", final: "c" }, { prefix: "=", final: "c" }, { prefix: ">", final: "q" }, { prefix: "?", final: "n" },
];
// Shells wait for these two (where is the cursor, what are you): their answers are digits, and they are rationed.
const ANSWERED = [{ final: "c" }, { final: "n" }];
const ANSWERS = 20; // in a second
const SHOWN_LATEST = 1500; // milliseconds: on a slow line, what was read by then is shown

export class Screen {
  #fit = new FitAddon();
  #replaying = 0;
  #driving = false;
  #second = 0;
  #answers = 0;
  #shown = false;

  // typed(text): keys for the shell. resized(columns, rows): the size that this page would like. asked(text): what was
  // selected is to be looked for. shown(): it is there to be seen. Whoever makes it calls show() once it has written
  // what was there before: that is read much faster while it is not drawn.
  constructor(element, { typed, resized, asked, shown }) {
    this.element = element;
    this.onShown = shown;
    this.resized = resized;
    this.asked = asked;
    this.terminal = new Terminal({
      allowProposedApi: true,
      cursorBlink: !matchMedia("(prefers-reduced-motion: reduce)").matches,
      fontFamily: getComputedStyle(document.documentElement).getPropertyValue("--mono") || "monospace",
      fontSize: this.#storedSize(),
      scrollback: 10000,
      screenReaderMode: false,
      linkHandler: { activate() {}, allowNonHttpProtocols: false },
      theme: { background: "#101418", foreground: "#e3e6e8", cursor: "#e0a46a", selectionBackground: "#3b5878" },
    });
    this.terminal.loadAddon(this.#fit);
    this.terminal.loadAddon(new Unicode11Addon());
    this.terminal.unicode.activeVersion = "11";
    this.#silence(this.terminal.parser);
    this.terminal.onData((text) => this.#onData(text, typed));
    this.terminal.onBinary((text) => this.#onData(text, typed));
    this.terminal.attachCustomKeyEventHandler((event) => this.#onKey(event));
    setTimeout(() => this.show(), SHOWN_LATEST);
  }

  show() {
    if (this.#shown) return;
    this.#shown = true;
    this.terminal.open(this.element);
    new ResizeObserver(() => this.fit()).observe(this.element);
    this.onShown?.();
  }

  // What hostile output could make the terminal do outside of the screen, or type, is taken out before it gets there.
  #silence(parser) {
    for (const code of INERT) parser.registerOscHandler(code, () => true);
    for (const code of COLOURS) parser.registerOscHandler(code, (data) => data.includes("?"));
    for (const question of UNANSWERED) parser.registerCsiHandler(question, () => true);
    for (const question of ANSWERED) parser.registerCsiHandler(question, () => !this.#mayAnswer());
    parser.registerDcsHandler({ final: "q", intermediates: "$" }, () => true); // DECRQSS
  }

  #mayAnswer() {
    const second = Math.floor(performance.now() / 1000);
    if (second !== this.#second) { this.#second = second; this.#answers = 0; }
    this.#answers += 1;
    return this.#answers <= ANSWERS;
  }

  // Answers that the terminal itself gives to old output (device status and the like) are not typing.
  #onData(text, typed) {
    if (this.#replaying === 0 && this.#driving) typed(text);
  }

  // Ctrl+Shift+C and V copy and paste, Ctrl+C copies while something is selected, Ctrl+Shift+F looks for it; the rest
  // goes to the shell.
  #onKey(event) {
    if (event.type !== "keydown" || !event.ctrlKey || event.altKey || event.metaKey) return true;
    const key = event.key.toLowerCase();
    const selected = this.terminal.getSelection();
    if (key === "c" && (event.shiftKey || selected)) {
      if (selected) navigator.clipboard?.writeText(selected);
      this.terminal.clearSelection();
      event.preventDefault();
      return false;
    }
    if (key === "f" && event.shiftKey) {
      this.asked(selected);
      event.preventDefault();
      return false;
    }
    return !(key === "v" && event.shiftKey); // the browser then pastes into the terminal's own field
  }

  set driving(value) {
    this.#driving = value;
    this.terminal.options.disableStdin = !value;
    this.terminal.options.cursorInactiveStyle = value ? "outline" : "none";
    this.fit();
  }

  reset(modes) {
    this.terminal.reset();
    if (modes.length) this.write(modes, true);
  }

  // replay: output that was shown before, whose questions must not be answered again.
  write(bytes, replay, done) {
    if (replay) this.#replaying += 1;
    this.terminal.write(bytes, () => {
      if (replay) this.#replaying -= 1;
      done?.();
    });
  }

  size(columns, rows) {
    if (this.terminal.cols !== columns || this.terminal.rows !== rows) this.terminal.resize(columns, rows);
  }

  // Only the driver's window decides the size; others scroll.
  fit() {
    if (!this.#driving || !this.#shown || this.element.hidden) return;
    const size = this.#fit.proposeDimensions();
    if (size && size.cols > 0 && size.rows > 0) this.resized(size.cols, size.rows);
  }

  larger(by) {
    const size = Math.min(28, Math.max(8, this.terminal.options.fontSize + by));
    this.terminal.options.fontSize = size;
    try { localStorage.setItem(SIZE_KEY, String(size)); } catch { /* private window */ }
    this.fit();
  }

  #storedSize() {
    let stored = 0;
    try { stored = Number(localStorage.getItem(SIZE_KEY)); } catch { /* private window */ }
    return stored >= 8 && stored <= 28 ? stored : innerWidth < 700 ? 11 : 14;
  }
}
