// Who waits to be let in. The cards stand above the stage, never over a face.

import { toast } from "./toasts.js";
import { fill, make, makeButton } from "./words.js";

const firstName = (name) => name.trim().split(/\s+/)[0] || name;

class Waiting {
  constructor({ root, signalling, strings }) {
    Object.assign(this, { root, signalling, strings });
    this.list = root.querySelector("[data-waiting-list]");
    this.said = document.querySelector("[data-waiting-said]"); // outside of the root, which is hidden at times
    this.title = document.title;
    this.people = new Map();
    signalling.addEventListener("open", (event) => this.replace(event.detail?.waiting ?? []));
    signalling.on("knock", (person) => this.add(person));
    signalling.on("knock-ended", ({ peer }) => this.remove(peer));
    signalling.on("error", (message) => this.onError(message));
  }

  /** The welcome tells all who wait; whoever is not in it has gone. */
  replace(people) {
    for (const peer of [...this.people.keys()]) {
      if (!people.some((person) => person.peer === peer)) this.remove(peer);
    }
    people.forEach((person) => this.add(person));
  }

  add(person) {
    const known = this.people.get(person.peer);
    if (known?.again === person.again && known.name === person.name) return this.hold(known, false); // keeps the focus
    known?.card.remove();
    const card = this.card(person);
    this.people.set(person.peer, { ...person, card });
    this.list.append(card);
    if (!known) this.said.textContent = fill(this.strings.waits, { name: person.name });
    return this.retitle();
  }

  remove(peer) {
    const person = this.people.get(peer);
    if (!person) return;
    this.people.delete(peer);
    const hadFocus = person.card.contains(document.activeElement);
    person.card.remove();
    if (hadFocus) document.getElementById("call-main")?.focus();
    this.said.textContent = "";
    this.retitle();
  }

  retitle() {
    const [first] = this.people.values();
    this.root.hidden = !first;
    document.title = first ? fill(this.strings.waits_title, { name: firstName(first.name) }) : this.title;
  }

  card(person) {
    const card = make("div", "stage-waiting-card");
    const words = make("div", "stage-waiting-words");
    words.append(make("strong", "", fill(this.strings.waits, { name: person.name })));
    if (person.again) words.append(make("p", "small", this.strings.waits_again));
    const buttons = make("div", "stage-waiting-buttons");
    const letIn = fill(this.strings.let_in, { name: firstName(person.name) });
    buttons.append(
      makeButton("button primary", letIn, () => this.answer("admit", person)),
      makeButton("button", this.strings.not_now, () => this.answer("refuse", person)),
    );
    card.append(words, buttons);
    return card;
  }

  /** The card stays until the server says that nobody knocks any more; the press counts once. */
  answer(type, { peer }) {
    const person = this.people.get(peer);
    if (!person || person.answered) return;
    this.hold(person, true);
    this.signalling.send({ type, peer });
    if (type === "refuse") toast(fill(this.strings.refused, { name: firstName(person.name) }));
  }

  /** Not `disabled`, which would take the focus away before the card goes. */
  hold(person, answered) {
    person.answered = answered;
    for (const button of person.card.querySelectorAll("button")) button.setAttribute("aria-disabled", String(answered));
  }

  onError(message) {
    if (message.of !== "admit" && message.of !== "refuse") return;
    for (const person of this.people.values()) this.hold(person, false);
    if (message.code === "not_waiting") toast(this.strings.no_longer_waits);
    else toast(message.message, { tone: "attention" });
  }
}

/**
 * Shows who waits, and lets them in or not.
 * @param {{root: HTMLElement, signalling: EventTarget, strings: Record<string, string>}} options
 */
export function setUpWaiting(options) {
  return new Waiting(options);
}
