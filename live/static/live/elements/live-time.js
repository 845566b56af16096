/**
 * `<live-time data-mode data-words data-from data-to>`: a time that ticks while it has no end.
 *
 * @import {Mode} from "../format.js"
 */

import { now } from "../clock.js";
import { setText } from "../fill.js";
import { clock, exact } from "../format.js";

const TICK_MS = 1000;
/** @type {Set<LiveTime>} */
const ticking = new Set();

class LiveTime extends HTMLElement {
  static observedAttributes = ["data-mode", "data-words", "data-from", "data-to"];

  connectedCallback() {
    ticking.add(this);
    this.#hint();
    this.tick();
  }

  disconnectedCallback() {
    ticking.delete(this);
  }

  attributeChangedCallback() {
    if (!this.isConnected) return;
    this.#hint();
    this.tick();
  }

  tick() {
    const { mode, words, from, to } = this.dataset;
    const text = clock(/** @type {Mode} */ (mode ?? "ago"), from || null, to || null, now());
    setText(this, [words, text].filter(Boolean).join(" "));
  }

  /** The exact moments, for who points at it. */
  #hint() {
    const moments = [this.dataset.from, this.dataset.to].filter((moment) => moment !== undefined && moment !== "");
    this.title = moments.map((moment) => exact(moment ?? "")).join(" – ");
  }
}

setInterval(() => {
  for (const time of ticking) time.tick();
}, TICK_MS);

customElements.define("live-time", LiveTime);
