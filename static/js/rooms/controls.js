// The bar under a call, for both sides: microphone, camera, screen, chat, devices, shortcuts.
// Its markup is templates/rooms/_controls.html.

import { closeByBackdrop, openDialog } from "./dialogs.js";
import { setUpKeys, shortcuts } from "./keys.js";
import { toast } from "./toasts.js";
import { fill } from "./words.js";

const KEYS = { m: "microphone", v: "camera", s: "screen", c: "chat" };
const KINDS = { microphone: "audio", camera: "video" };
const REMEMBER_AS = { microphone: "audioDeviceId", camera: "videoDeviceId" };
const LISTED = { microphone: "microphones", camera: "cameras", speaker: "speakers" };
const CLOSED_BY_ITSELF_MS = 12000;

const trackOf = (stream, kind) =>
  stream?.getTracks().find((track) => track.kind === KINDS[kind] && track.readyState === "live") ?? null;

/**
 * Events: `stream` (detail: the local stream, each time it changed), `screen` (detail: the shared stream or null),
 * `state` (detail: {microphone, camera, screen}).
 */
class Controls extends EventTarget {
  constructor(options) {
    super();
    const { root, call, signalling, devices, strings, onStream = () => {}, stream = null } = options;
    Object.assign(this, { root, call, signalling, devices, strings, onStream, stream });
    this.options = options;
    this.screen = null;
    this.chosen = { ...(devices.rememberedDevices?.() ?? {}), ...options.chosen };
    this.busy = new Set();
    this.part = (name) => root.querySelector(`[data-control=${name}]`);
    this.wire();
    this.listen();
    this.watch();
    this.show();
  }

  // -- Wiring -----------------------------------------------------------------------------------

  wire() {
    const presses = {
      microphone: () => this.toggle("microphone"),
      camera: () => this.toggle("camera"),
      screen: () => this.toggleScreen(),
      more: () => this.menu(this.root.querySelector("[data-menu]").hidden),
      devices: () => this.pickDevices(),
      keys: setUpKeys(this.root.querySelector("[data-keys]")),
      details: () => (this.options.onDetails?.(this.root.querySelector("[data-details-list]")), this.dialog("[data-details]")),
      pip: () => this.options.onPictureInPicture?.(),
      leave: () => this.options.onLeave?.(),
      end: () => this.options.onEnd?.(),
    };
    for (const [name, press] of Object.entries(presses)) {
      this.part(name)?.addEventListener("click", () => {
        if (name !== "more") this.menu(false);
        press();
      });
    }
    this.part("screen").hidden = !navigator.mediaDevices?.getDisplayMedia; // phones have none
    this.part("pip").hidden = !this.options.onPictureInPicture || !document.pictureInPictureEnabled;
    for (const name of ["devices", "details"]) closeByBackdrop(this.root.querySelector(`[data-${name}]`));
    for (const field of this.root.querySelectorAll("[data-pick]")) {
      field.addEventListener("change", () => this.choose(field.dataset.pick, field.value));
    }
  }

  listen() {
    const { signal } = (this.ending = new AbortController());
    document.addEventListener("keydown", (event) => this.onKey(event), { signal });
    const more = this.root.querySelector("[data-more]");
    document.addEventListener("click", ({ target }) => more.contains(target) || this.menu(false), { signal });
    more.addEventListener("focusout", ({ relatedTarget: next }) => next && !more.contains(next) && this.menu(false), { signal });
    shortcuts.addEventListener("change", () => this.show(), { signal });
    this.stopWatching = this.devices.onDeviceChange?.(() => this.fillPickers());
    this.signalling.addEventListener("open", (event) => this.showRecording(event.detail?.recording));
    this.signalling.on("recording-status", (status) => this.showRecording(status));
  }

  onKey(event) {
    if (event.key === "Escape") this.menu(false);
    const name = KEYS[shortcuts.pressed(event)];
    const button = name && this.part(name);
    if (!button || button.hidden) return;
    event.preventDefault();
    button.click();
  }

  menu(open) {
    const menu = this.root.querySelector("[data-menu]");
    if (menu.hidden === !open) return;
    const hadFocus = menu.contains(document.activeElement);
    menu.hidden = !open;
    this.part("more").setAttribute("aria-expanded", String(open));
    if (open) menu.querySelector("button:not([hidden])").focus();
    else if (hadFocus) this.part("more").focus();
  }

  dialog(selector) {
    return openDialog(this.root.querySelector(selector));
  }

  // -- What is sent -----------------------------------------------------------------------------

  get state() {
    const microphone = trackOf(this.stream, "microphone");
    return {
      microphone: Boolean(microphone?.enabled),
      camera: Boolean(trackOf(this.stream, "camera")),
      screen: this.screen !== null,
    };
  }

  /** Takes a stream as the local one: to the call, the page, and whoever listens. */
  use(stream) {
    this.stream = stream;
    this.watch();
    this.call?.setStream(stream);
    this.onStream(stream);
    this.dispatchEvent(new CustomEvent("stream", { detail: stream }));
    this.changed();
  }

