/**
 * `<live-connection>`: says in words whether the page is live, and how old it is when it is not. With `data-refused` it
 * says that what it stands in is not, as the page follows too much.
 */

import { connection } from "../connection.js";
import { setText } from "../fill.js";
import { ago } from "../format.js";

const TICK_MS = 1000;

/** @type {Record<string, string>} */
const WORDS = {
  idle: "",
  connecting: "connecting…",
  live: "live",
  refused: "not live: too much on this page",
  stale: "stale:",
  offline: "offline",
  login: "you are logged out:",
  forbidden: "not live: this is not yours to see",
  reload: "this page is too old:",
};

class LiveConnection extends HTMLElement {
  static observedAttributes = ["data-refused"];
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #timer;

  connectedCallback() {
    connection.addEventListener("status", this);
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    this.handleEvent();
  }

  disconnectedCallback() {
    connection.removeEventListener("status", this);
    clearInterval(this.#timer);
  }

  attributeChangedCallback() {
    if (this.isConnected) this.handleEvent();
  }

  get #status() {
    return this.hasAttribute("data-refused") ? "refused" : connection.status;
  }

  handleEvent() {
    const status = this.#status;
    this.dataset.state = status;
    this.#set("[data-words]", WORDS[status] ?? status);
    this.#offer(status);
    this.#tick();
  }

  /** What ticks is kept from screen readers, which would speak each second. */
  #tick() {
    const known = new Date(connection.knownAt);
    const clock = known.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
    const stale = `last news ${ago(Date.now() - connection.knownAt)}`;
    this.#set("[data-since]", { stale, offline: `since ${clock}` }[String(this.#status)] ?? "");
  }

  /** @param {string} status */
  #offer(status) {
    const action = /** @type {HTMLAnchorElement | null} */ (this.querySelector("[data-action]"));
    if (!action) return;
    action.hidden = status !== "login" && status !== "reload";
    action.href = status === "login" ? (this.dataset.loginUrl ?? "") : location.href;
    setText(action, status === "login" ? "log in again" : "reload it");
  }

  /** @param {string} selector @param {string} text */
  #set(selector, text) {
    const slot = this.querySelector(selector);
    if (slot) setText(slot, text);
  }
}

customElements.define("live-connection", LiveConnection);
