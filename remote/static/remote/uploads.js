// Files on their way to the machine: pieces over HTTP, taken up again where the machine's unfinished file ends.

export const PIECE = 8 * 1024 * 1024; // what the server takes at once
const AT_ONCE = 3;
const PAUSES = [500, 1000, 2000, 5000, 10_000]; // ms between tries; the last one again and again

const sleep = (time) => new Promise((done) => setTimeout(done, time));

class Refused extends Error {
  constructor(answer) { super(answer.error || ""); this.code = answer.code || ""; }
}
class Cut extends Error {} // worth another try
class Stopped extends Error {}

export class Upload {
  // `names`: folders, then the file, below the folder `key`. `show(upload)` draws it.
  constructor(file, key, names, page, show) {
    Object.assign(this, { file, key, names, page, show, state: "waiting", sent: 0, sum: "", problem: "", overwrite: false });
    this.base = `/sessions/${page.id}/files/uploads`;
  }

  get path() { return this.names.join("/"); }

  get over() { return ["done", "failed", "stopped"].includes(this.state); }

  set(state, facts = {}) {
    Object.assign(this, facts, { state });
    this.show(this);
  }

  async run() {
    this.stopped = false;
    this.problem = "";
    const digest = this.#digest();
    try {
      for (let tries = 0; ; tries++) {
        try { await this.#once(digest, () => { tries = 0; }); return; } catch (error) {
          if (!(error instanceof Cut)) throw error;
          this.set("cut");
          await sleep(PAUSES[Math.min(tries, PAUSES.length - 1)]);
        }
      }
    } catch (error) {
      if (!(error instanceof Stopped)) this.set("failed", { problem: error.message, code: error.code });
    } finally {
      this.worker?.terminate();
    }
  }

  stop() {
    this.stopped = true;
    this.request?.abort();
    this.answer?.(false);
    this.set("stopped");
    if (this.token) this.#ask(`${this.base}/${this.token}/drop`, {}).catch(() => {});
  }

  async #once(digest, moved) {
    const begun = await this.#ask(this.base, { key: this.key, names: this.names, size: this.file.size, modified: Math.floor(this.file.lastModified / 1000) });
    this.token = begun.token;
    if (begun.exists && !this.overwrite && !this.ended) await this.#mayReplace(begun);
    for (let at = this.ended ? this.file.size : begun.have; at < this.file.size;) {
      this.set("sending", { sent: at });
      const have = await this.#send(at);
      if (have > at) moved();
      else if (have === at) throw new Cut();
      at = have;
    }
    this.set("checking", { sent: this.file.size });
    const sha256 = await digest;
    if (this.stopped) throw new Stopped();
    this.ended = true; // from here on the file may be in its place: its own presence is no reason to ask
    try { await this.#ask(`${this.base}/${this.token}/end`, { sha256, overwrite: this.overwrite }); } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.ended = false;
      if (error.code === "exists") await this.#mayReplace({});
      if (["exists", "incomplete", "gone"].includes(error.code) && !this.gone) { this.gone = error.code === "gone"; throw new Cut(); }
      throw error;
    }
    this.set("done", { sum: sha256 });
  }

  // Somebody says yes, or this file is left alone.
  async #mayReplace(present) {
    const yes = this.always?.() ?? await new Promise((answer) => { this.answer = answer; this.set("asking", { present }); });
    this.answer = null;
    if (this.stopped) throw new Stopped();
    if (!yes) { this.stop(); throw new Stopped(); }
    this.overwrite = true;
  }

  #digest() {
    const worker = this.worker = new Worker(new URL("./sha256.js", import.meta.url), { type: "module" });
    const found = new Promise((done, failed) => {
      worker.onmessage = ({ data }) => { if (data.sha256) done(data.sha256); else if (data.failed) failed(new Error(this.page.texts.reading)); };
      worker.onerror = () => failed(new Error(this.page.texts.failed));
    });
    found.catch(() => {});
    worker.postMessage(this.file);
    return found;
  }

  async #ask(address, body) {
    let response;
    try {
      response = await fetch(address, { method: "POST", headers: { "x-csrftoken": this.page.csrf, "content-type": "application/json", accept: "application/json" }, body: JSON.stringify(body) });
    } catch { throw new Cut(); }
    return this.#understand(response.status, await response.text().catch(() => ""));
  }

  #understand(status, text) {
    let answer = {};
    try { answer = JSON.parse(text); } catch { /* a proxy's own page */ }
    if (status < 300) return answer;
    if (status >= 500 || status === 0 || answer.code === "busy" || answer.code === "lost") throw new Cut();
    throw new Refused(answer);
  }

  #send(at) {
    const piece = this.file.slice(at, at + PIECE);
    return new Promise((done, failed) => {
      const request = this.request = new XMLHttpRequest();
      request.open("PUT", `${this.base}/${this.token}?start=${at}`);
      request.setRequestHeader("x-csrftoken", this.page.csrf);
      request.setRequestHeader("accept", "application/json");
      request.upload.onprogress = (event) => { if (!this.stopped) this.set("sending", { sent: at + event.loaded }); };
      request.onabort = () => failed(new Stopped());
      request.onerror = () => failed(new Cut());
      request.onload = () => { try { done(this.#understand(request.status, request.responseText).have); } catch (error) { failed(error.code === "gone" ? new Cut() : error); } };
      request.send(piece);
    });
  }
}

export class Queue {
  constructor() { this.waiting = []; this.running = 0; }

  add(upload) { this.waiting.push(upload); this.#next(); }

  async #next() {
    if (this.running >= AT_ONCE || !this.waiting.length) return;
    const upload = this.waiting.shift();
    if (upload.state === "stopped") { this.#next(); return; }
    this.running++;
    try { await upload.run(); } finally { this.running--; this.#next(); }
  }
}

// Every file in what was dropped, folders and all, as {file, names}.
export async function dropped(items) {
  const entries = [...items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const found = [];
  for (const entry of entries) await walk(entry, [], found);
  return found;
}

async function walk(entry, above, found) {
  const names = [...above, entry.name];
  if (entry.isFile) {
    found.push({ file: await new Promise((done, failed) => entry.file(done, failed)), names });
    return;
  }
  const reader = entry.createReader();
  for (;;) { // a hundred at a time
    const some = await new Promise((done, failed) => reader.readEntries(done, failed));
    if (!some.length) return;
    for (const one of some) await walk(one, names, found);
  }
}
