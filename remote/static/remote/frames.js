// Binary frames of a session (docs/reference/protocol.md): kind u8, channel u16, offset u64, big-endian, then the payload.

export const DATA = 1;
export const ACK = 2;
export const RESIZE = 6;
export const SNAPSHOT = 8;
const HEADER = 11;
const TERMINAL = 0;

export function decode(buffer) {
  const view = new DataView(buffer);
  return { kind: view.getUint8(0), offset: Number(view.getBigUint64(3)), payload: new Uint8Array(buffer, HEADER) };
}

export function data(payload, offset) {
  return build(DATA, offset, payload);
}

export function ack(offset, window) {
  const payload = new DataView(new ArrayBuffer(4));
  payload.setUint32(0, window);
  return build(ACK, offset, new Uint8Array(payload.buffer));
}

export function resize(columns, rows) {
  const payload = new DataView(new ArrayBuffer(4));
  payload.setUint16(0, columns);
  payload.setUint16(2, rows);
  return build(RESIZE, 0, new Uint8Array(payload.buffer));
}

function build(kind, offset, payload) {
  const bytes = new Uint8Array(HEADER + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, kind);
  view.setUint16(1, TERMINAL);
  view.setBigUint64(3, BigInt(offset));
  bytes.set(payload, HEADER);
  return bytes;
}
