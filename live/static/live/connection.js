/** The page's one `Socket`, woken by what the browser tells. */

import { Socket } from "./socket.js";

const PATH = "/ws/live/";

/** @returns {WebSocket} */
function open() {
  const url = new URL(PATH, location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  return new WebSocket(url);
}

export const connection = new Socket(open);

addEventListener("online", () => connection.wake());
addEventListener("offline", () => connection.lose());
addEventListener("pageshow", () => connection.wake());
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") connection.wake();
});
