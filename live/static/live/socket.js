/**
 * The page's one connection: hello, subscriptions, resume, watchdog, and coming back for ever.
 *
 * @import {Beat, Changes, Frame, Hello, Snapshot} from "./wire.js"
 */

import { setServerTime } from "./clock.js";
import { Outgoing } from "./outgoing.js";
import { Subscription } from "./subscription.js";

const FIRST_DELAY_MS = 500;
const LAST_DELAY_MS = 20_000;
/** A connection that held so long was a good one: the next delay is short again. */
const GOOD_MS = 5_000;
const HELLO_LIMIT_MS = 10_000;
const BEATS_MISSED = 2.5;
/** Topics that one page follows: the server takes 100, and as many frames in 10 s, of which some are left for later. */
const MOST = 80;
/** The close code that asks us to come back, but not soon; and the failures that it counts as. */
const TOO_MANY = 4029;
const MANY_FAILURES = 6;
/** Close codes after which coming back by ourselves is of no use. */
/** @type {Record<number, Status>} */
const LAST_WORDS = { 4001: "login", 4003: "forbidden", 4400: "reload" };

/**
 * idle: nobody asked for anything yet. stale: was live, and is being opened again. offline: that failed, or the browser
 * says so. login, forbidden, reload: the server sent us away.
 *
 * @typedef {"idle" | "connecting" | "live" | "stale" | "offline" | "login" | "forbidden" | "reload"} Status
 */

/** Sends the event `status` when what it is changes. */
export class Socket extends EventTarget {
  /** @type {Status} */
  status = "idle";
  /** Milliseconds since 1970, by this machine: as of when the page knows all; before that, when we began. */
  knownAt = Date.now();
  /** @type {WebSocket | null} */
  #socket = null;
  /** @type {Outgoing | null} */
  #outgoing = null;
  /** @type {Map<string, Subscription>} */
  #subscriptions = new Map();
  /** What was too much, until another gives way. @type {Set<Subscription>} */
  #waiting = new Set();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #limitMs = HELLO_LIMIT_MS;
  #heardAt = Date.now();
  #openedAt = 0;
  #failures = 0;
  #lastSub = 0;
  #open;

  /** @param {() => WebSocket} open makes a connection. */
  constructor(open) {
    super();
    this.#open = open;
  }

