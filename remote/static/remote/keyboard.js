// What is typed on this page: one numbered stream, kept until the machine has it, sent again from where the server says.

const LIMIT = 64 * 1024; // bytes kept; more is refused, and said

export class Keyboard {
  #kept = new Uint8Array(0); // from #start on
  #start = 0;
  #sent = 0;
  #open = false;
  #send;
  #changed;

  // send(bytes, offset) hands bytes to the socket; changed() is called when what waits has changed.
  constructor(send, changed) {
    this.#send = send;
    this.#changed = changed;
  }

  type(text) {
    const bytes = new TextEncoder().encode(text);
    if (this.#kept.length + bytes.length > LIMIT) return false;
    const longer = new Uint8Array(this.#kept.length + bytes.length);
    longer.set(this.#kept);
    longer.set(bytes, this.#kept.length);
    this.#kept = longer;
    this.#flush();
    return true;
  }

  // The server has everything before `upto`: go on from there.
  resume(upto) {
    this.arrived(upto);
    this.#sent = Math.max(upto, this.#start);
    this.#open = true;
    this.#flush();
  }

  // Nothing is taken now (link cut, recording frozen, buffer full): what is typed waits here.
  hold() {
    this.#open = false;
    this.#changed();
  }

  arrived(upto) {
    const done = Math.min(upto - this.#start, this.#kept.length);
    if (done > 0) {
      this.#kept = this.#kept.slice(done);
      this.#start += done;
    }
    this.#changed();
  }

  // Throw away what the server has not taken: somebody else has the keyboard, or the person says so.
  forget(upto = this.#open ? this.#sent : this.#start) {
    const keep = Math.max(0, upto - this.#start);
    this.#kept = this.#kept.slice(0, keep);
    this.#sent = Math.min(this.#sent, this.#start + this.#kept.length);
    this.#changed();
  }

  get waiting() {
    return this.#kept.length;
  }

  get held() {
    return !this.#open && this.#kept.length > 0;
  }

  get text() {
    return new TextDecoder().decode(this.#kept);
  }

  #flush() {
    if (this.#open) {
      const from = this.#sent - this.#start;
      for (let at = from; at < this.#kept.length; at += 16384) {
        const part = this.#kept.slice(at, at + 16384);
        this.#send(part, this.#start + at);
        this.#sent += part.length;
      }
    }
    this.#changed();
  }
}
