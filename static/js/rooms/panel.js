// The interviewer's panel: takes the messages of the room and hands them to its parts.

import { shortcuts } from "./keys.js";
import { Alerts } from "./panel-alerts.js";
import { Notes, Questions } from "./panel-notes.js";
import { Past } from "./panel-past.js";
import { Now } from "./panel-reading.js";
import { Readings } from "./panel-store.js";
import { Trend } from "./panel-chart.js";
import { fill } from "./words.js";

const FOLDED = "panel-folded";
const ANNOUNCE_EVERY_MS = 15000;
const STALE_AFTER_MS = 5000;
const NOTED_MS = 6000;
const STORED_WITHIN_S = 5; // what came since then may not have been in the database when it was asked
const TOLD = new Set(["question", "reset-analysis"]);

const remembered = () => {
  try {
    return localStorage.getItem(FOLDED);
  } catch {
    return null; // storage is switched off
  }
};
const remember = (folded) => {
  try {
    localStorage.setItem(FOLDED, String(folded));
  } catch {
    // Then it opens as usual the next time.
  }
};

/** Seconds of the interview, kept in step with the server's. */
class Clock {
  #t = 0;
  #at = null;

  set(t) {
    this.#t = t;
    this.#at = performance.now();
  }

  now() {
    return this.#at === null ? 0 : this.#t + (performance.now() - this.#at) / 1000;
  }
}

/** Tells a screen reader the level when it changed, and at most every 15 s. */
class Announcer {
  constructor(region, strings) {
    Object.assign(this, { region, strings, said: null, at: -Infinity });
  }

  tell(level) {
    if (level === "none" || level === this.said || performance.now() - this.at < ANNOUNCE_EVERY_MS) return;
    this.at = performance.now();
    this.said = level;
    this.region.textContent = fill(this.strings.announce, { level: this.strings.levels[level] });
  }
}

class Panel {
  constructor({ root, signalling, strings, settings }) {
    const panel = root.matches("[data-panel]") ? root : root.querySelector("[data-panel]");
    const part = (name) => (name === "root" ? panel : panel.querySelector(`[data-part="${name}"]`));
    Object.assign(this, { panel, part, signalling, strings });
    this.clock = new Clock();
    this.readings = new Readings();
    this.now = new Now({ part, strings });
    this.trend = new Trend({ root: panel, strings, readings: this.readings });
    this.alerts = new Alerts({ part, strings, onCount: (unread) => this.showCount(unread) });
    this.notes = new Notes({ part, strings, signalling, now: () => Math.round(this.clock.now() * 10) / 10 });
    const onMark = (number, t) => this.trend.mark(number, t);
    this.questions = new Questions({ part, strings, signalling, onMark });
    this.announcer = new Announcer(part("live"), strings);
    this.past = new Past({
      code: settings.code,
      now: () => this.clock.now(),
      take: (found, asked) => this.load(found, asked - STORED_WITHIN_S),
    });
    this.status = { state: "waiting" };
    this.listen();
    this.fold(remembered() === "true" || (remembered() === null && this.onPhone));
    if (settings.welcome) this.welcome(settings.welcome);
    this.showState();
    setInterval(() => this.tick(), 1000);
  }

  get onPhone() {
    return matchMedia("(max-width: 720px)").matches;
  }

  listen() {
    const { signalling, part } = this;
    signalling.addEventListener("open", ({ detail }) => this.welcome(detail));
    signalling.addEventListener("lost", () => this.setAway(true));
    signalling.on("stress_analysis", (reading) => this.take(reading));
    // After "off" nothing counts that was under way: it was deleted.
    signalling.on("speech_metrics", (metrics) => this.off || this.now.showSpeech(metrics));
    signalling.on("real_time_alert", (alert) => this.off || this.alerts.take(alert));
    signalling.on("knock-ended", ({ admitted, t }) => admitted && Number.isFinite(t) && this.clock.set(t));
    signalling.on("error", ({ of, message }) => TOLD.has(of) && this.note(message));
    signalling.on("analysis-status", (status) => this.setStatus(status));
    signalling.on("analysis-reset", ({ by }) => this.note(by ? fill(this.strings.reset_by, { name: by }) : this.strings.reset_done));
    part("reset").addEventListener("click", () => signalling.send({ type: "reset-analysis" }));
    part("fold").addEventListener("click", () => this.fold(!this.folded, true));
    document.addEventListener("keydown", (event) => shortcuts.pressed(event) === "p" && this.fold(!this.folded, true));
    shortcuts.addEventListener("change", () => this.nameFold());
  }

  /** First and after each reconnect: what is drawn stays, what was missed comes in. */
  welcome(message) {
    if (!message) return;
    this.setAway(false);
    if (message.t > 0) this.clock.set(message.t); // it does not run before somebody is let in
    if (message.policy) this.setPolicy(message.policy);
    if (message.questions) this.questions.set(message.questions, message.question);
    for (const note of message.notes ?? []) this.notes.take(note);
    if (message.analysis) this.setStatus(message.analysis);
    if (message.t > 0) this.welcomed ? this.past.askLater() : this.past.ask();
    this.welcomed = true;
  }

