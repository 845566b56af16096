/**
 * `<live-runs data-filter data-limit data-follow data-page>`: a list of runs. Rows change in place; new ones come in at
 * the top, but wait behind a button while anybody points at the list, has selected or focused something in it, or has
 * scrolled.
 *
 * @import {Changes, Counts, Row, Snapshot} from "../wire.js"
 */

import { connection } from "../connection.js";
import { draw, fill, part, setText } from "../fill.js";
import { FINAL, number } from "../format.js";
import * as store from "../store.js";

class LiveRuns extends HTMLElement {
  /** The rows and the button that lets new ones in: whoever is in here has a hand on the list. @type {HTMLElement} */
  #hold = part(this, "[data-hold]");
  /** @type {HTMLElement} */
  #table = part(this, "table");
  /** @type {HTMLElement} */
  #rows = part(this, "[data-rows]");
  /** @type {HTMLButtonElement} */
  #button = part(this, "[data-news]");
  /** @type {HTMLTemplateElement} */
  #template = part(this, "template[data-row]");
  /** @type {Map<string, HTMLElement>} */
  #shown = new Map();
  #list = store.empty(0);
  /** Whether rows wait to come or to go. */
  #isPending = false;
  /** @type {{close: () => void}[]} */
  #subscriptions = [];
  #leaving = new AbortController();

  connectedCallback() {
    for (const row of this.#rows.children) {
      if (row instanceof HTMLElement) this.#shown.set(row.dataset.runId ?? "", row);
    }
    const limit = Number(this.dataset.follow);
    const filter = JSON.parse(this.dataset.filter ?? "{}");
    this.#list = store.empty(limit);
    if (this.dataset.page === "1") {
      this.#follow({ topic: "runs", filter, limit }, (frame) => this.#take(frame));
      this.#listen();
    } else {
      this.#follow({ topic: "runs", filter, limit: 1 }, (frame) => this.#count(frame.counts ?? {}));
      this.#followEach();
    }
  }

  disconnectedCallback() {
    this.#leaving.abort();
    for (const subscription of this.#subscriptions.splice(0)) subscription.close();
  }

  /**
   * @param {{topic: string, filter?: object, limit?: number}} request
   * @param {(frame: Snapshot | Changes) => void} take
   * @param {() => void} [refuse]
   */
  #follow(request, take, refuse) {
    this.#subscriptions.push(connection.subscribe(request, take, refuse));
  }

  /** On a page beyond the first no rows come or go, but those that may still change are followed one by one. */
  #followEach() {
    for (const [id, shown] of this.#shown) {
      if (FINAL.has(shown.dataset.state ?? "")) continue;
      this.#follow(
        { topic: `run:${id}` },
        (frame) => frame.runs.map((row) => fill(shown, row)),
        () => setText(part(shown, "[data-field='tries']"), "not live"),
      );
    }
  }

  #listen() {
    this.#leaving = new AbortController();
    const { signal } = this.#leaving;
    const settle = () => this.#isPending && this.#arrange(this.#isHeld());
    this.#hold.addEventListener("pointerleave", settle, { signal });
    // The focus has not arrived at its new place yet.
    this.#hold.addEventListener("focusout", () => setTimeout(settle), { signal });
    document.addEventListener("selectionchange", settle, { signal });
    document.addEventListener("scroll", settle, { signal, passive: true });
    this.#button.addEventListener("click", () => this.#letIn(), { signal });
  }

  /** @param {Snapshot | Changes} frame */
  #take(frame) {
    this.#list = store.reduce(this.#list, frame);
    for (const row of frame.runs) {
      const shown = this.#shown.get(row.id);
      if (shown) fill(shown, row);
    }
    this.#count(this.#list.counts);
    this.#arrange(this.#isHeld());
  }

  /** Whether somebody has a hand on the rows, so that none may move. */
  #isHeld() {
    const selection = document.getSelection();
    const isSelected = selection?.type === "Range" && selection.containsNode(this.#rows, true);
    const focused = document.activeElement;
    const isFocused = focused !== this.#table && this.#hold.contains(focused);
    return isSelected || isFocused || scrollY > 0 || this.#hold.matches(":hover");
  }

  /**
   * Make the rows on the page those of the list; while they are held, say only what waits and what is gone.
   *
   * @param {boolean} isHeld
   */
  #arrange(isHeld) {
    const target = store.newest(this.#list, Number(this.dataset.limit));
    if (!isHeld) this.#place(target);
    const waiting = target.filter((id) => !this.#shown.has(id)).length;
    for (const [id, row] of this.#shown) row.toggleAttribute("data-gone", !this.#list.rows.has(id));
    this.#isPending = isHeld && (waiting > 0 || this.#shown.size > target.length);
    this.#button.hidden = waiting === 0;
    setText(this.#button, `${waiting} new`);
    part(this, "[data-empty]").hidden = this.#shown.size > 0;
  }

  /** @param {string[]} target */
  #place(target) {
    const wanted = new Set(target);
    for (const [id, row] of this.#shown) {
      if (wanted.has(id)) continue;
      row.remove();
      this.#shown.delete(id);
    }
    let next = this.#rows.firstElementChild;
    for (const id of target) {
      const row = this.#shown.get(id) ?? this.#draw(id);
      if (row === next) next = next.nextElementSibling;
      else this.#rows.insertBefore(row, next);
    }
  }

  /** @param {string} id @returns {HTMLElement} */
  #draw(id) {
    const row = draw(this.#template, /** @type {Row} */ (this.#list.rows.get(id)));
    row.toggleAttribute("data-new", true);
    this.#shown.set(id, row);
    return row;
  }

  /** Somebody asked for the new rows: go to where they are, with the focus beside them and not on them. */
  #letIn() {
    this.#arrange(false);
    this.#table.focus({ preventScroll: true });
    scrollTo({ top: 0 });
  }

  /** @param {Counts} counts */
  #count(counts) {
    for (const slot of /** @type {NodeListOf<HTMLElement>} */ (this.querySelectorAll("[data-count]"))) {
      setText(slot, number(store.count(counts, slot.dataset.count ?? "")));
    }
  }
}

customElements.define("live-runs", LiveRuns);
