// @ts-check
/** Pixels and heat maps of a study, fetched once, the slices near the one in view first. */

/** @typedef {import("./types").ViewerData} ViewerData */
/** @typedef {Int16Array | Uint8Array} Values */

const CHUNK = 8;
const PARALLEL = 3;
const TRIES = 3;
const WAIT_MS = 400;

/** The server does not have the study any more, or does not know this browser. */
export class Gone extends Error {}

/**
 * @param {string} address
 * @returns {Promise<Response>}
 */
async function fetched(address) {
  for (let attempt = 1; ; attempt++) {
    try {
      const answer = await fetch(new URL(address, document.baseURI), {
        credentials: "same-origin",
        cache: "no-store",
      });
      if (answer.status === 404) throw new Gone(address);
      if (!answer.ok) throw new Error(`${address}: ${answer.status}`);
      return answer;
    } catch (error) {
      if (error instanceof Gone || attempt === TRIES) throw error;
      await new Promise((resolve) => setTimeout(resolve, WAIT_MS * attempt));
    }
  }
}

export class Pixels {
  /**
   * @param {ViewerData} data
   * @param {(slice: number) => void} arrived called with each slice that has come, from 0
   * @param {(error: unknown) => void} failed
   */
  constructor(data, arrived, failed) {
    this.data = data;
    this.arrived = arrived;
    this.failed = failed;
    /** @type {(Values | undefined)[]} */
    this.slices = new Array(data.slices);
    this.current = data.start - 1;
    this.loaded = 0;
    this.closed = false;
    /** @type {Set<number>} */
    this.asked = new Set();
  }

  /** Rows and columns of a slice. @param {number} slice @returns {[number, number]} */
  shape(slice) {
    const { shapes } = this.data;
    return shapes.length === 1 ? shapes[0] : shapes[slice];
  }

  async load() {
    try {
      await this.#get(this.current, this.current);
      await Promise.all(Array.from({ length: PARALLEL }, () => this.#work()));
    } catch (error) {
      if (!this.closed) this.failed(error);
    }
  }

  close() {
    this.closed = true;
    this.slices = [];
  }

  async #work() {
    for (let chunk = this.#next(); chunk !== null && !this.closed; chunk = this.#next()) {
      this.asked.add(chunk);
      const first = chunk * CHUNK;
      await this.#get(first, Math.min(first + CHUNK, this.data.slices) - 1);
    }
  }

  /** The part nearest to the slice in view that nobody has asked for. @returns {number | null} */
  #next() {
    let nearest = null;
    let least = Number.POSITIVE_INFINITY;
    for (let chunk = 0; chunk * CHUNK < this.data.slices; chunk++) {
      const apart = Math.abs(chunk * CHUNK + CHUNK / 2 - this.current);
      if (!this.asked.has(chunk) && apart < least) {
        least = apart;
        nearest = chunk;
      }
    }
    return nearest;
  }

  /** @param {number} first @param {number} last */
  async #get(first, last) {
    const answer = await fetched(`${this.data.address}/slices/${first}-${last}`);
    const bytes = await answer.arrayBuffer();
    if (this.closed) return;
    const Kind = this.data.pixelType === "int16" ? Int16Array : Uint8Array;
    let offset = 0;
    for (let slice = first; slice <= last; slice++) {
      const [rows, columns] = this.shape(slice);
      if (this.slices[slice] === undefined) this.loaded++;
      this.slices[slice] = new Kind(bytes, offset, rows * columns);
      offset += rows * columns * Kind.BYTES_PER_ELEMENT;
      this.arrived(slice);
    }
  }
}

/** @typedef {{levels: Uint8Array, rows: number, columns: number}} HeatMap */

export class Maps {
  /** @param {string} address */
  constructor(address) {
    this.address = address;
    /** @type {Map<string, Promise<void>>} */
    this.asked = new Map();
    /** @type {Map<string, HeatMap>} */
    this.come = new Map();
  }

  /**
   * The map of a slice, null where it has not come yet.
   *
   * @param {import("./types").MapChoice} choice
   * @param {number} slice from 0
   * @returns {HeatMap | null}
   */
  of(choice, slice) {
    const maps = this.come.get(partOf(choice, slice));
    if (!maps) return null;
    const { levels, rows, columns } = maps;
    const first = choice.all ? slice * rows * columns : 0;
    return { levels: levels.subarray(first, first + rows * columns), rows, columns };
  }

  /**
   * Asks for a map, once; done when it has come.
   *
   * @param {import("./types").MapChoice} choice
   * @param {number} slice from 0
   * @returns {Promise<void>}
   */
  ask(choice, slice) {
    const part = partOf(choice, slice);
    let asked = this.asked.get(part);
    if (!asked) {
      asked = this.#get(part);
      this.asked.set(part, asked);
      asked.catch(() => this.asked.delete(part));
    }
    return asked;
  }

  /** @param {string} part */
  async #get(part) {
    const answer = await fetched(`${this.address}/maps/${part}`);
    const [rows, columns] = (answer.headers.get("X-Map-Shape") ?? "0,0").split(",").map(Number);
    this.come.set(part, { levels: new Uint8Array(await answer.arrayBuffer()), rows, columns });
  }
}

/** Last part of the address. @param {import("./types").MapChoice} choice @param {number} slice */
function partOf(choice, slice) {
  return choice.all ? choice.key : `${choice.key}/${slice}`;
}
