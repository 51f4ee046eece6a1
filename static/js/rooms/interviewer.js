// The interviewer's call page: device check, the call, who waits, the end. The panel beside it is panel.js.

import { Call } from "./call.js";
import { setUpChat } from "./chat.js";
import { fillPicker, setUpControls } from "./controls.js";
import * as devices from "./devices.js";
import { askToConfirm } from "./dialogs.js";
import { startPanel } from "./panel.js";
import { Signalling } from "./signalling.js";
import { Tiles } from "./tiles.js";
import { toast } from "./toasts.js";
import { setUpWaiting } from "./waiting.js";
import { fill, readJson } from "./words.js";

const ENDED_BY_WITHIN_MS = 5000;
const NOTICE_MS = 2500;
const LEAVE_SENT_MS = 300;
const SOON_KNOWN_MS = 4000;

const data = readJson("call-data");
const strings = readJson("strings");
const part = (name) => document.querySelector(`[data-${name}]`);
const go = (address) => location.assign(address);

// -- Before the call ----------------------------------------------------------------------------

/** The card with the own picture. `join` is called once with what is open by then. */
class Check {
  constructor(join) {
    this.root = part("check");
    this.stream = null;
    this.chosen = devices.rememberedDevices();
    this.root.querySelector("[data-join]").addEventListener("click", () => this.joinOnceOpen(join));
    this.root.querySelector("[data-join-without]").addEventListener("click", () => {
      devices.stopStream(this.stream);
      this.leave(new MediaStream(), join);
    });
    this.root.querySelector("[data-check-again]").addEventListener("click", () => this.open());
    for (const field of this.root.querySelectorAll("[data-check-pick]")) {
      field.addEventListener("change", () => (this.opening = this.choose(field)));
    }
    this.stopWatching = devices.onDeviceChange(() => this.list());
  }

  open() {
    this.opening = this.ask();
    return this.opening;
  }

  async ask() {
    const opened = await devices.openDevices({ ...this.chosen, release: this.stream });
    if (this.left) return devices.stopStream(opened.stream);
    return this.show(opened);
  }

  /** Who presses at once is asked for the devices first: they meant to be seen. */
  async joinOnceOpen(join) {
    this.root.querySelector("[data-join]").disabled = true;
    await this.opening;
    if (!this.left) this.leave(this.stream, join);
  }

  async choose(field) {
    const kind = field.dataset.checkPick;
    const key = kind === "camera" ? "videoDeviceId" : "audioDeviceId";
    this.chosen[key] = field.value;
    const changed = await devices.switchDevice(this.stream, kind, field.value);
    if (this.left) return devices.stopStream(changed.stream); // joined without devices meanwhile
    if (!changed.problems.length) devices.rememberDevices({ [key]: field.value });
    return this.show(changed);
  }

  show({ stream, problems }) {
    this.stream = stream;
    const video = this.root.querySelector("video");
    video.srcObject = stream;
    video.classList.toggle("is-off", !devices.has(stream, "camera"));
    const guidance = problems.map(({ kind, code }) => strings[`${kind}_${code}`] ?? strings[`${kind}_unknown`]);
    this.root.querySelector("[data-check-problem]").textContent = guidance.join(" ");
    this.root.querySelector("[data-check-trouble]").hidden = problems.length === 0;
    this.measure();
    this.list(); // not waited for: Firefox names no devices to a window that is not in front
  }

  measure() {
    this.stopMeter?.();
    const bar = this.root.querySelector("[data-level]");
    bar.style.transform = "scaleX(0)";
    this.stopMeter = devices.levelMeter(this.stream, (level) => (bar.style.transform = `scaleX(${level})`));
  }

  async list() {
    const listed = await devices.listDevices();
    for (const field of this.root.querySelectorAll("[data-check-pick]")) {
      const kind = field.dataset.checkPick;
      const track = kind === "camera" ? this.stream?.getVideoTracks()[0] : this.stream?.getAudioTracks()[0];
      fillPicker(field, listed[kind === "camera" ? "cameras" : "microphones"], track?.getSettings().deviceId, strings);
    }
  }

  leave(stream, join) {
    this.left = true;
    this.stopMeter?.();
    this.stopWatching();
    this.root.querySelector("video").srcObject = null;
    this.root.hidden = true;
    join(stream, this.chosen);
  }
}

// -- The call -----------------------------------------------------------------------------------

class Interview {
  constructor(stream, chosen) {
    this.stream = stream;
    this.signalling = new Signalling(data.socket);
    this.call = null;
    this.ending = false;
    // First of all listeners: the others find the call begun.
    this.signalling.addEventListener("open", (event) => this.onOpen(event.detail));
    this.signalling.addEventListener("lost", () => (part("lost").hidden = false));
    this.signalling.addEventListener("closed", (event) => this.onClosed(event.detail));
    this.signalling.on("end", () => this.onEnd());
    this.tiles = new Tiles({ root: part("stage"), strings, largeRole: "candidate", name: data.name });
    this.controls = this.setUpBar(chosen);
    const shared = { signalling: this.signalling, strings };
    setUpWaiting({ root: part("waiting"), ...shared });
    setUpChat({ root: part("chat"), ...shared });
    startPanel({ root: part("panel"), signalling: this.signalling, strings: readJson("panel-strings"), settings: data });
    this.tiles.addEventListener("details", () => part("control=details").click());
    this.tiles.setSelf(stream);
    this.tiles.setSelfState(this.controls.state);
  }

