/** The server's clock, as far as this page knows it: times tick right on a machine whose own clock is wrong. */

const TOLERANCE_MS = 1000;
let offsetMs = 0;

/** @returns {number} milliseconds since 1970. */
export function now() {
  return Date.now() + offsetMs;
}

/** @param {string} iso what the server's clock says at this moment. */
export function setServerTime(iso) {
  const difference = Date.parse(iso) - Date.now();
  if (Number.isNaN(difference)) return;
  offsetMs = Math.abs(difference) > TOLERANCE_MS ? difference : 0;
}
