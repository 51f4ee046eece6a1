// The candidate's page: lobby, the wait, the call, its end. What the analysis finds never comes here.

import { Call } from "./call.js";
import { startCapture } from "./capture.js";
import { forget } from "./chunk-store.js";
import { setUpChat } from "./chat.js";
import { Choices } from "./choices.js";
import { setUpControls } from "./controls.js";
import * as devices from "./devices.js";
import { askToConfirm } from "./dialogs.js";
import { Lobby } from "./lobby.js";
import { startRecorder } from "./recorder.js";
import { Signalling } from "./signalling.js";
import { Tiles } from "./tiles.js";
import { toast } from "./toasts.js";
import { fill, readJson } from "./words.js";

const LEAVE_SENT_MS = 300;
const NOTHING_SHOWN_MS = 1500;
const KEPT_SWITCHES = "call-switches";
const TROUBLES = {
  failed: "recording_failed",
  behind: "recording_behind",
  full: "recording_full",
  toolong: "recording_too_long",
};

const data = readJson("call-data");
const strings = readJson("strings");
const part = (name) => document.querySelector(`[data-${name}]`);
const query = new URLSearchParams(location.search);
// For tests, and for people whose network lets nothing through but the relay.
const iceTransportPolicy = query.get("relay") === "1" || query.get("ice") === "relay" ? "relay" : "all";

// -- What was switched off before a reload stays off ----------------------------------------------

function keepSwitches({ microphone, camera }) {
  try {
    sessionStorage.setItem(KEPT_SWITCHES, JSON.stringify({ microphone, camera }));
  } catch {
    // A browser that keeps nothing: after a reload both are on, as at first.
  }
}

function keptSwitches() {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT_SWITCHES)) ?? {};
  } catch {
    return {};
  }
}

async function reopened() {
  const { microphone = true, camera = true } = keptSwitches();
  const { stream, problems } = await devices.openDevices({ ...devices.rememberedDevices(), video: camera });
  for (const track of stream.getAudioTracks()) track.enabled = microphone;
  return { stream, problems };
}

// -- The call -------------------------------------------------------------------------------------

class InCall {
  constructor({ signalling, welcome, stream, onLeave }) {
    this.signalling = signalling;
    this.stream = stream;
    this.onLeave = onLeave;
    part("call").hidden = false;
    this.choices = this.setUpChoices(welcome.consent);
    this.call = new Call({
      signalling,
      me: welcome.you,
      iceServers: welcome.ice_servers,
      iceTransportPolicy,
      role: "candidate",
    });
    this.tiles = new Tiles({ root: part("stage"), strings, largeRole: "interviewer", call: this.call });
    this.controls = this.setUpBar();
    this.chat = setUpChat({ root: part("chat"), signalling, strings, me: welcome.you });
    this.follow();
    this.startMedia(welcome);
    this.show(stream);
    this.call.setStream(stream);
    this.call.start();
    document.getElementById("call-main").focus();
  }

  setUpBar() {
    const controls = setUpControls({
      root: part("controls"),
      call: this.call,
      signalling: this.signalling,
      devices,
      strings,
      stream: this.stream,
      onStream: (stream) => this.show(stream),
      onLeave: () => this.askToLeave(),
      onPictureInPicture: () => this.tiles.togglePictureInPicture(),
      onDetails: (list) => this.tiles.fillDetails(list),
      onSpeaker: (deviceId) => this.tiles.setSpeaker(deviceId),
    });
    controls.addEventListener("state", ({ detail }) => this.switched(detail));
    this.tiles.addEventListener("details", () => part("control=details").click());
    return controls;
  }

  setUpChoices(consent) {
    const { signalling } = this;
    const places = { box: part("analysis"), dialog: part("choices"), said: part("said") };
    const choices = new Choices({ ...places, signalling, strings, consent });
    choices.addEventListener("change", ({ detail }) => {
      this.capture?.setConsent(detail);
      this.recorder?.setConsent(detail);
    });
    return choices;
  }