  changed() {
    this.show();
    this.dispatchEvent(new CustomEvent("state", { detail: this.state }));
  }

  show() {
    const { microphone, camera, screen } = this.state;
    const say = this.strings;
    this.label("microphone", microphone, microphone ? say.mute : say.unmute);
    this.label("camera", camera, camera ? say.camera_off : say.camera_on);
    this.label("screen", screen, screen ? say.share_stop : say.share);
    shortcuts.tell(this.part("chat"), this.part("chat").querySelector(".bar-label").textContent, "c");
  }

  label(name, on, text) {
    const button = this.part(name);
    button.dataset.on = String(on);
    button.querySelector("[data-label]").textContent = text;
    shortcuts.tell(button, text, Object.keys(KEYS).find((key) => KEYS[key] === name));
  }

  // -- Microphone and camera --------------------------------------------------------------------

  async toggle(kind) {
    const track = trackOf(this.stream, kind);
    if (!track) return this.open(kind);
    if (kind === "microphone") {
      track.enabled = !track.enabled;
      this.call?.announce(); // a new stream announces itself
      return this.changed();
    }
    track.stop(); // so that the camera's light goes out
    return this.use(this.without(kind));
  }

  without(kind) {
    return new MediaStream((this.stream?.getTracks() ?? []).filter((track) => track.kind !== KINDS[kind]));
  }

  /** Asks for a device that is not open; one question at a time. */
  async open(kind) {
    if (this.busy.has(kind)) return;
    this.busy.add(kind);
    const chosen = this.chosen[REMEMBER_AS[kind]];
    try {
      const wanted = { audio: kind === "microphone", video: kind === "camera" };
      const { stream, problems } = await this.devices.openDevices({ ...this.chosen, ...wanted });
      if (this.ending.signal.aborted) return stream?.getTracks().forEach((track) => track.stop());
      if (trackOf(stream, kind)) trackOf(this.stream, kind)?.stop(); // of another question, answered meanwhile
      if (stream?.getTracks().length) this.use(new MediaStream([...this.without(kind).getTracks(), ...stream.getTracks()]));
      problems.forEach((problem) => this.guide(problem));
    } finally {
      this.busy.delete(kind);
    }
    const wanted = this.chosen[REMEMBER_AS[kind]];
    if (wanted !== chosen) await this.choose(kind, wanted); // in the list, while the browser asked
  }

  /** To the device that is chosen by the end: who goes through the list by keyboard chooses each on the way. */
  async switchToChosen(kind) {
    const chosen = () => this.chosen[REMEMBER_AS[kind]];
    if (!trackOf(this.stream, kind)) return []; // off: the choice counts when it is switched on
    this.busy.add(kind);
    try {
      let wanted;
      let problems;
      do {
        wanted = chosen();
        problems = await this.switchTo(kind, wanted);
      } while (chosen() !== wanted && trackOf(this.stream, kind) && !this.ending.signal.aborted);
      return problems;
    } finally {
      this.busy.delete(kind);
    }
  }

  async switchTo(kind, deviceId) {
    const { stream, problems } = await this.devices.switchDevice(this.stream, kind, deviceId);
    const fresh = stream.getTracks().filter((track) => track.kind === KINDS[kind]);
    if (this.ending.signal.aborted) fresh.forEach((track) => track.stop());
    // The other kind as it is by now: it may have been switched on or off while the browser asked.
    else this.use(new MediaStream([...this.without(kind).getTracks(), ...fresh]));
    return problems;
  }

  /** A device that goes away by itself (unplugged) is said, and its button tells the truth; the others are told, too, of one
   *  that the system takes for a while. */
  watch() {
    this.stopEnded?.();
    this.watching?.abort();
    const { signal } = (this.watching = new AbortController());
    for (const track of this.stream?.getTracks() ?? []) {
      for (const type of ["mute", "unmute"]) track.addEventListener(type, () => this.call?.announce(), { signal });
    }
    this.stopEnded = this.devices.onTrackEnded?.(this.stream, (kind) => {
      toast(kind === "camera" ? this.strings.camera_gone : this.strings.microphone_gone, { tone: "attention" });
      this.use(this.without(kind));
    });
  }

  guidance({ kind, code }) {
    return this.strings[`${kind}_${code}`] ?? this.strings[`${kind}_unknown`];
  }

  guide(problem) {
    const action = { label: this.strings.try_again, run: () => this.open(problem.kind) };
    toast(this.guidance(problem), { tone: "attention", lastsMs: CLOSED_BY_ITSELF_MS, action });
  }

  // -- Devices ----------------------------------------------------------------------------------

  async pickDevices() {
    this.problem("");
    await this.fillPickers();
    await this.dialog("[data-devices]");
  }

  async fillPickers() {
    const listed = await this.devices.listDevices();
    for (const field of this.root.querySelectorAll("[data-pick]")) {
      const kind = field.dataset.pick;
      fillPicker(field, listed[LISTED[kind]] ?? [], this.currentDevice(kind), this.strings);
    }
    const canChoose = "setSinkId" in HTMLMediaElement.prototype && listed.speakers?.length > 0;
    this.root.querySelector("[data-speakers]").hidden = !canChoose || !this.options.onSpeaker;
  }

