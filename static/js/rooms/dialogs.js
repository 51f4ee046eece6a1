// Dialogs are the browser's own <dialog>: it keeps the focus inside and closes by Esc.

import { make, makeButton } from "./words.js";

let count = 0;

/** Where the keyboard was, if that is still to be seen; else the page's content. */
function giveBack(before) {
  const seen = (element) => element.getClientRects().length > 0;
  const there = before instanceof HTMLElement && before !== document.body && seen(before);
  (there ? before : [...document.querySelectorAll("main")].find(seen))?.focus();
}

/**
 * Opens a dialog of the page; when it closes, the focus goes back to where it was.
 * @param {HTMLDialogElement} dialog
 * @returns {Promise<string>} its return value, "" after Esc
 */
export function openDialog(dialog) {
  const before = document.activeElement;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      giveBack(before);
      resolve(dialog.returnValue);
    }, { once: true });
  });
}

/** A click on what lies behind a dialog closes it. */
export function closeByBackdrop(dialog) {
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close("");
  });
}

function build({ title, text, confirm, cancel, danger }) {
  const dialog = make("dialog", "dialog");
  const heading = make("h2", "", title);
  heading.id = `dialog-${(count += 1)}`;
  dialog.setAttribute("aria-labelledby", heading.id);
  const buttons = make("div", "dialog-buttons");
  const yes = makeButton(`button ${danger ? "dialog-danger" : "primary"}`, confirm, () => dialog.close("yes"));
  const no = makeButton("button", cancel, () => dialog.close(""));
  if (danger) no.autofocus = true; // Enter alone never does what cannot be undone
  else yes.autofocus = true;
  buttons.append(no, yes);
  dialog.append(heading, ...(text ? [make("p", "", text)] : []), buttons);
  return dialog;
}

/**
 * Asks before something is done.
 * @param {{title: string, text?: string, confirm: string, cancel: string, danger?: boolean}} question
 * @returns {Promise<boolean>}
 */
export async function askToConfirm(question) {
  const dialog = build(question);
  document.body.append(dialog);
  closeByBackdrop(dialog);
  const answer = await openDialog(dialog);
  dialog.remove();
  return answer === "yes";
}
