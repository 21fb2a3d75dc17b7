// A screen as records: a head of 13 bytes (docs/reference/protocol.md), then a JPEG. Drawn in the order they came.

const HEAD = 13;
export const SCREEN = 1;
export const TILE = 2;

export function parse(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return {
    kind: view.getUint8(0), x: view.getUint16(1), y: view.getUint16(3), width: view.getUint16(5), height: view.getUint16(7),
    payload: bytes.subarray(HEAD),
  };
}

export class Canvas {
  #last = Promise.resolve();

  constructor(element, resized = () => {}) {
    this.element = element;
    this.context = element.getContext("2d");
    this.resized = resized;
  }

  // Resolves when this record, and so all before it, are on the canvas.
  draw(record) {
    const image = record.kind === TILE ? createImageBitmap(new Blob([record.payload], { type: "image/jpeg" })).catch(() => null) : null;
    this.#last = this.#last.then(async () => this.#put(record, await image));
    return this.#last;
  }

  #put(record, image) {
    if (record.kind === SCREEN) {
      this.element.width = record.width;
      this.element.height = record.height;
      this.resized(record);
    } else if (image) {
      this.context.drawImage(image, record.x, record.y);
      image.close();
    }
  }
}
