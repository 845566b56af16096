import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { asked, followRun, frames, goLive, server, socket } from "./page.js";

test("boxes of the same run share one subscription, which ends with the last of them", () => {
  const taken = [];
  const [first, second] = ["first", "second"].map((name) => followRun("one", ({ type }) => taken.push([name, type])));
  server.last.greet();
  server.last.answer();
  first.close();
  first.close();
  server.last.say({ type: "changes", sub: "1", seq: 2, runs: [] });

  assert.equal(asked().length, 1);
  assert.deepEqual(taken, [
    ["first", "snapshot"],
    ["second", "snapshot"],
    ["second", "changes"],
  ]);
  second.close();
  assert.deepEqual(server.last.heard.at(-1), { type: "unsubscribe", sub: "1" });
});

test("a box that comes later gets the whole before any change", () => {
  const taken = [];
  goLive();
  socket.subscribe({ topic: "runs", filter: {}, limit: 50 }, ({ type }) => taken.push(type));

  server.last.say({ type: "changes", sub: "1", seq: 2, runs: [] });
  server.last.answer("1", 2);
  server.last.say({ type: "changes", sub: "1", seq: 3, runs: [] });

  assert.equal(asked().length, 2);
  assert.equal(asked()[1].since, undefined);
  assert.deepEqual(taken, ["snapshot", "changes"]);
  assert.equal(frames.length, 4);
});

test("a page with too many boxes is live; the rest say that they are not, until others give way", async () => {
  const refused = [];
  const boxes = Array.from({ length: 150 }, (_, number) => followRun(number, undefined, () => refused.push(number)));
  server.last.greet();
  for (const { sub } of asked()) server.last.answer(sub);

  assert.equal(asked().length, 80);
  assert.equal(socket.status, "live");
  assert.deepEqual(
    refused,
    boxes.map((_, number) => number).filter((number) => number >= 80),
  );
  boxes[100].close();
  boxes[80].close();
  assert.equal(asked().length, 80);
  boxes[7].close();
  await Promise.resolve();
  assert.equal(asked().length, 81);
  assert.equal(asked().at(-1).topic, "run:81");
});

test("boxes that come and go make no more frames than the server hears, and nothing is asked in vain", async () => {
  goLive();
  const { last } = server;
  const beat = () => last.say({ type: "beat", seq: 1, now: new Date().toISOString() });
  let boxes = [];
  for (let swap = 0; swap < 20; swap++) {
    for (const box of boxes) box.close();
    boxes = Array.from({ length: 120 }, (_, number) => followRun(`${swap}-${number}`));
    await Promise.resolve();
    mock.timers.tick(1_000);
    beat();
  }
  const heardIn20 = last.heard.length;
  for (let window = 0; window < 4; window++) {
    mock.timers.tick(12_000);
    beat();
  }

  assert.ok(heardIn20 <= 180, `${heardIn20} frames in 20 s`);
  const followed = new Set();
  for (const { type, sub } of last.heard) followed[type === "subscribe" ? "add" : "delete"](sub);
  assert.equal(followed.size, 80);
  const wanted = last.heard.filter(({ sub, topic }) => followed.has(sub) && topic?.startsWith("run:19-"));
  assert.equal(wanted.length, 79);
  assert.equal(server.opened.length, 1);
});

test("a page that is torn down asks for nothing more", async () => {
  goLive();
  const boxes = Array.from({ length: 120 }, (_, number) => followRun(number));
  const before = asked().length;

  for (const box of boxes) box.close();
  await Promise.resolve();

  assert.equal(asked().length, before);
});

test("what is too much for the server does not keep the page from being live, and is asked for when it is back", () => {
  const refused = [];
  goLive();
  followRun("one", undefined, () => refused.push("first"));
  server.last.say({ type: "error", sub: "2", code: "too_many", message: "No." });
  followRun("one", undefined, () => refused.push("second"));

  assert.equal(socket.status, "live");
  assert.deepEqual(refused, ["first", "second"]);
  assert.equal(asked().length, 2);
  server.last.leave(4000);
  mock.timers.tick(500);
  server.last.greet();
  assert.equal(asked().length, 2);
});
