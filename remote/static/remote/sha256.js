// SHA-256 (FIPS 180-4) of a file as it is read, in a worker: what browsers have built in wants all of it in memory.
// It is told to a page as {at} while it goes on, and as {sha256} at the end, or {failed}.

const PIECE = 4 * 1024 * 1024;
const K = new Int32Array(64);
const START = new Int32Array(8);

// The constants are the fractions of the cube and square roots of the first primes (§4.2.2, §5.3.3).
function roots() {
  const fraction = (value) => ((value - Math.floor(value)) * 2 ** 32) | 0;
  let found = 0;
  for (let number = 2; found < 64; number++) {
    let prime = true;
    for (let divisor = 2; divisor * divisor <= number; divisor++) if (number % divisor === 0) prime = false;
    if (!prime) continue;
    if (found < 8) START[found] = fraction(Math.sqrt(number));
    K[found++] = fraction(Math.cbrt(number));
  }
}
roots();

export class Sha256 {
  constructor() {
    this.state = START.slice();
    this.words = new Int32Array(64);
    this.rest = new Uint8Array(64);
    this.held = 0;
    this.length = 0;
  }

  update(bytes) {
    this.length += bytes.length;
    let at = 0;
    if (this.held) {
      at = Math.min(64 - this.held, bytes.length);
      this.rest.set(bytes.subarray(0, at), this.held);
      this.held += at;
      if (this.held < 64) return;
      this.blocks(this.rest, 0, 64);
      this.held = 0;
    }
    const whole = at + ((bytes.length - at) & ~63);
    this.blocks(bytes, at, whole);
    this.rest.set(bytes.subarray(whole));
    this.held = bytes.length - whole;
  }

  hex() {
    const padded = new Uint8Array(this.held < 56 ? 64 : 128);
    padded.set(this.rest.subarray(0, this.held));
    padded[this.held] = 0x80;
    const view = new DataView(padded.buffer);
    view.setUint32(padded.length - 8, Math.floor(this.length / 2 ** 29));
    view.setUint32(padded.length - 4, (this.length * 8) >>> 0);
    this.blocks(padded, 0, padded.length);
    return [...this.state].map((word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
  }

  blocks(bytes, from, to) {
    const w = this.words;
    const s = this.state;
    let [a, b, c, d, e, f, g, h] = s;
    for (let at = from; at < to; at += 64) {
      for (let i = 0, p = at; i < 16; i++, p += 4) w[i] = (bytes[p] << 24) | (bytes[p + 1] << 16) | (bytes[p + 2] << 8) | bytes[p + 3];
      for (let i = 16; i < 64; i++) {
        const x = w[i - 15];
        const y = w[i - 2];
        const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
        const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
        w[i] = (w[i - 16] + s0 + w[i - 7] + s1) | 0;
      }
      for (let i = 0; i < 64; i++) {
        const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
        const t1 = (h + s1 + ((e & f) ^ (~e & g)) + K[i] + w[i]) | 0;
        const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
        const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
        h = g; g = f; f = e; e = (d + t1) | 0; d = c; c = b; b = a; a = (t1 + t2) | 0;
      }
      a = s[0] = (s[0] + a) | 0; b = s[1] = (s[1] + b) | 0; c = s[2] = (s[2] + c) | 0; d = s[3] = (s[3] + d) | 0;
      e = s[4] = (s[4] + e) | 0; f = s[5] = (s[5] + f) | 0; g = s[6] = (s[6] + g) | 0; h = s[7] = (s[7] + h) | 0;
    }
  }
}

if (typeof WorkerGlobalScope !== "undefined") {
  onmessage = async (event) => {
    const file = event.data;
    const digest = new Sha256();
    try {
      for (let at = 0; at < file.size; at += PIECE) {
        digest.update(new Uint8Array(await file.slice(at, at + PIECE).arrayBuffer()));
        postMessage({ at: Math.min(at + PIECE, file.size) });
      }
      postMessage({ sha256: digest.hex() });
    } catch {
      postMessage({ failed: true });
    }
  };
}
