/**
 * One topic that a page follows over the connection, for all on the page that asked for the same, and how far it has come.
 *
 * @import {ClientFrame} from "./outgoing.js"
 * @import {Changes, Snapshot, WireError} from "./wire.js"
 */

/**
 * @typedef {object} Member one that asked
 * @property {(frame: Snapshot | Changes) => void} take
 * @property {() => void} refuse called when this cannot be followed, as the page follows too much already
 * @property {boolean} hasWhole whether it was given the list that changes are laid over
 */

/** Made by `Socket.subscribe`. */
export class Subscription {
  /** Whether the page knows what the server knows, as of the present connection, or that it will not be told. */
  isAnswered = false;
  #isRefused = false;
  /** @type {{epoch: string, seq: number} | null} */
  #since = null;
  /** @type {Set<Member>} */
  #members = new Set();
  #request;
  #socket;

  /**
   * @param {string} sub
   * @param {{topic: string, filter?: object, limit?: number}} request
   * @param {{ask: (subscription: Subscription) => void, drop: (subscription: Subscription) => void}} socket
   */
  constructor(sub, request, socket) {
    this.sub = sub;
    this.#request = request;
    this.#socket = socket;
  }

  /** @param {object} request @returns {boolean} whether this is what it asks for. */
  is(request) {
    return JSON.stringify(this.#request) === JSON.stringify(request);
  }

  /** @returns {ClientFrame} the frame that asks for it: for all that came since the last one, if the server still has that. */
  request() {
    this.#isRefused = false;
    return { type: "subscribe", sub: this.sub, ...this.#request, ...(this.#since && { since: this.#since }) };
  }

  /**
   * @param {(frame: Snapshot | Changes) => void} take
   * @param {() => void} refuse
   * @returns {{close: () => void}} to follow no longer.
   */
  join(take, refuse) {
    const member = { take, refuse, hasWhole: false };
    this.#members.add(member);
    if (this.#isRefused) refuse();
    if (this.#since) {
      // Without it the server sends the whole, which this one has not.
      this.#since = null;
      this.#socket.ask(this);
    }
    return { close: () => this.#leave(member) };
  }

  /** @param {Snapshot | Changes | WireError} frame */
  take(frame) {
    if (frame.type === "error") {
      // A topic or filter that the server does not know, it will not know later: such a page does not become live.
      if (frame.code === "too_many") this.refuse();
      return;
    }
    this.isAnswered = true;
    const isWhole = frame.type === "snapshot";
    const epoch = isWhole ? frame.epoch : this.#since?.epoch;
    this.#since = epoch === undefined ? null : { epoch, seq: frame.seq };
    for (const member of this.#members) {
      member.hasWhole ||= isWhole;
      if (member.hasWhole) member.take(frame);
    }
  }

  /** Tell all that asked that this is too much. */
  refuse() {
    this.isAnswered = this.#isRefused = true;
    for (const { refuse } of this.#members) refuse();
  }

  /** @param {Member} member */
  #leave(member) {
    if (this.#members.delete(member) && this.#members.size === 0) this.#socket.drop(this);
  }
}
