// The socket of a session's page: dialled with a one-time ticket, watched, and taken up again by itself.

import { Pulse } from "./pulse.js";

const LONGEST_PAUSE = 1500; // somebody sits in front of it
const ASK_AGAIN = 1500; // while the client has not answered
const TICKET_AGAIN = 1500; // what went into a dead connection is answered long after the network is back
const TICKETS_AT_ONCE = 4;
const TICKET_WITHIN = 20_000;

// `on`: hear(note), draw(buffer), cut(), waiting(), refused(), ended(); each may be left out.
export class SessionLink {
  constructor(page, on, place = () => null) {
    this.page = page;
    this.on = on;
    this.place = place; // from which offset on frames are wanted; null: from the start
    this.viewer = [...crypto.getRandomValues(new Uint8Array(8))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    this.tries = 0;
    this.over = page.state === "ended";
    this.socket = null;
    this.dialling = false;
    this.pulse = new Pulse(() => this.say("ping"), () => this.#drop());
    addEventListener("online", () => { this.tries = 0; this.connect(); });
    addEventListener("offline", () => this.#drop());
    document.addEventListener("live:event", () => { if (!this.socket) this.connect(); });
  }

  get ready() { return this.socket?.readyState === WebSocket.OPEN; }

  // Asked for by the start, a live event, a retry, the network's return, sometimes by two of them at once.
  async connect() {
    if (this.over || this.socket || this.dialling) return;
    this.dialling = true;
    try { await this.#dial(); } finally { this.dialling = false; }
  }

  send(data) { if (this.ready) this.socket.send(data); }

  say(kind, facts = {}) { this.send(JSON.stringify({ type: kind, ...facts })); }

  end() {
    this.over = true;
    this.socket?.close();
  }

  async #dial() {
    const brought = this.page.ticket; // with the page; too old in a tab that was kept, which asks for another then
    this.page.ticket = "";
    if (brought) { this.#open(brought); return; }
    let answer;
    try {
      const response = await this.#ticket();
      if (response.status === 403 || response.status === 404) { this.on.refused?.(); return; }
      if (!response.ok) throw new Error(String(response.status));
      answer = await response.json();
    } catch {
      this.#retry();
      return;
    }
    if (answer.state === "ended") { this.end(); this.on.ended?.(); return; }
    if (answer.state !== "open") { this.on.waiting?.(); setTimeout(() => this.connect(), ASK_AGAIN); return; }
    this.#open(answer.ticket);
  }

  // Several requests, one after the other, until one is answered: the first stays for whoever is far away.
  #ticket() {
    return new Promise((answered, failed) => {
      const tries = [];
      const end = (settle, what, but) => {
        clearInterval(again);
        clearTimeout(late);
        for (const one of tries) if (one !== but) one.abort();
        settle(what);
      };
      const ask = () => {
        if (tries.length === TICKETS_AT_ONCE) tries.splice(1, 1)[0].abort();
        const mine = new AbortController();
        tries.push(mine);
        const headers = { "x-csrftoken": this.page.csrf };
        fetch(`/sessions/${this.page.id}/ticket`, { method: "POST", headers, signal: mine.signal }).then(
          (response) => end(answered, response, mine),
          (error) => { if (!mine.signal.aborted) end(failed, error); },
        );
      };
      const again = setInterval(ask, TICKET_AGAIN);
      const late = setTimeout(() => end(failed, new Error("no answer")), TICKET_WITHIN);
      ask();
    });
  }

  #open(ticket) {
    const place = this.place();
    const query = `ticket=${ticket}&viewer=${this.viewer}&offset=${place === null ? "" : place}`;
    const address = new URL(`/sessions/${this.page.id}/ws?${query}`, location.href);
    address.protocol = address.protocol.replace("http", "ws");
    const mine = new WebSocket(address);
    this.socket = mine;
    this.pulse.dialled();
    mine.binaryType = "arraybuffer";
    mine.onmessage = (event) => {
      if (this.socket !== mine) return;
      this.pulse.heard();
      if (typeof event.data === "string") this.#hear(JSON.parse(event.data)); else this.on.draw?.(event.data);
    };
    mine.onclose = () => { if (this.socket === mine) this.#lose(); };
  }

  #hear(note) {
    if (note.type === "welcome") this.tries = 0;
    this.on.hear?.(note);
    if (note.type === "ended") { this.end(); this.on.ended?.(); }
  }

  #drop() {
    if (!this.socket) return;
    this.socket.onclose = null;
    this.socket.close();
    this.#lose();
  }

  #lose() {
    this.socket = null;
    this.pulse.lost();
    if (this.over) return;
    this.#retry();
    this.on.cut?.();
  }

  #retry() {
    const longest = Math.min(LONGEST_PAUSE, 250 * 2 ** this.tries++);
    setTimeout(() => this.connect(), Math.random() * longest);
    this.on.cut?.();
  }
}
