// The chat of a call: list, field, count of what was not read yet. Every text is set as text, never as HTML.

import { clock, fill, make, makeButton, overlap } from "./words.js";

// The server sends a message back to its sender. `Signalling` keeps what it could not send for 10 s.
const ECHO_WITHIN_MS = 12000;

class Chat {
  constructor({ root, signalling, strings, me = "", button = document.querySelector("[data-control=chat]") }) {
    Object.assign(this, { root, signalling, strings, me, button });
    this.list = root.querySelector("[data-chat-list]");
    this.form = root.querySelector("[data-chat-form]");
    this.field = this.form.querySelector("textarea");
    this.seen = new Set();
    this.pending = [];
    this.unread = 0;
    this.listen();
  }

  listen() {
    this.signalling.on("chat", (message) => this.take(message));
    this.signalling.on("error", (message) => message.of === "chat" && this.giveUp(this.pending[0]));
    this.signalling.addEventListener("open", (event) => (this.me = event.detail?.you ?? this.me));
    this.button?.addEventListener("click", () => this.show(this.root.hidden));
    this.root.querySelector("[data-chat-close]").addEventListener("click", () => this.show(false));
    this.root.addEventListener("keydown", (event) => this.onKey(event));
    this.root.addEventListener("focusout", ({ relatedTarget }) => this.onFocusOut(relatedTarget));
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.send(this.field.value.trim());
    });
  }

  onKey(event) {
    if (event.key === "Escape") {
      event.stopPropagation();
      this.show(false);
    } else if (event.key === "Enter" && !event.shiftKey && event.target === this.field && !event.isComposing) {
      event.preventDefault();
      this.form.requestSubmit();
    }
  }

  /** On a narrow page the chat lies over the others: it gives way when the keyboard goes on to what it covers. */
  onFocusOut(next) {
    if (next && !this.root.contains(next) && overlap(this.root, next)) this.show(false);
  }

  /** Opens or closes the chat; closing gives the focus back to the button. */
  show(open) {
    const hadFocus = this.root.contains(document.activeElement);
    this.root.hidden = !open;
    this.button?.setAttribute("aria-expanded", String(open));
    if (open) {
      this.count(0);
      this.scroll();
      this.field.focus();
    } else if (hadFocus) this.button?.focus();
  }

  count(number) {
    this.unread = number;
    const badge = this.button?.querySelector("[data-unread]");
    if (!badge) return;
    badge.hidden = number === 0;
    badge.textContent = number > 9 ? "9+" : String(number);
    const said = number === 0 ? "" : fill(this.strings.chat_unread, { count: number });
    this.button.querySelector("[data-unread-words]").textContent = said;
  }

  send(text) {
    if (!text) return;
    const entry = { text, item: this.item({ own: true, name: this.strings.chat_you, text }) };
    entry.item.classList.add("chat-pending");
    entry.timer = setTimeout(() => this.giveUp(entry), ECHO_WITHIN_MS);
    this.pending.push(entry);
    this.append(entry.item);
    this.signalling.send({ type: "chat", text });
    this.field.value = "";
    this.field.focus();
  }

  /** What did not arrive stays in the list, with a button that sends it again. */
  giveUp(entry) {
    if (!entry || !this.settle(entry)) return;
    entry.item.classList.replace("chat-pending", "chat-unsent");
    const again = makeButton("link small", this.strings.chat_send_again, () => {
      entry.item.remove();
      this.send(entry.text);
    });
    entry.item.append(make("span", "small", this.strings.chat_unsent), again);
  }

  settle(entry) {
    const place = this.pending.indexOf(entry);
    if (place < 0) return false;
    this.pending.splice(place, 1);
    clearTimeout(entry.timer);
    return true;
  }

  take(message) {
    if (this.seen.has(message.id)) return;
    this.seen.add(message.id);
    const own = message.from === this.me;
    if (own) this.replacePending(message);
    const name = own ? this.strings.chat_you : message.name;
    this.append(this.item({ own, name, text: message.text, t: message.t }));
    if (!own && this.root.hidden) this.count(this.unread + 1);
  }

  replacePending(message) {
    const entry = this.pending.find((one) => one.text === message.text);
    if (entry && this.settle(entry)) entry.item.remove();
  }

  item({ own, name, text, t }) {
    const item = make("li", own ? "chat-item chat-own" : "chat-item");
    const head = make("p", "chat-head");
    head.append(make("strong", "", name));
    if (t !== undefined) head.append(" ", make("time", "time", clock(t)));
    item.append(head, make("p", "chat-text", text));
    return item;
  }

  append(item) {
    this.root.querySelector("[data-chat-empty]").hidden = true;
    this.list.append(item);
    this.scroll();
  }

  scroll() {
    const box = this.list.parentElement;
    box.scrollTop = box.scrollHeight;
  }
}

/**
 * Wires the chat of `_chat.html` and its button in `_controls.html`.
 * @param {{root: HTMLElement, signalling: EventTarget, strings: Record<string, string>, me?: string}} options
 *   `root`: the `[data-chat]` element; `me`: the own peer name, taken from `welcome` too.
 * @returns {{show: (open: boolean) => void}}
 */
export function setUpChat(options) {
  return new Chat(options);
}
