// What is typed on this page: one numbered stream, kept until the machine has it, sent again from where the server says.

const LIMIT = 64 * 1024; // bytes kept; more is refused, and said
const LATE = 1500; // milliseconds after which what the machine has not confirmed is shown as waiting

export class Keyboard {
  #kept = new Uint8Array(0); // from #start on
  #start = 0;
  #sent = 0;
  #open = false;
  #void = 0; // what was typed before this place is thrown away, as far as the server has not taken it
  #since = 0; // since when nothing was confirmed of what is kept
  #asked = 0; // how many questions were asked
  #asking = 0; // the one whose answer is waited for
  #refusedFrom = null; // what is kept from this place on was typed after a refusal, and gets its place with the answer
  #send;
  #ask;
  #changed;

  // send(bytes, offset) hands bytes to the socket, ask(number) a question that is answered by a resume with its number;
  // changed() is called when what waits has changed.
  constructor(send, ask, changed) {
    this.#send = send;
    this.#ask = ask;
    this.#changed = changed;
  }

  type(text) {
    const bytes = new TextEncoder().encode(text);
    if (this.#kept.length + bytes.length > LIMIT) return false;
    if (!this.#kept.length) this.#waits();
    this.#kept = joined(this.#kept, bytes);
    this.#flush();
    return true;
  }

  // The server took everything before `upto`, the machine has what was before `confirmed`: go on from there. What a
  // killed server took and did not hand on is asked for again, so it is kept until the machine has it.
  resume(upto, confirmed, answers = 0) {
    if (this.#asking && answers !== this.#asking) return;
    this.#asking = 0;
    this.#place(upto);
    const taken = Math.max(0, upto - this.#start);
    const thrownAway = Math.max(taken, this.#void - this.#start);
    this.#kept = joined(this.#kept.slice(0, taken), this.#kept.slice(thrownAway));
    this.#void = 0;
    this.#sent = Math.max(upto, this.#start);
    this.#open = true;
    this.arrived(confirmed);
    this.#flush();
  }

  // It was somebody else's turn: what the server did not take is thrown away. More may be under way that is refused
  // too, or that comes when it is this page's turn again: only an answer to what is asked after it tells what was taken.
  // Whether that is news.
  refused(upto) {
    if (this.#asking) return false;
    this.forget(upto);
    this.#open = false;
    this.#refusedFrom = this.#start + this.#kept.length;
    this.#asking = ++this.#asked;
    this.#ask(this.#asking);
    return true;
  }

  // Another connection: what was asked over the one before is not answered any more.
  connected() { this.#asking = 0; }

  // Nothing is taken now (link cut, recording frozen, buffer full): what is typed waits here.
  hold() {
    this.#open = false;
    this.#changed();
  }

  arrived(upto) {
    const done = upto - this.#start;
    if (done > 0) {
      this.#kept = this.#kept.slice(done);
      this.#start = upto;
      this.#sent = Math.max(this.#sent, upto);
      if (this.#kept.length) this.#waits();
    }
    this.#changed();
  }

  // Throw away what the server has not taken: it said how far it came.
  forget(upto) {
    this.#kept = this.#kept.slice(0, Math.max(0, upto - this.#start));
    this.#sent = Math.min(this.#sent, this.#start + this.#kept.length);
    this.#changed();
  }

  // The same where it has yet to say so; until then the numbers stay, for what it took is not taken for what follows.
  forgetHeld() {
    if (this.#open) this.forget(this.#sent);
    else this.#void = this.#start + this.#kept.length;
    this.#changed();
  }

  get held() {
    return this.#waiting > 0 && (!this.#open || performance.now() - this.#since >= LATE);
  }

  // Whether some of it can still be thrown away.
  get forgettable() {
    return !this.#open || this.#sent < this.#start + this.#kept.length;
  }

  get text() {
    return new TextDecoder().decode(this.#kept.slice(this.#kept.length - this.#waiting));
  }

  get #waiting() {
    return this.#start + this.#kept.length - Math.max(this.#start, this.#void);
  }

  #place(upto) {
    const shift = this.#refusedFrom === null ? 0 : upto - this.#refusedFrom;
    if (shift > 0) {
      this.#kept = this.#kept.slice(this.#refusedFrom - this.#start);
      this.#start = upto;
      if (this.#void) this.#void += shift;
    }
    this.#refusedFrom = null;
  }

  #waits() {
    this.#since = performance.now();
    setTimeout(() => this.#changed(), LATE + 10);
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

function joined(first, second) {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}
