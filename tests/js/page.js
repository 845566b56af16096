import { afterEach, beforeEach, mock } from "node:test";
import { Socket } from "../../live/static/live/socket.js";
import { Server } from "./server.js";

/** Who is at the other end of this test's socket. */
export let server;
/** The socket of a page: each test gets a new one, and a clock that stands until it is moved. */
export let socket;
/** What came for those who follow without a function of their own. */
export let frames;

beforeEach(() => {
  mock.timers.enable({ apis: ["setTimeout", "Date"], now: 1_000_000 });
  mock.method(Math, "random", () => 0.999);
  server = new Server();
  socket = new Socket(server.accept);
  frames = [];
});

afterEach(() => {
  mock.timers.reset();
  mock.restoreAll();
});

const take = (frame) => frames.push(frame);

export const follow = () => socket.subscribe({ topic: "runs", filter: {}, limit: 50 }, take);

export const followRun = (id, taken = take, refuse = undefined) =>
  socket.subscribe({ topic: `run:${id}` }, taken, refuse);

export const asked = () => server.last.heard.filter((frame) => frame.type === "subscribe");

export const goLive = () => {
  follow();
  server.last.greet();
  server.last.answer();
};
