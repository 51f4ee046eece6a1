// Short notes that leave by themselves. The region is polite: a screen reader reads them when it has a pause.

import { make, makeButton } from "./words.js";

const LASTS_MS = 7000;
const AT_ONCE = 3;

/** The region of the page, made at need; a page does well to have one from the start, so that it is announced. */
function region() {
  let found = document.querySelector("[data-toasts]");
  if (!found) {
    found = make("div", "toasts");
    found.dataset.toasts = "";
    found.setAttribute("role", "status");
    document.body.append(found);
  }
  return found;
}

/**
 * Shows a note.
 * @param {string} text
 * @param {{tone?: ""|"attention"|"problem"|"success", lastsMs?: number, action?: {label: string, run: () => void}}} [options]
 * @returns {() => void} takes it away earlier
 */
export function toast(text, { tone = "", lastsMs = LASTS_MS, action = null } = {}) {
  const note = make("div", `toast ${tone}`.trim());
  note.append(make("p", "toast-text", text));
  const leave = () => note.remove();
  if (action) {
    note.append(makeButton("button small", action.label, () => (leave(), action.run())));
  }
  const all = region();
  all.append(note);
  while (all.children.length > AT_ONCE) all.firstElementChild.remove();
  let timer = setTimeout(leave, lastsMs);
  // Who reads or aims at it is given the time for that.
  const wait = () => clearTimeout(timer);
  const goOn = () => (timer = setTimeout(leave, lastsMs));
  note.addEventListener("pointerenter", wait);
  note.addEventListener("pointerleave", goOn);
  note.addEventListener("focusin", wait);
  note.addEventListener("focusout", goOn);
  return leave;
}
