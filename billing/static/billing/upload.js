/**
 * Says that a chosen file is too large before it travels; the server says so too.
 */

const input = /** @type {HTMLInputElement | null} */ (document.querySelector("input[type=file][data-max-bytes]"));

input?.addEventListener("change", () => {
  const isTooLarge = [...(input.files ?? [])].some((file) => file.size > Number(input.dataset.maxBytes));
  input.setCustomValidity(isTooLarge ? (input.dataset.tooLarge ?? "") : "");
  input.reportValidity();
});
