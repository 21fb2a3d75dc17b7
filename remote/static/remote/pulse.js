// Whether a connection still lives: asked every two seconds, and given up when no answer comes. A browser says nothing
// of a line that was cut: for a quarter of an hour the socket counts as open.

const LOOK_EVERY = 1000;
const ASK_EVERY = 2000;
const SILENT_AFTER = 4000; // without an answer; doubled, up to the most, by each connection that fell silent
const SILENT_AT_MOST = 15_000;
const OPEN_WITHIN = 10_000;
const PROVEN = 60_000; // after which a connection counts as a good one

export class Pulse {
  #begun = null; // when the connection was dialled; null: there is none
  #open = false;
  #asked = 0;
  #unanswered = false;
  #patience = SILENT_AFTER;
  #looked = performance.now();

  // ask() sends the question; dead() is called when the connection is to be given up.
  constructor(ask, dead) {
    this.ask = ask;
    this.dead = dead;
    setInterval(() => this.#look(), LOOK_EVERY);
  }

  dialled() {
    this.#begun = performance.now();
    this.#open = this.#unanswered = false;
  }

  heard() {
    this.#open = true;
    this.#unanswered = false;
  }

  lost() { this.#begun = null; }

  #look() {
    const now = performance.now();
    const late = now - this.#looked > 3 * LOOK_EVERY; // a busy or hidden page: what came meanwhile is heard first
    this.#looked = now;
    if (this.#begun === null) return;
    const age = now - this.#begun;
    if (age > PROVEN) this.#patience = SILENT_AFTER;
    if (!this.#open) {
      if (age > OPEN_WITHIN) this.dead();
    } else if (this.#unanswered && !late) {
      if (now - this.#asked > this.#patience) this.#fallSilent();
    } else if (late || now - this.#asked >= ASK_EVERY) {
      this.#asked = now;
      this.#unanswered = true;
      this.ask();
    }
  }

  #fallSilent() {
    this.#patience = Math.min(2 * this.#patience, SILENT_AT_MOST);
    this.dead();
  }
}
