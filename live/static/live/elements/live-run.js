/**
 * `<live-run data-run-id data-state>`: one run, whole page or small box; its slots are kept up to date.
 * Sends a bubbling `live:ended`, with the row as detail, when the run ends while the page watches.
 *
 * @import {Attempt, Changes, Row, Snapshot} from "../wire.js"
 * @import {Subscription} from "../subscription.js"
 */

import { connection } from "../connection.js";
import { asRow, draw, fill } from "../fill.js";
import { FINAL } from "../format.js";

class LiveRun extends HTMLElement {
  /** @type {Subscription | null} */
  #subscription = null;
  #hasEnded = false;

  connectedCallback() {
    this.#hasEnded = FINAL.has(this.dataset.state ?? "");
    this.#subscription = connection.subscribe({ topic: `run:${this.dataset.runId}` }, (frame) => this.#take(frame));
  }

  disconnectedCallback() {
    this.#subscription?.close();
  }

  /** @param {Snapshot | Changes} frame */
  #take(frame) {
    const row = frame.runs.find((one) => one.id === this.dataset.runId);
    if (!row) return;
    fill(this, row);
    if (frame.attempts) this.#fillAttempts(row, frame.attempts);
    if (!FINAL.has(row.state) || this.#hasEnded) return;
    this.#hasEnded = true;
    this.dispatchEvent(new CustomEvent("live:ended", { bubbles: true, detail: row }));
  }

  /** @param {Row} row @param {Attempt[]} attempts */
  #fillAttempts(row, attempts) {
    const body = this.querySelector("[data-attempts]");
    const template = /** @type {HTMLTemplateElement | null} */ (this.querySelector("template[data-attempt]"));
    if (!body || !template) return;
    for (const [index, attempt] of attempts.entries()) {
      const drawn = /** @type {HTMLElement | undefined} */ (body.children[index]);
      if (drawn) fill(drawn, asRow(row, attempt));
      else body.append(draw(template, asRow(row, attempt)));
    }
  }
}

customElements.define("live-run", LiveRun);
