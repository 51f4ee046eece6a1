// The candidate's own switches: face, voice, recording. What is switched off stops here at once and is told to the
// server until it has stored it, however often the socket goes away meanwhile. Nothing here shows a result.

import { closeByBackdrop, openDialog } from "./dialogs.js";

const AGAIN_MS = 2000;
const PARTS = ["face", "voice"];

/** Events: `change` (detail: the consent that holds here now: `{recording, face, voice}`). */
export class Choices extends EventTarget {
  /**
   * @param {object} options
   * @param {HTMLElement} options.box the `[data-analysis]` element
   * @param {HTMLDialogElement} options.dialog the `[data-choices]` element
   * @param {HTMLElement} options.said a live region
   * @param {import("./signalling.js").Signalling} options.signalling
   * @param {Record<string, string>} options.strings
   * @param {Record<string, boolean>} options.consent as the page was made with
   */
  constructor({ box, dialog, said, signalling, strings, consent }) {
    super();
    Object.assign(this, { box, dialog, said, signalling, strings });
    this.stored = { ...consent };
    /** What was chosen and is not stored yet, by scope. */
    this.pending = {};
    this.sends = { face: false, voice: false };
    this.recordingRuns = false;
    this.part = (name) => box.querySelector(`[data-${name}]`);
    this.wire();
    this.listen();
    this.show();
  }

  wire() {
    closeByBackdrop(this.dialog);
    this.part("analysis-info").addEventListener("click", () => openDialog(this.dialog));
    this.part("analysis-off").addEventListener("click", () => this.choose({ face: false, voice: false }));
    this.part("recording-off").addEventListener("click", () => this.choose({ recording: false }));
    for (const button of this.switches) {
      button.addEventListener("click", () => this.choose({ [button.dataset.scope]: !this.now[button.dataset.scope] }));
    }
  }

  listen() {
    const { signalling } = this;
    signalling.addEventListener("open", ({ detail }) => this.told(detail.consent, true));
    signalling.addEventListener("lost", () => this.show());
    signalling.on("consent-changed", ({ consent }) => this.told(consent, false));
    signalling.on("recording-status", ({ active }) => this.showRecording(active));
    signalling.on("error", ({ of }) => of === "consent" && this.sendSoon());
  }

  get switches() {
    return [...this.dialog.querySelectorAll("[data-scope]")];
  }

  /** What is chosen, stored or not. */
  get chosen() {
    return { ...this.stored, ...this.pending };
  }

  /** What may happen now: a withdrawal counts at once, a new consent when it is stored. */
  get now() {
    const { stored, chosen } = this;
    return Object.fromEntries(Object.keys(chosen).map((scope) => [scope, Boolean(stored[scope] && chosen[scope])]));
  }

  choose(scopes) {
    const changed = Object.entries(scopes).filter(([scope, given]) => this.chosen[scope] !== given);
    Object.assign(this.pending, Object.fromEntries(changed));
    this.send();
    this.changed();
  }

  send() {
    clearTimeout(this.timer);
    if (!Object.keys(this.pending).length || !this.signalling.ready) return; // `open` sends it
    this.signalling.send({ type: "consent", scopes: { ...this.pending } });
  }

  sendSoon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.send(), AGAIN_MS);
  }

  told(consent, anew) {
    if (!consent) return;
    const before = this.stored;
    this.stored = { ...consent };
    for (const [scope, given] of Object.entries(this.pending)) if (consent[scope] === given) delete this.pending[scope];
    if (anew) this.send();
    this.say(before);
    this.changed();
  }

  /** For who does not see the box change. */
  say(before) {
    const analysed = (consent) => PARTS.some((scope) => consent[scope]);
    if (analysed(before) !== analysed(this.stored)) {
      this.said.textContent = analysed(this.stored) ? this.strings.said_on : this.strings.said_off;
    } else if (Boolean(before.recording) !== Boolean(this.stored.recording)) {
      this.said.textContent = this.stored.recording ? this.strings.recording_again : this.strings.recording_stopped;
    }
  }

  changed() {
    this.show();
    this.dispatchEvent(new CustomEvent("change", { detail: this.now }));
  }

  /** What the browser sends right now: `{face, voice}`, as `startCapture` tells it. */
  setSends(sends) {
    this.sends = sends;
    this.show();
  }

  // -- What is shown ------------------------------------------------------------------------------

  show() {
    const { now, strings } = this;
    const on = PARTS.filter((scope) => now[scope]);
    this.part("analysis-title").textContent = on.length ? strings.analysis_on : strings.analysis_off;
    this.hide(this.part("analysis-parts"), on.length === 0);
    for (const scope of PARTS) this.showPart(scope);
    for (const button of this.switches) {
      const { scope } = button.dataset;
      button.setAttribute("aria-checked", String(this.chosen[scope]));
      button.setAttribute("aria-busy", String(scope in this.pending));
    }
    const waits = Object.keys(this.pending).length > 0 && !this.signalling.ready;
    this.dialog.querySelector("[data-choices-problem]").textContent = waits ? strings.consent_waits : "";
    this.showRecording(this.recordingRuns);
  }

  showPart(scope) {
    const place = this.part(`part=${scope}`);
    place.hidden = !this.now[scope];
    place.classList.toggle("is-paused", !this.sends[scope]);
    place.textContent = this.strings[`${scope}_${this.sends[scope] ? "on" : "paused"}`];
  }

  showRecording(active) {
    this.recordingRuns = Boolean(active);
    this.hide(this.part("recording-part"), !(this.recordingRuns && this.now.recording));
  }

  /** What was pressed goes away with it: the focus goes to where it can be switched on again. */
  hide(element, hidden) {
    const hadFocus = element.contains(document.activeElement);
    element.hidden = hidden;
    if (hidden && hadFocus) this.part("analysis-info").focus();
  }
}
