import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { asked, follow, followRun, frames, goLive, server, socket } from "./page.js";

test("nothing is opened before something is followed", () => {
  assert.equal(server.opened.length, 0);
  assert.equal(socket.status, "idle");
});

test("it is live once the server has greeted and answered every subscription", () => {
  follow();
  followRun("one");
  assert.equal(socket.status, "connecting");

  server.last.greet();
  server.last.answer("1");
  assert.equal(socket.status, "connecting");
  server.last.answer("2");

  assert.equal(socket.status, "live");
  assert.deepEqual(server.last.heard[0], { type: "subscribe", sub: "1", topic: "runs", filter: {}, limit: 50 });
  assert.equal(frames.length, 2);
});

test("after a break it asks for what came since the last frame that it got", () => {
  goLive();
  server.last.say({ type: "changes", sub: "1", seq: 7, runs: [], removed: [], counts: {} });

  server.last.leave(1006);
  mock.timers.tick(500);
  server.last.greet();

  assert.deepEqual(server.last.heard[0].since, { epoch: "e", seq: 7 });
});

for (const code of [1000, 1001, 1006, 1011, 4000, 4008, 4999]) {
  test(`it comes back after the close code ${code}`, () => {
    goLive();

    server.last.leave(code);
    assert.equal(socket.status, "stale");
    mock.timers.tick(500);

    assert.equal(server.opened.length, 2);
  });
}

for (const [code, status] of [
  [4001, "login"],
  [4003, "forbidden"],
  [4400, "reload"],
]) {
  test(`it says ${status} and stays away after the close code ${code}`, () => {
    goLive();

    server.last.leave(code);
    mock.timers.tick(3_600_000);
    socket.wake();
    socket.lose();

    assert.equal(socket.status, status);
    assert.equal(server.opened.length, 1);
  });
}

test("it comes back for ever, within a time that doubles up to 20 s", () => {
  goLive();
  mock.timers.tick(6_000);
  const delays = [];

  for (let round = 0; round < 12; round++) {
    const before = Date.now();
    const { length } = server.opened;
    server.last.leave(1006);
    while (server.opened.length === length) mock.timers.tick(100);
    delays.push(Date.now() - before);
  }

  assert.deepEqual(delays.slice(0, 6), [500, 1_000, 2_000, 4_000, 8_000, 16_000]);
  assert.ok(delays.slice(6).every((delay) => delay === 20_000));
  assert.equal(socket.status, "offline");
});

test("the delay is drawn at random, from nothing to the longest", () => {
  goLive();
  mock.method(Math, "random", () => 0);

  server.last.leave(1006);
  mock.timers.tick(1);

  assert.equal(server.opened.length, 2);
});

test("a connection that held makes the next delay short again, one that was cut at once does not", () => {
  goLive();
  for (let round = 0; round < 4; round++) {
    server.last.leave(1006);
    mock.timers.tick(20_000);
  }
  server.last.greet();
  server.last.leave(1006);
  mock.timers.tick(7_000);
  assert.equal(server.opened.length, 5);
  mock.timers.tick(20_000);

  server.last.greet();
  mock.timers.tick(5_001);
  server.last.leave(1006);
  mock.timers.tick(500);

  assert.equal(server.opened.length, 7);
});

test("a server that had too many frames is left alone for longer", () => {
  goLive();

  server.last.leave(4029);
  mock.timers.tick(19_000);
  assert.equal(server.opened.length, 1);
  mock.timers.tick(1_000);

  assert.equal(server.opened.length, 2);
});

test("a server that had too many frames is left alone for longer, however long the connection held", () => {
  goLive();
  mock.timers.tick(6_000);

  server.last.leave(4029);
  mock.timers.tick(19_000);

  assert.equal(server.opened.length, 1);
});

test("a login that is gone is tried once more with the cookie of now, and only then given up", () => {
  goLive();

  server.last.leave(4000);
  assert.equal(socket.status, "stale");
  mock.timers.tick(500);
  server.last.leave(4001);
  mock.timers.tick(3_600_000);

  assert.equal(socket.status, "login");
  assert.equal(server.opened.length, 2);
});

test("hearing nothing for two and a half beats it is stale, and opens anew without waiting for the old one", () => {
  goLive();
  mock.timers.tick(24_000);
  server.last.say({ type: "beat", seq: 1, now: new Date().toISOString() });
  mock.timers.tick(24_900);
  assert.equal(socket.status, "live");

  mock.timers.tick(200);
  assert.equal(socket.status, "stale");
  mock.timers.tick(500);

  assert.ok(server.opened[0].isAbandoned);
  assert.equal(server.opened.length, 2);
});

test("a server that never greets is given up", () => {
  follow();

  mock.timers.tick(10_000);
  mock.timers.tick(500);

  assert.equal(server.opened.length, 2);
});

test("a first try that fails is still connecting, a second is offline", () => {
  follow();
  server.last.leave(1006);
  assert.equal(socket.status, "connecting");

  mock.timers.tick(500);
  server.last.leave(1006);

  assert.equal(socket.status, "offline");
});

test("it opens at once when the network is back, or the page is looked at again", () => {
  goLive();
  socket.lose();
  assert.equal(socket.status, "offline");

  socket.wake();

  assert.equal(server.opened.length, 2);
  server.last.greet();
  server.last.answer();
  assert.equal(socket.status, "live");
});

test("waking leaves a connection alone that was heard, and replaces one that was not", () => {
  goLive();
  socket.wake();
  assert.equal(server.opened.length, 1);

  mock.timers.setTime(Date.now() + 26_000);
  socket.wake();

  assert.equal(server.opened.length, 2);
});

test("it is stale, as of the server's last knowledge, while the server has lost Redis", () => {
  goLive();
  const knownAt = Date.now();
  mock.timers.tick(4_000);

  const now = new Date(Date.now() + 3_600_000).toISOString();
  const as_of = new Date(knownAt + 3_600_000).toISOString();
  server.last.say({ type: "beat", seq: 1, now, as_of, in_contact: false });

  assert.equal(socket.status, "stale");
  assert.equal(socket.knownAt, knownAt);
  server.last.say({ type: "beat", seq: 1, now, as_of: now, in_contact: true });
  assert.equal(socket.status, "live");
});

test("what the server does not know is not asked for again", () => {
  follow();
  server.last.greet();
  server.last.say({ type: "error", sub: "1", code: "bad_request", message: "No." });
  mock.timers.tick(9_000);

  assert.equal(asked().length, 1);
  assert.equal(socket.status, "connecting");
  assert.deepEqual(frames, []);
});

test("what is followed no longer is unsubscribed, and not asked for again", () => {
  const subscription = follow();
  server.last.greet();
  server.last.answer();

  subscription.close();
  server.last.say({ type: "changes", sub: "1", seq: 3, runs: [], removed: [] });
  assert.deepEqual(server.last.heard.at(-1), { type: "unsubscribe", sub: "1" });
  server.last.leave(4000);
  mock.timers.tick(500);
  server.last.greet();

  assert.equal(frames.length, 1);
  assert.deepEqual(server.last.heard, []);
});
