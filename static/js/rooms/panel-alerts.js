// Alerts: they slide in over the panel, leave by themselves and stay in a list with their time.

import { clock, fill, make, makeButton, overlap } from "./words.js";

const LASTS_MS = 12000;
const AT_ONCE = 3;

/** Not by its number: it has none yet where storing took long. */
const nameOf = ({ kind, t }) => `${kind} ${t.toFixed(1)}`;

export class Alerts {
  /** @param {{part: (name: string) => HTMLElement, strings: object, onCount: (unread: number) => void}} options */
  constructor({ part, strings, onCount }) {
    Object.assign(this, { part, onCount, words: strings.alerts });
    this.known = new Map();
    this.loaded = false;
    this.unread = 0;
    this.quiet = false;
    part("body").addEventListener("focusin", ({ target }) => this.giveWay(target));
  }

  /** An alert does not lie over what the keyboard has come to; it stays in the list. */
  giveWay(target) {
    for (const card of this.part("alerts").children) if (overlap(card, target)) this.leave(card);
  }

  /** While the panel is folded away nothing slides in: alerts are counted, and wait in the list. */
  setQuiet(quiet) {
    this.quiet = quiet;
    if (quiet) this.part("alerts").replaceChildren();
    else this.count(0);
  }

  count(unread) {
    this.unread = unread;
    this.onCount(unread);
  }

  /** In the reader's language where the kind is known; the socket's own words else. */
  inWords(alert) {
    const { kind, value } = alert;
    const { titles, advice, decimals } = this.words;
    if (!(kind in titles) || value == null) return alert;
    const digits = decimals[kind];
    const options = { minimumFractionDigits: digits, maximumFractionDigits: digits };
    const shown = value.toLocaleString(document.documentElement.lang || "en", options);
    return { ...alert, message: fill(titles[kind], { value: shown }), advice: advice[kind] ?? alert.advice };
  }

  take(told) {
    if (this.known.has(nameOf(told))) return;
    this.known.set(nameOf(told), told);
    const alert = this.inWords(told);
    this.list(alert);
    if (this.quiet) this.count(this.unread + 1);
    else this.slideIn(alert);
  }

  /** The server's own list takes the place of all but what came from `newer` (s) on, which it may not have stored yet. */
  load(alerts, newer) {
    const before = this.known;
    const young = [...before.values()].filter(({ t }) => t >= newer);
    this.known = new Map([...alerts, ...young].sort((one, other) => one.t - other.t).map((one) => [nameOf(one), one]));
    this.write();
    const missed = [...this.known.keys()].filter((name) => !before.has(name)).length;
    if (this.quiet && this.loaded && missed) this.count(this.unread + missed);
    this.loaded = true;
  }

  /** What was taken back is deleted on the server, and goes from here too. */
  clear() {
    this.known = new Map();
    this.loaded = false; // what comes back with the past is no news
    this.part("alerts").replaceChildren();
    this.count(0);
    this.write();
  }

  write() {
    this.part("log").replaceChildren();
    this.part("log-count").textContent = "0";
    this.part("no-alerts").hidden = false;
    for (const one of this.known.values()) this.list(this.inWords(one));
  }

  list(alert) {
    const log = this.part("log");
    const line = make("li", "panel-entry");
    line.dataset.severity = alert.severity;
    line.append(make("span", "panel-time", clock(alert.t)), make("span", "panel-entry-text", alert.message));
    if (alert.advice) line.append(make("span", "panel-advice", alert.advice));
    log.prepend(line);
    this.part("log-count").textContent = String(log.children.length);
    this.part("no-alerts").hidden = true;
  }

  slideIn(alert) {
    const card = make("div", "panel-alert");
    card.dataset.severity = alert.severity;
    const text = make("div", "panel-alert-text");
    const head = make("p", "panel-alert-head");
    const severity = this.words.severity[alert.severity] ?? "";
    head.append(make("span", "panel-tag", severity), " ", make("span", "panel-time", clock(alert.t)));
    text.append(head, make("p", "panel-alert-message", alert.message));
    if (alert.advice) text.append(make("p", "panel-advice", alert.advice));
    const hide = makeButton("panel-hide", "×", () => this.leave(card));
    hide.setAttribute("aria-label", this.words.hide);
    card.append(text, hide);
    const place = this.part("alerts");
    place.append(card);
    while (place.children.length > AT_ONCE) place.firstElementChild.remove();
    this.wait(card);
  }

  /** Goes after twelve seconds, not while somebody reads it with pointer or focus on it. */
  wait(card) {
    const start = () => (card.timer = setTimeout(() => this.leave(card), LASTS_MS));
    const hold = () => clearTimeout(card.timer);
    for (const name of ["pointerenter", "focusin"]) card.addEventListener(name, hold);
    for (const name of ["pointerleave", "focusout"]) card.addEventListener(name, () => (hold(), start()));
    start();
  }

  leave(card) {
    clearTimeout(card.timer);
    if (card.contains(document.activeElement)) this.part("fold").focus();
    card.classList.add("leaves");
    setTimeout(() => card.remove(), 200);
  }
}
