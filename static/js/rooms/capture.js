// Sends what the candidate agreed to: one small picture a second and the sound, to the analysis socket alone.
// See docs/protocol.md. Without consent nothing of the camera or the microphone is even read.

import { FrameSource } from "./frames.js";
import { PcmSource } from "./pcm.js";

const JPEG = 1;
const PCM = 2;
const HEADER_BYTES = 9;
const USUAL_INTERVAL_MS = 1000;
// What may wait in the socket before frames are left out, and before sound is: a slow uplink gives the words up last.
// Two and five seconds of sound: the server looks at nothing that comes later (rooms/live/lateness.py).
const FRAMES_WAIT_BYTES = 64 * 1024;
const SOUND_WAITS_BYTES = 160 * 1024;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 8000;
const SOUND_AGAIN_MS = 3000;
// Assumption: a line over which nothing at all goes out for so long is dead although nobody said so.
const DEAD_AFTER_MS = 10000;
const GONE = 1006;
// Close codes after which the same address will not do: not known, not admitted, no such room, put out, ended.
const FINAL_CODES = new Set([4401, 4403, 4404, 4409, 4410]);

/** One binary message: kind, milliseconds since the socket opened (64 bits, big endian), payload. */
export function packed(kind, ms, payload) {
  const message = new Uint8Array(HEADER_BYTES + payload.byteLength);
  const head = new DataView(message.buffer);
  head.setUint8(0, kind);
  head.setBigUint64(1, BigInt(Math.max(0, Math.round(ms))));
  message.set(new Uint8Array(payload), HEADER_BYTES);
  return message.buffer;
}

class Capture extends EventTarget {
  constructor({ url, signalling, consent }) {
    super();
    this.url = new URL(url, document.baseURI).href.replace(/^http/, "ws");
    this.signalling = signalling;
    this.consent = { face: Boolean(consent?.face), voice: Boolean(consent?.voice) };
    this.allowed = { face: false, voice: false };
    this.status = { face: false, voice: false };
    this.counts = { frames: 0, framesSkipped: 0, chunks: 0, chunksSkipped: 0 };
    this.intervalMs = USUAL_INTERVAL_MS;
    this.pauseMs = FIRST_PAUSE_MS;
    this.frames = new FrameSource();
    this.sound = new PcmSource((chunk) => this.sendSound(chunk), () => this.refresh());
    this.stream = null;
    this.stopped = false;
    this.listening = new AbortController();
    this.listen();
    this.refresh();
  }

  listen() {
    const { signal } = this.listening;
    document.addEventListener("visibilitychange", () => this.refresh(), { signal });
    window.addEventListener("online", () => this.connectSoon(0), { signal });
    this.signalling.addEventListener("open", () => this.tell(), { signal });
    this.signalling.addEventListener("lost", ({ detail }) => detail === GONE && this.doubt(), { signal });
    this.signalling.on("admitted", () => !this.stopped && this.connectSoon(0));
  }

  /** The candidate's local stream, or null. Tracks that are the same go on without a gap. */
  setStream(stream) {
    this.watched?.abort();
    this.stream = stream;
    this.watched = new AbortController();
    const { signal } = this.watched;
    for (const name of ["addtrack", "removetrack"]) {
      stream?.addEventListener(name, () => this.setStream(stream), { signal });
    }
    for (const track of stream?.getTracks() ?? []) {
      for (const name of ["ended", "mute", "unmute"]) track.addEventListener(name, () => this.refresh(), { signal });
    }
    this.refresh();
  }

  /** The candidate's answers now; what is taken back stops at once, without waiting for the server. */
  setConsent({ face, voice }) {
    this.consent = { face: Boolean(face), voice: Boolean(voice) };
    this.refresh();
  }

  /** Ends for good and frees socket, camera reader and sound. The stream itself belongs to the call. */
  stop() {
    if (this.stopped) return;
    this.stopped = true;
    this.listening.abort();
    this.watched?.abort();
    clearTimeout(this.connectTimer);
    clearTimeout(this.frameTimer);
    clearTimeout(this.soundTimer);
    clearInterval(this.checkTimer);
    this.frames.close();
    this.sound.close();
    this.socket?.close(1000);
    this.socket = null;
    this.report({ face: false, voice: false });
  }

  // -- What is read, and what is said about it ----------------------------------------------------

  track(kind) {
    const tracks = kind === "face" ? this.stream?.getVideoTracks() : this.stream?.getAudioTracks();
    return tracks?.find((one) => one.readyState === "live") ?? null;
  }

  wants(kind) {
    return !this.stopped && this.consent[kind] && this.allowed[kind] && this.socket?.readyState === WebSocket.OPEN;
  }

  /** Reads exactly the devices that are wanted now, and tells when that changed. */
  refresh() {
    if (this.stopped) return;
    const consented = this.consent.face || this.consent.voice;
    if (consented && !this.socket) this.connectSoon(0);
    if (!consented && this.socket) this.socket.close(1000);
    this.frames.setTrack(this.wants("face") ? this.track("face") : null);
    this.sound.setTrack(this.wants("voice") ? this.track("voice") : null).catch(() => this.refreshSoon());
    this.beat(this.wants("face"));
    this.report({ face: this.sendsFace, voice: this.sendsVoice });
  }

  /** The sound's script was not to be had, on a line that was away perhaps. */
  refreshSoon() {
    clearTimeout(this.soundTimer);
    this.soundTimer = setTimeout(() => this.refresh(), SOUND_AGAIN_MS);
  }

  get sendsFace() {
    return this.wants("face") && this.frames.live && !document.hidden;
  }

  get sendsVoice() {
    const track = this.sound.track;
    return this.wants("voice") && this.sound.running && track?.readyState === "live" && track.enabled;
  }