  /**
   * Follow a topic from now on; who asks for the same shares it.
   *
   * @param {{topic: string, filter?: object, limit?: number}} request
   * @param {(frame: Snapshot | Changes) => void} take gets a snapshot first, then changes, after a break too
   * @param {() => void} [refuse] called when the page follows too much already; `take` is, should that pass
   * @returns {{close: () => void}} to follow it no longer.
   */
  subscribe(request, take, refuse = () => {}) {
    const known = [...this.#subscriptions.values(), ...this.#waiting].find((one) => one.is(request));
    return (known ?? this.#add(request)).join(take, refuse);
  }

  /** @param {{topic: string, filter?: object, limit?: number}} request */
  #add(request) {
    const subscription = new Subscription(String(++this.#lastSub), request, this);
    if (this.#subscriptions.size < MOST) {
      this.#follow(subscription);
    } else {
      this.#waiting.add(subscription);
      subscription.refuse();
    }
    return subscription;
  }

  /** @param {Subscription} subscription */
  #follow(subscription) {
    this.#subscriptions.set(subscription.sub, subscription);
    if (this.status === "idle") this.#connect();
    else this.ask(subscription);
  }

  /** @param {Subscription} subscription ask the server for it, if it is there; else it is asked when it comes. */
  ask(subscription) {
    subscription.isAnswered = false;
    if (this.#isGreeted) this.#outgoing?.put(subscription.request());
  }

  /** @param {Subscription} subscription */
  drop(subscription) {
    if (this.#waiting.delete(subscription)) return;
    this.#subscriptions.delete(subscription.sub);
    if (this.#isGreeted) this.#outgoing?.put({ type: "unsubscribe", sub: subscription.sub });
    // Not before all that are just leaving the page have left.
    queueMicrotask(() => this.#letIn());
  }

  #letIn() {
    for (const next of this.#waiting) {
      if (this.#subscriptions.size >= MOST) return;
      this.#waiting.delete(next);
      this.#follow(next);
    }
  }

  /** Open now what waits for its time, or what was not heard for too long: the machine woke, the network is back. */
  wake() {
    if (this.#isOver || this.status === "idle") return;
    const isSilent = Date.now() - this.#heardAt > this.#limitMs;
    if (this.#socket && !isSilent) return;
    this.#failures = 0;
    this.#connect();
  }

  /** The browser has lost its network: what is open is not to be trusted. */
  lose() {
    if (this.#isOver || this.status === "idle") return;
    this.#retry(true);
  }

  /** Whether the server has greeted this connection. */
  #isGreeted = false;
  /** Whether the server itself knows all: it may have lost Redis. */
  #isInContact = true;

  get #isOver() {
    return ["login", "forbidden", "reload"].includes(this.status);
  }

  #connect() {
    this.#abandon();
    if (this.status === "idle") this.#become("connecting");
    const socket = this.#open();
    this.#socket = socket;
    this.#outgoing = new Outgoing((text) => socket.send(text));
    this.#limitMs = HELLO_LIMIT_MS;
    socket.onmessage = (event) => this.#take(event.data);
    socket.onclose = (event) => this.#closed(event.code);
    this.#watch();
  }

  /** Let go of the connection without waiting for the other side, which may be gone. */
  #abandon() {
    clearTimeout(this.#timer);
    this.#outgoing?.end();
    const socket = this.#socket;
    this.#socket = null;
    this.#isGreeted = false;
    if (!socket) return;
    socket.onmessage = socket.onclose = null;
    socket.close();
  }

  /** @param {unknown} data */
  #take(data) {
    this.#heardAt = Date.now();
    this.#watch();
    /** @type {Frame} */
    const frame = JSON.parse(String(data));
    if (frame.type === "hello") this.#greet(frame);
    if (frame.type === "hello" || frame.type === "beat") this.#setClock(frame);
    else this.#subscriptions.get(frame.sub ?? "")?.take(frame);
    this.#judge();
  }

  /** @param {Hello} hello */
  #greet(hello) {
    this.#limitMs = hello.beat_s * 1000 * BEATS_MISSED;
    this.#openedAt = Date.now();
    this.#isGreeted = true;
    this.#watch();
    for (const subscription of this.#subscriptions.values()) this.ask(subscription);
  }

  /** @param {Hello | Beat} frame */
  #setClock({ now, as_of, in_contact }) {
    setServerTime(now);
    this.#isInContact = in_contact !== false;
    if (!this.#isInContact && as_of) this.knownAt = Date.now() - (Date.parse(now) - Date.parse(as_of));
  }

  /** Live is a page whose every question was answered on this connection, by a server that knows all. */
  #judge() {
    if (!this.#isGreeted || ![...this.#subscriptions.values()].every((one) => one.isAnswered)) return;
    if (this.#isInContact) this.knownAt = this.#heardAt;
    this.#become(this.#isInContact ? "live" : "stale");
  }

  #watch() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#retry(), this.#limitMs);
  }

  /** @param {number} code */
  #closed(code) {
    const last = LAST_WORDS[code];
    if (!last) return this.#retry(!this.#isGreeted, code === TOO_MANY ? MANY_FAILURES : 0);
    this.#abandon();
    this.#become(last);
  }

  /**
   * Come back later: each time within a longer time, at random, so that not all pages come at once.
   *
   * @param {boolean} isOffline whether there is no server, as far as we know; else this may be a hiccup.
   * @param {number} failures as how many this counts at least, however long the connection held.
   */
  #retry(isOffline = !this.#isGreeted, failures = 0) {
    if (this.#isGreeted && Date.now() - this.#openedAt > GOOD_MS) this.#failures = 0;
    this.#failures = Math.max(this.#failures, failures);
    this.#abandon();
    const isFirst = this.status === "connecting" && this.#failures === 0;
    if (!isFirst) this.#become(isOffline ? "offline" : "stale");
    const longest = Math.min(LAST_DELAY_MS, FIRST_DELAY_MS * 2 ** this.#failures);
    this.#failures += 1;
    this.#timer = setTimeout(() => this.#connect(), Math.random() * longest);
  }

  /** @param {Status} status */
  #become(status) {
    if (status === this.status) return;
    this.status = status;
    this.dispatchEvent(new Event("status"));
  }
}