  startMedia(welcome) {
    const { signalling } = this;
    const consent = this.choices.now;
    this.capture = startCapture({ url: data.analysis, signalling, consent, strings });
    this.capture.addEventListener("status", ({ detail }) => this.choices.setSends(detail));
    const csrfToken = document.querySelector("[name=csrfmiddlewaretoken]").value;
    const { code, keeping } = data;
    const { recording: status, clock } = welcome;
    this.recorder = startRecorder({ code, signalling, csrfToken, consent, status, keeping, clock });
    this.recorder.addEventListener("rest", () => toast(strings.recording_rest));
    const told = new Set();
    this.recorder.addEventListener("state", ({ detail: { state } }) => {
      if (!TROUBLES[state] || told.has(state)) return; // a line that is slow and fast by turns is said once
      told.add(state);
      toast(strings[TROUBLES[state]], { tone: "attention" });
    });
  }

  follow() {
    this.call.addEventListener("peer-gone", ({ detail }) => toast(fill(strings.left, { name: detail.name })));
    this.call.addEventListener("audio-only", ({ detail }) => this.audioOnly(detail.active));
    this.call.addEventListener("joined", ({ detail }) => toast(fill(strings.joined, { name: detail.name })));
  }

  /** The local stream, at first and each time it changed. */
  show(stream) {
    this.stream = stream;
    this.tiles.setSelf(stream);
    this.tiles.setSelfState(this.controls.state);
    this.capture.setStream(stream);
    this.recorder.setStream(stream);
  }

  /** Devices that the browser gave only now: those of a kind that is not open yet are used. */
  late({ stream, problems }) {
    const open = this.stream.getTracks().filter((track) => track.readyState === "live");
    const isNew = (track) => !open.some(({ kind }) => kind === track.kind);
    const fresh = stream.getTracks().filter(isNew);
    stream.getTracks().forEach((track) => isNew(track) || track.stop());
    if (fresh.length > 0) this.controls.use(new MediaStream([...open, ...fresh]));
    problems.forEach((problem) => this.controls.guide(problem));
  }

  switched(state) {
    this.tiles.setSelfState(state);
    keepSwitches(state);
  }

  audioOnly(active) {
    part("slow").hidden = !active;
    if (!active) toast(strings.line_fine);
  }

  async askToLeave() {
    const { leave_title: title, leave_text: text, leave_confirm: confirm, cancel } = strings;
    if (await askToConfirm({ title, text, confirm, cancel })) this.onLeave();
  }

  /** Camera, microphone and analysis end at once; what is left of the recording is sent, for ten seconds at most. */
  async finish(onProgress) {
    this.capture.stop();
    const recorded = this.recorder.stop(onProgress);
    this.call.close();
    this.controls.stop();
    await recorded;
  }

  /** Without sending anything more: this browser lost its place. */
  close() {
    this.capture.stop();
    this.recorder.stop();
    this.call.close();
    this.controls.stop();
  }
}

// -- The page -------------------------------------------------------------------------------------

class Page {
  constructor() {
    this.signalling = new Signalling(data.socket);
    this.lobby = new Lobby({ root: part("lobby"), strings });
    this.inCall = null;
    this.over = false;
    this.listen();
  }

  listen() {
    const { signalling, lobby } = this;
    signalling.addEventListener("open", ({ detail }) => this.onOpen(detail));
    signalling.addEventListener("lost", () => this.onLost());
    signalling.addEventListener("closed", ({ detail }) => this.onClosed(detail));
    signalling.on("admitted", (message) => this.onAdmitted(message));
    signalling.on("waiting", () => this.inCall ?? this.lobby.wait(strings.waiting_told));
    signalling.on("refused", () => this.goOn());
    signalling.on("end", () => this.onEnd());
    lobby.addEventListener("ready", () => this.knock());
    lobby.addEventListener("back", () => this.stepBack());
    lobby.addEventListener("late", ({ detail }) => this.late(detail));
  }

  async start() {
    if (!data.consent.recording) forget(data.code); // of an earlier time, when they had agreed to it
    if (!data.admitted) {
      document.getElementById("lobby").focus();
      return this.lobby.open();
    }
    setTimeout(() => this.showThatItConnects(), NOTHING_SHOWN_MS);
    this.reopening = reopened();
    await devices.openedSoon(this.reopening);
    return this.signalling.connect();
  }

  showThatItConnects() {
    if (this.inCall || this.over) return;
    this.lobby.root.hidden = false;
    this.lobby.wait(strings.waiting_connecting);
  }

  // -- The wait -----------------------------------------------------------------------------------

