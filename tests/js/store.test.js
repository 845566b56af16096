import assert from "node:assert/strict";
import { test } from "node:test";
import * as store from "../../live/static/live/store.js";

const row = (id, second, state = "queued") => ({ id, state, queued_at: `2026-11-22T12:00:0${second}Z` });
const snapshot = (...runs) => ({ type: "snapshot", sub: "1", epoch: "e", seq: 1, runs });
const changes = (runs, removed = [], counts = undefined) => ({
  type: "changes",
  sub: "1",
  seq: 2,
  runs,
  removed,
  counts,
});
const ids = (list) => store.newest(list, 50);

test("a snapshot replaces all that was known", () => {
  const before = store.reduce(store.empty(50), snapshot(row("a", 1), row("b", 2)));

  const after = store.reduce(before, snapshot(row("c", 3)));

  assert.deepEqual(ids(after), ["c"]);
  assert.deepEqual(ids(before), ["b", "a"]);
});

test("changes replace rows by rows, add new ones and take removed ones away", () => {
  const before = store.reduce(store.empty(50), snapshot(row("a", 1), row("b", 2)));

  const after = store.reduce(before, changes([row("a", 1, "running"), row("c", 3)], ["b", "never known"]));

  assert.deepEqual(ids(after), ["c", "a"]);
  assert.equal(after.rows.get("a").state, "running");
});

test("rows are ordered newest first and, of one moment, by id", () => {
  const list = store.reduce(store.empty(50), snapshot(row("b", 2), row("c", 1), row("a", 2)));

  assert.deepEqual(ids(list), ["a", "b", "c"]);
});

test("moments are told apart to the microsecond, however many digits they are written with", () => {
  const at = (id, fraction) => ({ id, state: "queued", queued_at: `2026-11-22T12:00:00${fraction}Z` });

  const list = store.reduce(
    store.empty(50),
    snapshot(at("a", ""), at("b", ".1"), at("c", ".100001"), at("d", ".1002")),
  );

  assert.deepEqual(ids(list), ["d", "c", "b", "a"]);
});

test("a list keeps no more rows than the server keeps up to date", () => {
  const list = store.reduce(store.empty(2), snapshot(row("a", 1), row("b", 2)));

  const after = store.reduce(list, changes([row("c", 3)]));

  assert.deepEqual([...after.rows.keys()], ["c", "b"]);
  assert.deepEqual(store.newest(after, 1), ["c"]);
});

test("counts stay as they were when a frame brings none", () => {
  const list = store.reduce(store.empty(50), changes([], [], { failed: 2, running: 1 }));

  const after = store.reduce(list, changes([row("a", 1)]));

  assert.equal(store.count(after.counts, "failed"), 2);
  assert.equal(store.count(after.counts, "all"), 3);
  assert.equal(store.count(after.counts, "lost"), 0);
});
