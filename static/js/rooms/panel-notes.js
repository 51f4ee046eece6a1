// Notes with the time at which they were begun, and the questions with their marks.

import { clock, fill, make, makeButton } from "./words.js";

const MOST_CHARACTERS = 2000;
// The socket keeps what it could not send for ten seconds.
const ECHO_WITHIN_MS = 12000;
const LINES = 5;

export class Notes {
  /** @param {{part: (name: string) => HTMLElement, strings: object, signalling: EventTarget, now: () => number}} options */
  constructor({ part, strings, signalling, now }) {
    Object.assign(this, { part, signalling, now, words: strings.notes });
    this.field = part("note");
    this.known = new Set();
    this.begun = null;
    this.pending = null;
    this.field.addEventListener("input", () => this.typed());
    this.field.addEventListener("keydown", (event) => this.key(event));
    part("note-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.send();
    });
    signalling.on("note", (note) => this.take(note));
    signalling.on("error", (error) => error.of === "note" && this.failed());
  }

  typed() {
    const empty = this.field.value.trim() === "";
    if (empty) this.begun = null;
    else this.begun ??= this.now();
    this.say("");
    this.fit();
  }

  /** As high as what is written, up to five lines. */
  fit() {
    const { field } = this;
    field.rows = Math.min(LINES, Math.max(1, field.value.split("\n").length, Math.ceil(field.value.length / 34)));
  }

  key(event) {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this.send();
  }

  send() {
    const text = this.field.value.trim();
    if (!text || this.pending) return;
    if (text.length > MOST_CHARACTERS) return this.say(this.words.too_long);
    const t = this.begun ?? this.now();
    this.pending = { text, t, timer: setTimeout(() => this.failed(), ECHO_WITHIN_MS) };
    this.signalling.send({ type: "note", text, t });
    this.field.value = "";
    this.begun = null;
    this.fit();
  }

  /** What was written is never lost: it is in the field again, before anything written since. */
  failed() {
    if (!this.pending) return;
    const { text, t, timer } = this.pending;
    clearTimeout(timer);
    this.pending = null;
    this.field.value = [text, this.field.value].filter(Boolean).join("\n");
    this.begun = t;
    this.fit();
    this.say(this.words.not_sent);
  }

  say(text) {
    this.part("note-error").textContent = text;
  }

  take(note) {
    if (this.known.has(note.id)) return; // `welcome` tells all of them again
    this.known.add(note.id);
    if (this.pending?.text === note.text) {
      clearTimeout(this.pending.timer);
      this.pending = null;
    }
    this.list(note);
  }

  list(note) {
    const line = make("li", "panel-entry");
    line.dataset.t = note.t;
    const text = make("span", "panel-entry-text", note.text);
    if (note.author) text.append(" ", make("span", "panel-advice", note.author));
    line.append(make("span", "panel-time", clock(note.t)), text);
    const list = this.part("notes");
    const after = [...list.children].find((one) => Number(one.dataset.t) > note.t);
    list.insertBefore(line, after ?? null);
    list.scrollTop = line.offsetTop;
    this.part("no-notes").hidden = true;
  }
}

export class Questions {
  /** @param {{part: (name: string) => HTMLElement, strings: object, signalling: EventTarget, onMark: Function}} options */
  constructor({ part, strings, signalling, onMark }) {
    Object.assign(this, { part, signalling, onMark, words: strings.questions });
    this.texts = [];
    this.current = null;
    this.next = part("next-question");
    this.next.addEventListener("click", () => this.held || this.ask((this.current ?? -1) + 1));
    signalling.on("question", ({ number, t }) => this.begun(number, t));
    signalling.on("error", (error) => error.of === "question" && this.show());
  }

  /** From `welcome`: the room's questions and the current one. */
  set(texts, current) {
    if (current !== this.current) this.since = undefined; // another one began while the socket was away
    this.current = current ?? null;
    this.write(texts ?? []);
    this.show();
  }

  /** Only where they are others than before: who is on one by keyboard stays there when the socket comes back. */
  write(texts) {
    const same = texts.length === this.texts.length && texts.every((text, number) => text === this.texts[number]);
    this.texts = texts;
    if (!same) this.part("questions").replaceChildren(...texts.map((text, number) => this.line(text, number)));
  }

  line(text, number) {
    const line = make("li");
    const button = makeButton("panel-ask", text, () => this.ask(number));
    button.setAttribute("aria-label", fill(this.words.go, { number: number + 1, text }));
    line.append(button);
    return line;
  }

  ask(number) {
    if (number >= this.texts.length) return;
    this.hold(true); // until the server says that it is marked, or refuses
    this.signalling.send({ type: "question", number });
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.show(), ECHO_WITHIN_MS);
  }

  /** Not `disabled`: that takes the focus away from who goes from question to question by keyboard. */
  hold(held) {
    this.held = held;
    this.next.setAttribute("aria-disabled", String(held));
  }

  /** All marks of the interview: since when the current question has stood. */
  setMarks(marks) {
    const last = marks.at(-1);
    if (last?.number !== this.current) return;
    this.since = last.t;
    this.show();
  }

  begun(number, t) {
    clearTimeout(this.waiting);
    this.current = number;
    this.since = t;
    this.show();
    this.onMark(number, t);
  }

  show() {
    const { words, texts, current } = this;
    const count = texts.length;
    this.part("questions-section").hidden = count === 0;
    const begun = current !== null;
    const place = begun ? fill(words.place, { number: current + 1, count }) : "";
    const since = begun && this.since !== undefined ? fill(words.since, { time: clock(this.since) }) : "";
    this.part("question-place").textContent = [place, since].filter(Boolean).join(", ");
    this.part("question-now").textContent = begun ? (texts[current] ?? "") : words.none_yet;
    const last = begun && current >= count - 1;
    this.hold(last);
    this.part("next-words").textContent = last ? words.last : begun ? words.next : words.begin;
    this.next.setAttribute("aria-label", begun && !last ? words.next_whole : this.next.textContent.trim());
    [...this.part("questions").children].forEach((line, number) => {
      if (number === current) line.setAttribute("aria-current", "step");
      else line.removeAttribute("aria-current");
    });
  }
}
