/**
 * The words for a row: durations, numbers, times, and the texts of its slots. Pure; `templatetags/live.py` says the
 * same in Python when the server draws, and tests/js/words.json holds both to it.
 *
 * @import {Row, Progress, State} from "./wire.js"
 */

/** @type {ReadonlySet<string>} */
export const FINAL = new Set(["succeeded", "failed", "cancelled"]);

/** @type {Record<string, string>} */
const KIND_WORDS = { scheduled: "scheduled", ad_hoc: "ad hoc", child: "child" };
const SHORT_ID_CHARS = 8;
const SECONDS_CHARS = "2026-11-22 12:53:04".length;
const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const numbers = new Intl.NumberFormat("en-US", { maximumFractionDigits: 2 });

/** @param {number} value @returns {string} the value with two digits. */
const two = (value) => String(value).padStart(2, "0");

/**
 * @param {number | null | undefined} value
 * @returns {string} 69,659 for 69659; a dash for what is no number.
 */
export function number(value) {
  return typeof value === "number" && Number.isFinite(value) ? numbers.format(value) : "–";
}

/**
 * Say how long something that still goes on has lasted, or something to the minute.
 *
 * @param {number} ms below zero, as two clocks may differ, counts as zero.
 * @returns {string} such as "12 s", "3 min 04 s", "2 h 05 min", "3 d 4 h".
 */
export function elapsed(ms) {
  const rest = Math.max(0, ms);
  if (rest < MINUTE_MS) return `${Math.floor(rest / SECOND_MS)} s`;
  const minutes = Math.floor(rest / MINUTE_MS);
  if (rest < HOUR_MS) return `${minutes} min ${two(Math.floor((rest % MINUTE_MS) / SECOND_MS))} s`;
  const hours = Math.floor(rest / HOUR_MS);
  if (rest < DAY_MS) return `${hours} h ${two(minutes % 60)} min`;
  return `${Math.floor(rest / DAY_MS)} d ${hours % 24} h`;
}

/**
 * Say how long something that is over took.
 *
 * @param {number} ms
 * @returns {string} such as "123 ms", "1.2 s", and from a minute on as `elapsed` does.
 */
export function took(ms) {
  const rest = Math.max(0, Math.floor(ms));
  if (rest < SECOND_MS) return `${rest} ms`;
  if (rest < MINUTE_MS) return `${Math.floor(rest / SECOND_MS)}.${Math.floor((rest % SECOND_MS) / 100)} s`;
  return elapsed(rest);
}

/**
 * Say how long ago something was, in one unit, or how long it is to come.
 *
 * @param {number} ms since then; below zero while it is to come.
 * @returns {string} such as "now", "12 s ago", "3 min ago", "2 h ago", "3 d ago", "in 4 min 10 s".
 */
export function ago(ms) {
  if (ms <= -SECOND_MS) return `in ${elapsed(-ms)}`;
  if (ms < SECOND_MS) return "now";
  if (ms < MINUTE_MS) return `${Math.floor(ms / SECOND_MS)} s ago`;
  if (ms < HOUR_MS) return `${Math.floor(ms / MINUTE_MS)} min ago`;
  if (ms < DAY_MS) return `${Math.floor(ms / HOUR_MS)} h ago`;
  return `${Math.floor(ms / DAY_MS)} d ago`;
}

/**
 * @param {string} iso
 * @returns {string} the moment to the millisecond, in UTC: "2026-11-22 12:53:04.123 UTC".
 */
export function exact(iso) {
  return new Date(iso).toISOString().replace("T", " ").replace("Z", " UTC");
}

/**
 * @param {Progress | null} progress
 * @returns {number | null} 0 to 100, whole, and 100 only when all is done; null while the total is unknown.
 */
export function percent(progress) {
  if (!progress?.total || progress.total < 0) return null;
  return Math.min(100, Math.max(0, Math.floor((100 * progress.current) / progress.total)));
}

/**
 * @param {Progress | null} progress
 * @returns {string} such as "43 % · 30,000 of 69,659 lines", or "30,000 lines" while the total is unknown.
 */
export function progressText(progress) {
  if (!progress) return "";
  const unit = progress.unit ? ` ${progress.unit}` : "";
  const share = percent(progress);
  if (share === null) return `${number(progress.current)}${unit}`;
  return `${share} % · ${number(progress.current)} of ${number(progress.total)}${unit}`;
}

/**
 * How a time is shown. for: it goes on; took: it is over; ago: a moment; at: a moment, in full.
 *
 * @typedef {"for" | "took" | "ago" | "at"} Mode
 *
 * @typedef {object} Span what the clock of a row shows
 * @property {Mode} mode
 * @property {string} words what stands before the time
 * @property {string | null} from
 * @property {string | null} to null while it goes on
 */

/**
 * @param {Row} row
 * @returns {Span} which two moments a row's clock lies between, and what it says.
 */
export function span(row) {
  const { state, queued_at, finished_at, eta } = row;
  const from = row.started_at ?? queued_at;
  const isRetrying = state === "retrying";
  if (isRetrying && eta) return { mode: "ago", words: "again", from: eta, to: null };
  if (state === "running") return { mode: "for", words: "running for", from, to: null };
  if (finished_at) return { mode: "took", words: row.started_at ? "took" : "waited", from, to: finished_at };
  if (FINAL.has(state) || state === "lost" || !state) return { mode: "took", words: "", from, to: null };
  if (eta) return { mode: "ago", words: "due", from: eta, to: null };
  return { mode: "for", words: isRetrying ? "retrying for" : "queued for", from: queued_at, to: null };
}

/**
 * @param {Mode} mode
 * @param {string | null} from
 * @param {string | null} to
 * @param {number} now milliseconds since 1970
 * @returns {string} the time that a `<live-time>` shows; "" when there is none to show.
 */
export function clock(mode, from, to, now) {
  if (!from || (mode === "took" && !to)) return "";
  const ms = (to ? Date.parse(to) : now) - Date.parse(from);
  if (mode === "at") return `${exact(from).slice(0, SECONDS_CHARS)} UTC · ${ago(ms)}`;
  return { for: elapsed, took, ago }[mode](ms);
}

/**
 * @param {Row} row
 * @returns {Record<string, string>} the text of each `[data-field]` slot that shows one; "" when there is nothing to say.
 */
export function texts(row) {
  const error = row.error ? [row.error.type, row.error.message].filter(Boolean).join(": ") : "";
  const result = row.result === null || row.result === "null" ? "" : row.result;
  return {
    title: row.title || row.task,
    subtitle: row.title ? row.task : "",
    task: row.task,
    id: row.id,
    short_id: row.id.slice(0, SHORT_ID_CHARS),
    state: row.state,
    how: row.schedule || (KIND_WORDS[row.kind] ?? row.kind),
    by: row.owner || (row.schedule ? "scheduled" : ""),
    kind: KIND_WORDS[row.kind] ?? row.kind,
    schedule: row.schedule,
    owner: row.owner,
    queue: row.queue,
    worker: row.worker,
    attempt: String(row.attempt),
    tries: row.attempt > 1 ? `attempt ${row.attempt}` : "",
    parent: row.parent ?? "",
    root: row.root && row.root !== row.id ? row.root : "",
    args: row.args,
    kwargs: row.kwargs,
    result: row.result ?? "",
    error,
    traceback: row.error?.traceback ?? "",
    progress: progressText(row.progress),
    message: row.progress?.message ?? "",
    outcome: error || result || (FINAL.has(row.state) ? "" : (row.progress?.message ?? "")),
  };
}
