/**
 * One topic that a page follows over the connection, and how far it has come.
 *
 * @import {Changes, Snapshot, WireError} from "./wire.js"
 */

/** A run that was just sent may not be known yet, a database may be away: ask again, later and later. */
const AGAIN_MS = 2_000;
const AGAIN_LAST_MS = 30_000;
/** Answers that asking again does not change. */
const HOPELESS = new Set(["bad_request", "unknown_topic", "too_many"]);

/** Made by `Socket.subscribe`. */
export class Subscription {
  /** Whether the page knows what the server knows, as of the present connection. */
  isAnswered = false;
  /** @type {{epoch: string, seq: number} | null} */
  #since = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #againMs = AGAIN_MS;
  #request;
  #listener;
  #socket;

  /**
   * @param {string} sub
   * @param {{topic: string, filter?: object, limit?: number}} request
   * @param {(frame: Snapshot | Changes) => void} listener
   * @param {{ask: (subscription: Subscription) => void, drop: (subscription: Subscription) => void}} socket
   */
  constructor(sub, request, listener, socket) {
    this.sub = sub;
    this.#request = request;
    this.#listener = listener;
    this.#socket = socket;
  }

  /** @returns {object} the frame that asks for it: for all that came since the last one, if the server still has that. */
  request() {
    clearTimeout(this.#timer);
    return { type: "subscribe", sub: this.sub, ...this.#request, ...(this.#since && { since: this.#since }) };
  }

  /** @param {Snapshot | Changes | WireError} frame */
  take(frame) {
    if (frame.type === "error") return this.#fail(frame.code);
    this.isAnswered = true;
    this.#againMs = AGAIN_MS;
    const epoch = frame.type === "snapshot" ? frame.epoch : this.#since?.epoch;
    this.#since = epoch === undefined ? null : { epoch, seq: frame.seq };
    this.#listener(frame);
  }

  /** Follow no longer. */
  close() {
    clearTimeout(this.#timer);
    this.#socket.drop(this);
  }

  /** @param {string} code */
  #fail(code) {
    this.isAnswered = code === "forbidden";
    if (HOPELESS.has(code)) return;
    this.#timer = setTimeout(() => this.#socket.ask(this), this.#againMs);
    this.#againMs = Math.min(2 * this.#againMs, AGAIN_LAST_MS);
  }
}
