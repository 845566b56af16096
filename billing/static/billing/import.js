/**
 * Loads a page again when a run that it watches has ended: what the server draws then is final.
 */

/** Also keeps a run that ends again and again from reloading without a pause. */
const RELOAD_AFTER_MS = 300;

document.addEventListener("live:ended", () => setTimeout(() => location.reload(), RELOAD_AFTER_MS), { once: true });