  setUpBar(chosen) {
    const controls = setUpControls({
      root: part("controls"),
      call: null,
      signalling: this.signalling,
      devices,
      strings,
      stream: this.stream,
      chosen,
      onStream: (stream) => {
        this.stream = stream;
        this.tiles.setSelf(stream);
      },
      onEnd: () => this.askToEnd(),
      onLeave: () => this.askToLeave(),
      onPictureInPicture: () => this.tiles.togglePictureInPicture(),
      onDetails: (list) => this.tiles.fillDetails(list),
      onSpeaker: (deviceId) => this.tiles.setSpeaker(deviceId),
    });
    controls.addEventListener("state", (event) => this.tiles.setSelfState(event.detail));
    return controls;
  }

  onOpen(welcome) {
    part("lost").hidden = true;
    if (this.call) return; // it joins again by itself
    this.call = new Call({
      signalling: this.signalling,
      me: welcome.you,
      iceServers: welcome.ice_servers,
      iceTransportPolicy: new URLSearchParams(location.search).get("ice") === "relay" ? "relay" : "all",
    });
    this.controls.call = this.call;
    this.tiles.follow(this.call);
    this.call.addEventListener("peer-gone", ({ detail }) => toast(fill(strings.left, { name: detail.name })));
    this.call.addEventListener("audio-only", ({ detail }) => toast(detail.active ? strings.line_slow : strings.line_fine));
    this.call.addEventListener("full", () => this.over(strings.full, strings.full_do, data.urls.room));
    this.call.addEventListener("joined", ({ detail }) => this.welcome(detail.name));
    this.call.setStream(this.stream);
    if (this.controls.screen) this.call.setScreen(this.controls.screen); // shared while the server was away
    this.call.start();
  }

  welcome(name) {
    toast(fill(strings.joined, { name }), { lastsMs: SOON_KNOWN_MS });
  }

  // -- Leaving and ending -----------------------------------------------------------------------

  async askToEnd() {
    const title = fill(strings.end_title, { name: data.candidate });
    const { end_text: text, end_confirm: confirm, cancel } = strings;
    if (!(await askToConfirm({ title, text, confirm, cancel, danger: true }))) return;
    this.ending = true;
    this.signalling.send({ type: "end" });
    this.timer = setTimeout(() => this.endByRequest(), ENDED_BY_WITHIN_MS);
  }

  /** Where the socket is away, the page asks the server in the plain way. */
  async endByRequest() {
    const token = document.querySelector("[name=csrfmiddlewaretoken]").value;
    try {
      const answer = await fetch(data.urls.end, { method: "POST", headers: { "X-CSRFToken": token } });
      if (answer.ok) return this.onEnd();
    } catch {
      // Away as well; said below.
    }
    this.ending = false;
    return toast(strings.end_failed, { tone: "problem" });
  }

  onEnd() {
    clearTimeout(this.timer);
    this.close();
    if (this.ending) return go(data.urls.summary);
    toast(strings.ended_by_other);
    return setTimeout(() => go(data.urls.summary), NOTICE_MS);
  }

  async askToLeave() {
    const title = fill(strings.leave_title, { name: data.candidate });
    const { leave_text: text, leave_confirm: confirm, cancel } = strings;
    if (!(await askToConfirm({ title, text, confirm, cancel }))) return;
    this.signalling.send({ type: "leave" });
    setTimeout(() => {
      this.close();
      go(data.urls.room);
    }, LEAVE_SENT_MS);
  }

  close() {
    this.controls.stop();
    this.call?.close();
    this.signalling.close();
  }

  onClosed(code) {
    const addresses = { 4401: data.urls.login, 4403: data.urls.rooms, 4404: data.urls.rooms, 4410: data.urls.summary };
    const say = strings[`closed_${code}`] ? `closed_${code}` : "closed";
    this.over(strings[say], strings[`${say}_do`], addresses[code] ?? location.href);
  }

  /** The page that stays when the call cannot go on: what happened, and what to do. */
  over(text, label, address) {
    this.close();
    document.querySelectorAll("dialog[open]").forEach((dialog) => dialog.close());
    part("call").hidden = true;
    const root = part("over");
    root.querySelector("[data-over-text]").textContent = text;
    const link = root.querySelector("a");
    link.textContent = label;
    link.href = address;
    root.hidden = false;
    root.querySelector("h1").focus();
  }

  start() {
    part("call").hidden = false;
    document.getElementById("call-main").focus();
    this.signalling.connect();
  }
}

// -- The link -----------------------------------------------------------------------------------

async function copyLink(field) {
  try {
    await navigator.clipboard.writeText(field.value); // only on secure pages
    toast(strings.copied, { tone: "success" });
  } catch {
    field.select();
    toast(strings.copy_failed);
  }
}

function wireLink() {
  const field = part("link");
  part("copy")?.addEventListener("click", () => copyLink(field));
}

wireLink();
const check = new Check((stream, chosen) => new Interview(stream, chosen).start());
check.open();