  currentDevice(kind) {
    if (kind === "speaker") return this.chosen.speakerId;
    return trackOf(this.stream, kind)?.getSettings().deviceId ?? this.chosen[REMEMBER_AS[kind]];
  }

  async choose(kind, deviceId) {
    if (kind === "speaker") {
      this.chosen.speakerId = deviceId;
      return this.options.onSpeaker?.(deviceId);
    }
    this.chosen[REMEMBER_AS[kind]] = deviceId;
    if (this.busy.has(kind)) return undefined; // it follows on the one before
    const problems = await this.switchToChosen(kind);
    if (!problems.length) this.devices.rememberDevices?.({ [REMEMBER_AS[kind]]: this.chosen[REMEMBER_AS[kind]] });
    this.problem(problems.map((problem) => this.guidance(problem)).join(" "));
    return this.fillPickers(); // where the device could not be had, the old one is shown again
  }

  problem(text) {
    this.root.querySelector("[data-device-problem]").textContent = text;
  }

  // -- Screen -----------------------------------------------------------------------------------

  async toggleScreen() {
    if (this.screen) return this.stopScreen();
    if (this.busy.has("screen")) return;
    this.busy.add("screen");
    try {
      const shared = await navigator.mediaDevices.getDisplayMedia({ video: { frameRate: { max: 15 } }, audio: false });
      if (this.ending.signal.aborted) return shared.getTracks().forEach((track) => track.stop());
      // The browser's own "stop sharing" ends the track.
      shared.getVideoTracks()[0].addEventListener("ended", () => this.screen === shared && this.stopScreen());
      this.setScreen(shared);
    } catch (error) {
      // Closing the browser's choice is an answer, no problem.
      if (error.name !== "NotAllowedError") toast(this.strings.share_failed, { tone: "attention" });
    } finally {
      this.busy.delete("screen");
    }
  }

  stopScreen() {
    this.screen.getTracks().forEach((track) => track.stop());
    this.setScreen(null);
  }

  setScreen(stream) {
    this.screen = stream;
    this.call?.setScreen(stream);
    this.dispatchEvent(new CustomEvent("screen", { detail: stream }));
    this.changed();
  }

  // -- Recording --------------------------------------------------------------------------------

  showRecording(status) {
    if (!status) return;
    const element = this.root.querySelector("[data-recording]");
    element.dataset.state = status.active ? "on" : "off";
    const { recording_on, recording_not, recording_none } = this.strings;
    const words = status.active ? recording_on : status.wanted ? recording_not : recording_none;
    element.querySelector("[data-recording-words]").textContent = words;
  }

  /** Ends it all: devices off, keys free. */
  stop() {
    this.ending.abort();
    this.stopWatching?.();
    this.stopEnded?.();
    this.watching?.abort();
    for (const track of [...(this.stream?.getTracks() ?? []), ...(this.screen?.getTracks() ?? [])]) track.stop();
  }
}

/**
 * Puts devices into a menu. A device without a name (none was opened yet) gets a number.
 * @param {HTMLSelectElement} field
 * @param {MediaDeviceInfo[]} devices
 * @param {string|undefined} current
 * @param {Record<string, string>} strings
 */
export function fillPicker(field, devices, current, strings) {
  const name = (device, index) => device.label || fill(strings.device_number, { number: index + 1 });
  field.replaceChildren(...devices.map((device, index) => new Option(name(device, index), device.deviceId)));
  if (!devices.length) field.append(new Option(strings.device_none, ""));
  field.disabled = devices.length === 0;
  if (devices.some((device) => device.deviceId === current)) field.value = current;
}

/**
 * Wires the bar of `_controls.html`.
 * @param {object} options
 * @param {HTMLElement} options.root the `[data-controls]` element
 * @param {import("./call.js").Call|null} options.call gets each new stream (`setStream`, `setScreen`)
 * @param {import("./signalling.js").Signalling} options.signalling
 * @param {typeof import("./devices.js")} options.devices the module: `import * as devices from "./devices.js"`
 * @param {Record<string, string>} options.strings `rooms.interviewer_page.shared_strings()`
 * @param {(stream: MediaStream) => void} [options.onStream] the local stream, each time it changed
 * @param {MediaStream|null} [options.stream] what is open already; the caller has given it to the call
 * @param {{audioDeviceId?: string, videoDeviceId?: string}} [options.chosen]
 * @param {() => void} [options.onLeave]
 * @param {() => void} [options.onEnd]
 * @param {() => void} [options.onPictureInPicture] without it the menu does not offer it
 * @param {(list: HTMLElement) => void} [options.onDetails] fills the dialog of the connections
 * @param {(deviceId: string) => void} [options.onSpeaker] without it no loudspeaker can be chosen
 * @returns {Controls}
 */
export function setUpControls(options) {
  return new Controls(options);
}
