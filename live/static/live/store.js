/**
 * What a list knows: frame in, state out. Pure.
 *
 * @import {Changes, Counts, Row, Snapshot} from "./wire.js"
 */

/**
 * @typedef {object} List
 * @property {ReadonlyMap<string, Row>} rows by id, the newest `limit`
 * @property {Counts} counts over all states, whatever states the list shows
 * @property {number} limit as many as the server was asked for; older rows it does not keep up to date
 */

/**
 * @param {number} limit
 * @returns {List} a list that knows nothing yet.
 */
export function empty(limit) {
  return { rows: new Map(), counts: {}, limit };
}

/**
 * @param {List} list
 * @param {Snapshot | Changes} frame
 * @returns {List} the list after the frame: a snapshot replaces, changes are laid over.
 */
export function reduce(list, frame) {
  const rows = new Map(frame.type === "snapshot" ? [] : list.rows);
  for (const row of frame.runs) rows.set(row.id, row);
  if (frame.type === "changes") for (const id of frame.removed ?? []) rows.delete(id);
  const kept = [...rows.values()].sort(compare).slice(0, list.limit);
  return { ...list, rows: new Map(kept.map((row) => [row.id, row])), counts: frame.counts ?? list.counts };
}

/**
 * @param {List} list
 * @param {number} length
 * @returns {string[]} the runs that a page of this length shows, newest first.
 */
export function newest(list, length) {
  return [...list.rows.keys()].slice(0, length);
}

/**
 * @param {Counts} counts
 * @param {string} state one of them, or "all"
 * @returns {number}
 */
export function count(counts, state) {
  if (state === "all") return Object.values(counts).reduce((sum, one) => sum + one, 0);
  return counts[/** @type {import("./wire.js").State} */ (state)] ?? 0;
}

/**
 * @param {Row} one
 * @param {Row} other
 * @returns {number} newest first, told apart by id, as the server orders them.
 */
function compare(one, other) {
  const difference = micros(other.queued_at) - micros(one.queued_at);
  if (difference !== 0) return difference;
  return one.id < other.id ? -1 : Number(one.id > other.id);
}

/**
 * @param {string} iso
 * @returns {number} microseconds since 1970; a Date ends at milliseconds.
 */
function micros(iso) {
  const fraction = /\.(\d+)/.exec(iso)?.[1] ?? "";
  return Date.parse(iso) * 1000 + Number(fraction.padEnd(6, "0").slice(3, 6));
}