  report(status) {
    if (status.face === this.status.face && status.voice === this.status.voice) return;
    this.status = status;
    this.tell();
    this.dispatchEvent(new CustomEvent("status", { detail: { ...status } }));
  }

  /** While the socket is away nothing is kept: what is true then is told when it is back. */
  tell() {
    if (this.signalling.ready === false) return;
    this.signalling.send({ type: "capture-status", ...this.status });
  }

  // -- The socket ----------------------------------------------------------------------------------

  connectSoon(pauseMs) {
    if (this.stopped || this.socket || !(this.consent.face || this.consent.voice)) return;
    clearTimeout(this.connectTimer);
    this.connectTimer = setTimeout(() => this.connect(), pauseMs);
  }

  connect() {
    if (this.stopped || this.socket) return;
    const socket = new WebSocket(this.url);
    this.socket = socket;
    this.line = { given: 0, gone: 0, at: performance.now() };
    socket.binaryType = "arraybuffer";
    socket.onopen = () => (this.openedAt = performance.now());
    socket.onmessage = ({ data }) => socket === this.socket && this.obey(JSON.parse(data));
    socket.onclose = ({ code }) => socket === this.socket && this.lost(code);
  }

  /** The other socket is gone without a word, as where the network is another one: this one goes the same way. */
  doubt() {
    const { socket } = this;
    if (!socket) return;
    this.lost(GONE);
    socket.close();
  }

  lost(code) {
    this.socket = null;
    this.allowed = { face: false, voice: false };
    this.refreshWithoutConnecting();
    if (FINAL_CODES.has(code)) return; // `admitted` over signalling tries again
    this.connectSoon(this.pauseMs * (0.75 + Math.random() / 2));
    this.pauseMs = Math.min(this.pauseMs * 2, LONGEST_PAUSE_MS);
  }

  refreshWithoutConnecting() {
    this.frames.setTrack(null);
    this.sound.setTrack(null);
    this.beat(false);
    this.report({ face: false, voice: false });
  }

  obey(message) {
    if (message.type === "ready" || message.type === "capture") {
      this.pauseMs = FIRST_PAUSE_MS;
      this.allowed = { face: Boolean(message.face), voice: Boolean(message.voice) };
    }
    if (message.frame_interval_ms > 0) this.intervalMs = message.frame_interval_ms;
    if (message.type === "end") this.stop();
    else if (message.type === "error") this.dispatchEvent(new CustomEvent("error", { detail: message }));
    else this.refresh();
  }

  // -- Pictures ------------------------------------------------------------------------------------

  /** Runs the clock of the pictures, or stops it. A camera or microphone that was switched off is seen here too. */
  beat(on) {
    if (on && !this.frameTimer) this.frameTimer = setTimeout(() => this.next(), 0);
    if (!on) clearTimeout(this.frameTimer);
    if (!on) this.frameTimer = null;
    // `enabled` of a track changes without an event.
    const checks = Boolean(this.stream) && this.socket;
    if (checks) this.checkTimer ??= setInterval(() => this.check(), 250);
    else this.checkTimer = clearInterval(this.checkTimer) ?? undefined;
  }

  check() {
    this.report({ face: this.sendsFace, voice: this.sendsVoice });
    this.watchLine();
  }

  /** The browser would notice only after minutes that a line is dead: what waits in the socket does not leave it. */
  watchLine() {
    const { socket, line } = this;
    if (!socket) return;
    const gone = line.given - socket.bufferedAmount;
    const now = performance.now();
    if (socket.bufferedAmount === 0 || gone !== line.gone) Object.assign(line, { gone, at: now });
    else if (now - line.at > DEAD_AFTER_MS) this.doubt();
  }

  give(message) {
    this.socket.send(message);
    this.line.given += message.byteLength;
  }

  async next() {
    const began = performance.now();
    await this.sendFrame().catch(() => (this.counts.framesSkipped += 1));
    if (!this.frameTimer) return;
    this.frameTimer = setTimeout(() => this.next(), Math.max(20, this.intervalMs - (performance.now() - began)));
  }

  async sendFrame() {
    if (!this.sendsFace) return;
    const socket = this.socket;
    if (socket.bufferedAmount > FRAMES_WAIT_BYTES) {
      this.counts.framesSkipped += 1;
      return;
    }
    const ms = performance.now() - this.openedAt;
    const blob = await this.frames.grab();
    const jpeg = await blob?.arrayBuffer();
    // Consent may have been taken back, or the socket lost, while the picture was being made.
    if (!jpeg || !this.sendsFace || socket !== this.socket) return;
    this.give(packed(JPEG, ms, jpeg));
    this.counts.frames += 1;
  }

  // -- Sound ---------------------------------------------------------------------------------------

  sendSound({ pcm, atMs }) {
    this.report({ face: this.sendsFace, voice: this.sendsVoice });
    if (!this.sendsVoice || pcm.byteLength === 0) return;
    if (this.socket.bufferedAmount > SOUND_WAITS_BYTES) {
      this.counts.chunksSkipped += 1;
      return;
    }
    this.give(packed(PCM, atMs - this.openedAt, pcm));
    this.counts.chunks += 1;
  }
}

/**
 * Starts to send the candidate's picture and sound for analysis, as far as they agreed. Call it once admitted.
 *
 * @param {{url: string, signalling: EventTarget, consent: {face: boolean, voice: boolean}}} options `url`: the
 *   analysis socket's address
 * @returns {EventTarget} with `setStream`, `setConsent`, `stop`, `status` and `counts`; its event `status` has the
 *   detail `{face, voice}`: what is being sent now
 */
export const startCapture = (options) => new Capture(options);