  knock() {
    this.lobby.wait(strings.waiting_connecting);
    this.title(strings.page_waiting);
    this.signalling.connect();
  }

  /** Back to the devices: nobody waits then. A socket that was closed does not come back, hence a new page. */
  stepBack() {
    this.signalling.close();
    location.reload();
  }

  onOpen(welcome) {
    this.welcome = { ...welcome, clock: { t: welcome.t, at: performance.now() } };
    part("lost").hidden = true;
    if (welcome.state === "admitted") this.enter();
    else if (this.inCall) location.reload(); // left in another window: this one waits again
    else this.lobby.wait(welcome.state === "waiting" ? strings.waiting_told : strings.waiting_full);
  }

  onLost() {
    if (this.inCall) part("lost").hidden = false;
    else this.lobby.wait(strings.waiting_lost);
  }

  /** Only who is let in gets what the relay servers ask for. */
  onAdmitted({ t, ice_servers: iceServers = [] }) {
    Object.assign(this.welcome, { ice_servers: iceServers, clock: { t, at: performance.now() } });
    this.enter();
  }

  async enter() {
    if (this.inCall || this.entering || this.over) return;
    this.entering = true;
    const { stream, problems } = await this.opened();
    this.lobby.close();
    if (this.over) return;
    const { signalling, welcome } = this;
    this.inCall = new InCall({ signalling, welcome, stream, onLeave: () => this.leave() });
    this.inCall.call.addEventListener("full", () => this.stay("full", location.href));
    problems.forEach((problem) => this.inCall.controls.guide(problem));
    this.title(strings.page_call);
  }

  /** What is open at the door; without an answer to the browser's question they are in before their devices. */
  async opened() {
    const none = { stream: new MediaStream(), problems: [] };
    if (!this.reopening) return { ...none, stream: this.lobby.stream };
    const opened = await Promise.race([this.reopening, null]); // answered by now, perhaps while the socket was opened
    if (!opened) this.reopening.then((late) => this.late(late));
    return opened ?? { ...none, problems: [{ kind: "camera", code: "asked" }] };
  }

  late(opened) {
    if (this.inCall && !this.over) this.inCall.late(opened);
    else devices.stopStream(opened.stream);
  }

  title(text) {
    document.title = `${text} · Wawancara`;
  }

  // -- The end ------------------------------------------------------------------------------------

  async leave() {
    await this.finish(strings.leaving);
    this.signalling.send({ type: "leave" });
    setTimeout(() => this.goOn(), LEAVE_SENT_MS);
  }

  async onEnd() {
    if (this.over) return;
    await this.finish(strings.ended);
    this.goOn();
  }

  /** Shows the end while the rest of the recording is sent. */
  async finish(text) {
    this.over = true;
    const place = this.showOver(text, null);
    const show = ({ sentBytes, totalBytes }) => {
      if (totalBytes === 0) return;
      place.textContent = fill(strings.sending_rest, { percent: Math.round((100 * sentBytes) / totalBytes) });
    };
    await this.inCall?.finish(show);
  }

  /** To the page that says how it stands, as the records say. */
  goOn() {
    this.over = true;
    this.signalling.close();
    location.replace(data.left);
  }

  onClosed(code) {
    if (this.over) return;
    if (code === 4410) this.onEnd();
    else this.stay(code, location.href);
  }

  /** The call cannot go on in this window: what happened, and what can be done. */
  stay(code, address) {
    this.over = true;
    this.inCall?.close();
    devices.stopStream(this.lobby.stream);
    if (!this.inCall) this.reopening?.then(({ stream }) => devices.stopStream(stream)); // opened, and never used
    this.signalling.close();
    this.showOver(strings[`closed_${code}`], { address, label: strings[`closed_${code}_do`] ?? strings.closed_do });
  }

  showOver(text, link) {
    document.querySelectorAll("dialog[open]").forEach((dialog) => dialog.close());
    this.lobby.close();
    part("call").hidden = true;
    const root = part("over");
    const place = root.querySelector("[data-over-text]");
    place.textContent = text;
    const anchor = root.querySelector("a");
    anchor.hidden = !link;
    if (link) Object.assign(anchor, { href: link.address, textContent: link.label });
    root.hidden = false;
    root.querySelector("h1").focus();
    return place;
  }
}

new Page().start();
