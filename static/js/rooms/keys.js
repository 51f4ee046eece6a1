// Shortcuts of one key, alone. Who speaks to the computer, or hits keys by chance, can switch them off (WCAG 2.1.4);
// the choice is kept on this device, for both sides of a call.

import { closeByBackdrop, openDialog } from "./dialogs.js";

const KEPT = "call-keys";
const FIELDS = "input, textarea, select, [contenteditable]";

const kept = () => {
  try {
    return localStorage.getItem(KEPT) !== "off";
  } catch {
    return true; // storage is switched off
  }
};

/** Event: `change`. */
class Shortcuts extends EventTarget {
  #on = kept();

  get on() {
    return this.#on;
  }

  switchTo(on) {
    this.#on = on;
    try {
      localStorage.setItem(KEPT, on ? "on" : "off");
    } catch {
      // Then it holds until the page is loaded again.
    }
    this.dispatchEvent(new Event("change"));
  }

  /** The small letter that was pressed as a shortcut; undefined for all other keys. */
  pressed(event) {
    if (!this.#on || event.repeat || event.isComposing || event.defaultPrevented) return undefined;
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return undefined;
    if (event.target.closest?.(FIELDS) || document.querySelector("dialog[open]")) return undefined;
    return event.key?.length === 1 ? event.key.toLowerCase() : undefined;
  }

  /** Names a button, and its key as long as keys count. */
  tell(button, name, key) {
    if (this.#on) button.setAttribute("aria-keyshortcuts", key.toUpperCase());
    else button.removeAttribute("aria-keyshortcuts");
    button.title = this.#on ? `${name} (${key.toUpperCase()})` : name;
  }
}

/** Of this page. */
export const shortcuts = new Shortcuts();

/**
 * Wires the dialog with the list of keys and their switch, `_keys.html`.
 * @param {HTMLDialogElement} dialog
 * @returns {() => Promise<string>} opens it
 */
export function setUpKeys(dialog) {
  const button = dialog.querySelector("[data-keys-switch]");
  const show = () => {
    button.setAttribute("aria-checked", String(shortcuts.on));
    dialog.querySelector("[data-keys-list]").classList.toggle("is-off", !shortcuts.on);
  };
  button.addEventListener("click", () => shortcuts.switchTo(!shortcuts.on));
  shortcuts.addEventListener("change", show);
  closeByBackdrop(dialog);
  show();
  return () => openDialog(dialog);
}
