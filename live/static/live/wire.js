/**
 * What travels over `/ws/live/`, as types; docs/wire.md says it in prose.
 *
 * @typedef {"queued" | "received" | "running" | "retrying" | "succeeded" | "failed" | "cancelled" | "lost"} State
 *
 * @typedef {object} Progress
 * @property {number} current
 * @property {number | null} total null while nobody knows
 * @property {string} unit
 * @property {string} message
 *
 * @typedef {object} RunError
 * @property {string} type
 * @property {string} message
 * @property {string} traceback
 *
 * @typedef {object} Row
 * @property {string} id
 * @property {string} task
 * @property {string} title
 * @property {string} link
 * @property {State} state
 * @property {string} kind
 * @property {string} schedule
 * @property {string} queue
 * @property {string} worker
 * @property {string} owner
 * @property {number} attempt
 * @property {Progress | null} progress
 * @property {string} args
 * @property {string} kwargs
 * @property {string | null} result
 * @property {RunError | null} error
 * @property {string} queued_at
 * @property {string | null} received_at
 * @property {string | null} started_at
 * @property {string | null} finished_at
 * @property {string | null} eta
 * @property {string | null} parent
 * @property {string | null} root
 *
 * @typedef {object} Attempt
 * @property {number} number
 * @property {State} state
 * @property {string} worker
 * @property {string | null} started_at
 * @property {string | null} finished_at
 * @property {RunError | null} error
 *
 * @typedef {Partial<Record<State, number>>} Counts
 *
 * @typedef {object} Hello
 * @property {"hello"} type
 * @property {number} v
 * @property {string} epoch
 * @property {number} seq
 * @property {number} beat_s
 * @property {string} now
 * @property {string | null} as_of when the web process last knew that it has all there is
 * @property {boolean} in_contact whether it does so now; false while it cannot reach Redis
 *
 * @typedef {object} Snapshot
 * @property {"snapshot"} type
 * @property {string} sub
 * @property {string} epoch
 * @property {number} seq
 * @property {Row[]} runs
 * @property {Counts} [counts]
 * @property {Attempt[]} [attempts]
 *
 * @typedef {object} Changes
 * @property {"changes"} type
 * @property {string} sub
 * @property {number} seq
 * @property {Row[]} runs
 * @property {string[]} [removed]
 * @property {Counts} [counts]
 * @property {Attempt[]} [attempts]
 * @property {boolean} [resumed]
 *
 * @typedef {object} Beat
 * @property {"beat"} type
 * @property {number} seq
 * @property {string} now
 * @property {string | null} as_of
 * @property {boolean} in_contact
 *
 * @typedef {object} WireError
 * @property {"error"} type
 * @property {string} [sub]
 * @property {string} code
 * @property {string} message
 *
 * @typedef {Hello | Snapshot | Changes | Beat | WireError} Frame
 */

export {};
