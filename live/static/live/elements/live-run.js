/**
 * `<live-run data-run-id data-state>`: one run, whole page or small box; its slots are kept up to date.
 * Sends a bubbling `live:ended`, with the row as detail, when the run ends while the page watches.
 *
 * @import {Attempt, Changes, Row, Snapshot} from "../wire.js"
 */

import { connection } from "../connection.js";
import { asRow, draw, fill } from "../fill.js";
import { FINAL } from "../format.js";

class LiveRun extends HTMLElement {
  /** @type {{close: () => void} | null} */
  #subscription = null;
  #hasEnded = false;

  connectedCallback() {
    this.#hasEnded = FINAL.has(this.dataset.state ?? "");
    const request = { topic: `run:${this.dataset.runId}` };
    this.#subscription = connection.subscribe(
      request,
      (frame) => this.#take(frame),
      () => this.#tellRefused(true),
    );
  }

  disconnectedCallback() {
    this.#subscription?.close();
  }

  /** @param {Snapshot | Changes} frame */
  #take(frame) {
    this.#tellRefused(false);
    const row = frame.runs.find((one) => one.id === this.dataset.runId);
    if (!row) return;
    fill(this, row);
    if (frame.attempts) this.#fillAttempts(row, frame.attempts);
    if (!FINAL.has(row.state) || this.#hasEnded) return;
    this.#hasEnded = true;
    this.dispatchEvent(new CustomEvent("live:ended", { bubbles: true, detail: row }));
  }

  /** @param {boolean} isRefused whether the page follows too much for this one to be live, which its own words say. */
  #tellRefused(isRefused) {
    this.querySelector("live-connection")?.toggleAttribute("data-refused", isRefused);
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
