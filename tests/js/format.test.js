import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import {
  ago,
  clock,
  elapsed,
  exact,
  number,
  percent,
  progressText,
  span as spanOf,
  texts as textsOf,
  took,
} from "../../live/static/live/format.js";

const cases = JSON.parse(readFileSync(new URL("words.json", import.meta.url), "utf8"));
const now = Date.parse(cases.now);

for (const [name, say] of Object.entries({ number, elapsed, took, ago })) {
  test(`${name} says what the server says`, () => {
    for (const [value, text] of cases[name]) assert.equal(say(value), text, `${name}(${value})`);
  });
}

test("progress is said with a known and with an unknown total", () => {
  for (const [progress, share, text] of cases.progress) {
    assert.equal(percent(progress), share);
    assert.equal(progressText(progress), text);
  }
});

for (const { name, row, texts, span } of cases.rows) {
  test(`a row that is ${name} reads as the server draws it`, () => {
    const whole = { ...cases.blank, ...row };

    const words = textsOf(whole);
    const { mode, words: before, from, to } = spanOf(whole);

    for (const [field, text] of Object.entries(texts)) assert.equal(words[field], text, field);
    assert.equal([before, clock(mode, from, to, now)].filter(Boolean).join(" "), span);
  });
}

test("a number that is none is a dash", () => {
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY, undefined, "12"]) assert.equal(number(value), "–");
});

test("a moment is shown in UTC, to the millisecond in its hint and to the second beside its age", () => {
  const iso = "2026-11-22T11:59:48.123456Z";

  assert.equal(exact(iso), "2026-11-22 11:59:48.123 UTC");
  assert.equal(clock("at", iso, null, now), "2026-11-22 11:59:48 UTC · 11 s ago");
});

test("a time that is not there is shown as nothing", () => {
  for (const mode of ["for", "took", "ago", "at"]) assert.equal(clock(mode, null, null, now), "");
});