  /** The interview's summary so far; what came from `newer` (s) on may be lacking in it. */
  load({ timeline, alerts, questions }, newer) {
    const marks = questions.map(({ number, start_s: t }) => ({ number: number - 1, t }));
    this.readings.load(timeline, newer);
    this.alerts.load(alerts, newer);
    this.questions.setMarks(marks);
    this.trend.setMarks(marks);
    this.trend.move(this.clock.now());
    this.trend.say();
  }

  /** What was taken back is deleted on the server; it goes from here too, and what is still there comes back. */
  forget() {
    this.readings.clear();
    this.alerts.clear();
    this.trend.draw();
    this.trend.say();
    if (this.clock.now() > 0) this.past.ask();
  }

  get off() {
    return this.status.state === "off";
  }

  // -- Messages -----------------------------------------------------------------------------------

  take(reading) {
    if (this.off) return;
    this.clock.set(reading.t);
    this.readAt = performance.now();
    this.readings.add(reading);
    this.now.take(reading);
    this.now.showLatency(reading.latency_ms, reading.dropped);
    if (!this.folded) this.trend.move(reading.t);
    this.announcer.tell(this.now.level);
    this.nameFold();
    this.showState();
  }

  setStatus(status) {
    const before = this.status;
    if ((before.face && !status.face) || (before.voice && !status.voice)) this.forget();
    if (status.state === "on" && before.state !== "on") this.onAt = performance.now();
    this.status = status;
    this.now.setAnalysis(status);
    if (status.latency_ms != null) this.now.showLatency(status.latency_ms, status.dropped);
    if (status.state === "off") this.now.showLatency(null);
    this.part("reset").disabled = status.state === "off";
    this.nameFold();
    this.showState();
  }

  setPolicy({ emotion_inference: possible, reason }) {
    const { policy } = this.strings;
    for (const name of ["expression", "trend", "confidence-section"]) this.part(name).hidden = !possible;
    this.part("reset").hidden = !possible;
    this.part("policy").hidden = possible;
    this.part("policy-reason").textContent = policy[reason] ?? policy[""];
    this.possible = possible;
    this.nameFold();
  }

  setAway(away) {
    this.away = away;
    this.showState();
  }

  // -- The line at the top ---------------------------------------------------------------------------

  get state() {
    if (this.away) return "away";
    return this.status.state === "on" && this.silentMs > STALE_AFTER_MS ? "stale" : this.status.state;
  }

  /** For how long nothing was read although the analysis is on. */
  get silentMs() {
    return performance.now() - Math.max(this.readAt ?? -Infinity, this.onAt ?? performance.now());
  }

  showState() {
    const { state } = this;
    const seconds = Math.round(this.silentMs / 1000);
    const text = this.noted ?? fill(this.strings.states[state], { seconds });
    this.panel.dataset.state = state;
    if (this.part("state").textContent !== text) this.part("state").textContent = text;
    this.sayState(state, text);
  }

  /** That the analysis goes on or off, or the server is away, is said aloud too; what is short-lived is only shown. */
  sayState(state, text) {
    if (!["on", "off", "away"].includes(state) || state === this.saidState) return;
    if (this.saidState) this.part("live").textContent = text;
    this.saidState = state;
  }

  /** Something that happened, for a few seconds in the line at the top, and said aloud. */
  note(text) {
    this.noted = text;
    this.part("live").textContent = text;
    clearTimeout(this.noteTimer);
    this.noteTimer = setTimeout(() => ((this.noted = null), this.showState()), NOTED_MS);
    this.showState();
  }

  tick() {
    this.showState();
    if (!this.folded && this.readings.all.length) this.trend.move(this.clock.now());
  }

  // -- Folding ---------------------------------------------------------------------------------------

  fold(folded, byHand = false) {
    this.folded = folded;
    if (byHand) remember(folded);
    if (folded && this.part("body").contains(document.activeElement)) this.part("fold").focus();
    this.panel.dataset.folded = String(folded);
    this.part("body").hidden = folded;
    this.part("fold").setAttribute("aria-expanded", String(!folded));
    this.alerts.setQuiet(folded);
    this.nameFold();
    if (!folded) this.trend.move(this.clock.now());
  }

  nameFold() {
    const { strings, folded } = this;
    const level = strings.levels[this.now.level] ?? strings.states[this.status.state] ?? "—";
    const words = [folded ? fill(strings.unfold, { level }) : strings.fold];
    if (this.alerts?.unread) words.push(fill(strings.unread, { count: this.alerts.unread }));
    const name = words.join(". ");
    const button = this.part("fold");
    if (button.getAttribute("aria-label") !== name) button.setAttribute("aria-label", name);
    shortcuts.tell(button, name, "p");
  }

  showCount(unread) {
    const count = this.part("count");
    count.hidden = unread === 0;
    count.textContent = unread > 9 ? "9+" : String(unread);
    this.nameFold();
  }
}

/**
 * Brings the panel to life. Chart.js must have been loaded before as a classic script; without it there is the text.
 *
 * @param {{root: Element, signalling: EventTarget, strings: object, settings?: {code?: string, welcome?: object}}} options
 *   `strings` as `rooms.panel_page.strings()` gives them; `settings.code` of the room, without it the panel knows only what
 *   the socket tells; `settings.welcome` where the socket was open before
 */
export function startPanel({ root, signalling, strings, settings = {} }) {
  return new Panel({ root, signalling, strings, settings });
}
