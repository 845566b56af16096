/** What a page says on one connection: no faster than the server listens, and nothing that was taken back meanwhile. */

/** The server hears 100 frames in 10 s; some of one window may reach it late, together with those of the next. */
const MOST_FRAMES = 90;
const WINDOW_MS = 12_000;

/** @typedef {{type: "subscribe" | "unsubscribe", sub: string}} ClientFrame */

export class Outgoing {
  /** What waits, the last word on each subscription. @type {Map<string, ClientFrame>} */
  #frames = new Map();
  /** The subscriptions that the server has heard of. @type {Set<string>} */
  #told = new Set();
  /** @type {number[]} */
  #sentAt = [];
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #send;

  /** @param {(text: string) => void} send */
  constructor(send) {
    this.#send = send;
  }

  /** @param {ClientFrame} frame goes at once, or when there is room. */
  put(frame) {
    this.#frames.delete(frame.sub);
    if (frame.type === "subscribe" || this.#told.has(frame.sub)) this.#frames.set(frame.sub, frame);
    this.#flush();
  }

  /** Say nothing more. */
  end() {
    clearTimeout(this.#timer);
  }

  #flush() {
    const now = Date.now();
    this.#sentAt = this.#sentAt.filter((at) => at > now - WINDOW_MS);
    for (const [sub, frame] of this.#frames) {
      if (this.#sentAt.length >= MOST_FRAMES) break;
      this.#frames.delete(sub);
      if (frame.type === "subscribe") this.#told.add(sub);
      else this.#told.delete(sub);
      this.#sentAt.push(now);
      this.#send(JSON.stringify(frame));
    }
    clearTimeout(this.#timer);
    const [first = now] = this.#sentAt;
    if (this.#frames.size > 0) this.#timer = setTimeout(() => this.#flush(), first + WINDOW_MS - now);
  }
}
