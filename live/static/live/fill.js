/**
 * Put a row into slots that the server has drawn: text, never markup.
 *
 * @import {Attempt, Row} from "./wire.js"
 */

import { percent, span, texts } from "./format.js";

/** What stands for the run's id in the links of a `<template>`; `templatetags/live.py` draws it. */
const ANY_ID = "__id__";

/**
 * @param {HTMLElement} root has slots `[data-field]`, and parts `[data-show]` that hide while their field is empty.
 * @param {Row} row
 */
export function fill(root, row) {
  const words = texts(row);
  if (root.dataset.state !== row.state) root.dataset.state = row.state;
  for (const slot of /** @type {NodeListOf<HTMLElement>} */ (root.querySelectorAll("[data-field]"))) {
    const field = slot.dataset.field ?? "";
    if (slot.closest("[data-state]") !== root && slot !== root) continue;
    if (slot instanceof HTMLProgressElement) fillBar(slot, row);
    else if (slot.localName === "live-time") fillTime(slot, field, row);
    else setText(slot, words[field] ?? "");
  }
  for (const part of /** @type {NodeListOf<HTMLElement>} */ (root.querySelectorAll("[data-show]"))) {
    part.hidden = !words[part.dataset.show ?? ""];
  }
}

/**
 * @param {HTMLTemplateElement} template holds one element, with slots.
 * @param {Row} row
 * @returns {HTMLElement} a copy of it, filled.
 */
export function draw(template, row) {
  const root = /** @type {HTMLElement} */ (template.content.firstElementChild?.cloneNode(true));
  for (const link of root.querySelectorAll("a")) link.href = link.href.replace(ANY_ID, encodeURIComponent(row.id));
  for (const hint of root.querySelectorAll("[title='__id__']")) hint.setAttribute("title", row.id);
  if (root.dataset.runId) root.dataset.runId = row.id;
  fill(root, row);
  return root;
}

/**
 * @param {Row} row
 * @param {Attempt} attempt
 * @returns {Row} what the run was during that attempt.
 */
export function asRow(row, attempt) {
  const { number, state, worker, started_at, finished_at, error } = attempt;
  return { ...row, attempt: number, state, worker, started_at, finished_at, error, eta: null };
}

/**
 * Write only what differs, so that a selection in it lives on.
 *
 * @param {Element} slot
 * @param {string} text
 */
export function setText(slot, text) {
  if (slot.textContent !== text) slot.textContent = text;
}

/**
 * @template {HTMLElement} [T=HTMLElement]
 * @param {ParentNode} root
 * @param {string} selector
 * @returns {T} the part of an element that its template must have.
 */
export function part(root, selector) {
  const found = root.querySelector(selector);
  if (!found) throw new Error(`The template of this element has no ${selector}.`);
  return /** @type {T} */ (found);
}

/** @param {HTMLProgressElement} bar @param {Row} row */
function fillBar(bar, row) {
  const share = percent(row.progress);
  bar.hidden = row.progress === null;
  if (share === null) bar.removeAttribute("value");
  else bar.value = share;
}

/** @param {HTMLElement} time @param {string} field @param {Row} row */
function fillTime(time, field, row) {
  const moment = /** @type {Record<string, any>} */ (row)[field] ?? "";
  const { mode, words, from, to } = span(row);
  const settings = field === "span" ? { mode, words, from: from ?? "", to: to ?? "" } : { from: moment };
  for (const [name, value] of Object.entries(settings)) {
    if (time.dataset[name] !== value) time.dataset[name] = value;
  }
}
