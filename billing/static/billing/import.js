/**
 * Loads a page again when a run that it watches has ended: what the server draws then is final. Also when the run had
 * ended by the time its box was drawn, and the rest of the page did not know it yet; that once a run, as it may stay so.
 */

/** Also keeps a run that ends again and again from reloading without a pause. */
const RELOAD_AFTER_MS = 300;
const ENDED = "live-run:is([data-state=succeeded], [data-state=failed], [data-state=cancelled], [data-state=lost])";

const reload = () => setTimeout(() => location.reload(), RELOAD_AFTER_MS);

document.addEventListener("live:ended", reload, { once: true });

for (const box of document.querySelectorAll(ENDED)) {
  const key = `drawn-ended:${location.pathname}:${box.getAttribute("data-run-id")}`;
  if (sessionStorage.getItem(key)) continue;
  sessionStorage.setItem(key, "1");
  reload();
  break;
}
