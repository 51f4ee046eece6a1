// The candidate's lobby: own picture and level, devices, guidance where one is refused, "I am ready", the wait.
// Its markup is templates/rooms/_lobby.html.

import { fillPicker } from "./controls.js";
import * as devices from "./devices.js";

const REMEMBER_AS = { camera: "videoDeviceId", microphone: "audioDeviceId" };
const LISTED = { camera: "cameras", microphone: "microphones" };

/**
 * Events: `ready` (the candidate wants to be let in), `back` (they want to look at their devices again),
 * `stream` (detail: what is open now), `late` (detail: `{stream, problems}` that were opened after `close`).
 */
export class Lobby extends EventTarget {
  /** What is open; never null once `open` was called. */
  stream = null;

  /**
   * @param {{root: HTMLElement, strings: Record<string, string>}} options
   */
  constructor({ root, strings }) {
    super();
    Object.assign(this, { root, strings });
    this.chosen = devices.rememberedDevices();
    this.part = (name) => root.querySelector(`[data-lobby-${name}]`);
    this.part("again").addEventListener("click", () => this.open());
    this.part("ready").addEventListener("click", () => this.dispatchEvent(new Event("ready")));
    this.part("back").addEventListener("click", () => this.dispatchEvent(new Event("back")));
    for (const field of this.pickers) field.addEventListener("change", () => this.choose(field));
    this.stopWatching = devices.onDeviceChange(() => this.list());
  }

  get pickers() {
    return this.root.querySelectorAll("[data-lobby-pick]");
  }

  // -- Devices ----------------------------------------------------------------------------------

  /** Ask for both devices; the page is usable whatever comes of it. */
  async open() {
    const opening = devices.openDevices({ ...this.chosen, release: this.stream });
    this.stream ??= new MediaStream();
    if (!(await devices.openedSoon(opening)) && !this.closed) this.unanswered();
    const opened = await opening;
    if (this.closed) return this.dispatchEvent(new CustomEvent("late", { detail: opened }));
    this.part("ready").disabled = false;
    return this.take(opened);
  }

  /** The browser's question stands somewhere: say so, and let them go on without. */
  unanswered() {
    this.guide(["camera", "microphone"].map((kind) => ({ kind, text: this.strings[`${kind}_asked`] })));
    this.part("ready").disabled = false;
  }

  async choose(field) {
    const kind = field.dataset.lobbyPick;
    this.chosen[REMEMBER_AS[kind]] = field.value;
    const changed = await devices.switchDevice(this.stream, kind, field.value);
    if (this.closed) return devices.stopStream(changed.stream);
    if (!changed.problems.length) devices.rememberDevices({ [REMEMBER_AS[kind]]: field.value });
    return this.take(changed);
  }

  take({ stream, problems }) {
    const kept = stream.getTracks();
    this.stream?.getTracks().forEach((track) => kept.includes(track) || track.stop()); // asked twice, answered twice
    this.stream = stream;
    this.stopEnded?.();
    this.stopEnded = devices.onTrackEnded(stream, (kind) => this.lost(kind));
    this.showPicture();
    this.measure();
    this.guide(problems.map(({ kind, code }) => ({ kind, text: this.guidance(kind, code) })));
    this.dispatchEvent(new CustomEvent("stream", { detail: stream }));
    return this.list();
  }

  /** Unplugged, or taken by the system. */
  lost(kind) {
    const left = this.stream.getTracks().filter((track) => track.readyState === "live");
    this.take({ stream: new MediaStream(left), problems: [] });
    this.guide([{ kind, text: this.strings[`${kind}_gone`] }]);
  }

  guidance(kind, code) {
    return this.strings[`${kind}_${code}`] ?? this.strings[`${kind}_unknown`];
  }

  showPicture() {
    const video = this.part("video");
    const picture = devices.has(this.stream, "camera");
    if (video.srcObject !== this.stream) video.srcObject = this.stream;
    video.hidden = !picture;
    this.part("none").hidden = picture;
  }

  measure() {
    this.stopMeter?.();
    const bar = this.part("level");
    const show = (level) => (bar.style.transform = `scaleX(${level.toFixed(3)})`);
    show(0);
    this.stopMeter = devices.levelMeter(this.stream, show);
  }

  async list() {
    const listed = await devices.listDevices();
    for (const field of this.pickers) {
      const kind = field.dataset.lobbyPick;
      const track = this.stream?.getTracks().find((one) => one.kind === (kind === "camera" ? "video" : "audio"));
      const current = track?.getSettings().deviceId ?? this.chosen[REMEMBER_AS[kind]];
      fillPicker(field, listed[LISTED[kind]], current, this.strings);
    }
  }

  /** Say what is wrong, what to do, and that it goes on without. */
  guide(problems) {
    const items = problems.map(({ text }) => Object.assign(document.createElement("li"), { textContent: text }));
    this.part("problems").replaceChildren(...items);
    const which = problems.length > 1 ? "both" : problems[0]?.kind;
    this.part("tip").textContent = which ? this.strings[`tips_${which}`] : "";
    this.part("trouble").hidden = problems.length === 0;
  }

  // -- The wait ---------------------------------------------------------------------------------

  /** Show the wait with this text, or (null) the devices again. */
  wait(text) {
    const waits = text !== null;
    const changed = this.part("wait").hidden === waits;
    this.part("check").hidden = waits;
    this.part("wait").hidden = !waits;
    this.root.classList.toggle("is-waiting", waits);
    if (waits) this.part("wait-text").textContent = text;
    if (changed) (waits ? this.part("wait-title") : this.part("ready")).focus();
  }

  /** Away with the lobby; the stream goes on in the call. */
  close() {
    this.closed = true;
    this.stopMeter?.();
    this.stopEnded?.();
    this.stopWatching();
    this.part("video").srcObject = null;
    this.root.hidden = true;
  }
}
