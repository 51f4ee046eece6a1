// Records the candidate's own stream, where they agreed, in chunks that survive a lost connection, a reload and a crash.
// A new segment (a file of its own) begins with each start, each reload and each question mark.

import { RECORDING_FULL, Uploads } from "./upload.js";

const TIMESLICE_MS = 2000;
const KEY_FRAMES_MS = 2000;
const VIDEO_BITS_PER_S = 1_200_000;
const AUDIO_BITS_PER_S = 96_000;
const MOST_WAITING_BYTES = 64 * 1024 * 1024;
const BEHIND_BYTES = 2 * 1024 * 1024; // about 12 s of recording
const STOPPED_WITHIN_MS = 3000;
const AGAIN_MS = 5000; // after a recorder that ended at once, as where the encoder fails: the next would do the same
// What the server may answer when the recording is over in good order.
const ENDED = new Set([409, 410]);
const FLUSH_LIMIT_MS = 10000;
// VP8 first: every Chromium and Firefox encodes it in real time on any machine. Safari records MP4 alone.
const TYPES = {
  video: ["video/webm;codecs=vp8,opus", "video/webm;codecs=h264,opus", "video/webm", "video/mp4;codecs=avc1.42E01E,mp4a.40.2", "video/mp4"],
  audio: ["audio/webm;codecs=opus", "audio/webm", "audio/mp4;codecs=mp4a.40.2", "audio/mp4"],
};

/** The first type of container and codecs that this browser records, or "" to leave it the choice. */
export function recordingType(hasVideo) {
  return TYPES[hasVideo ? "video" : "audio"].find((type) => MediaRecorder.isTypeSupported(type)) ?? "";
}

/** One file in the making. */
class Segment {
  constructor(stream, uploads, begunS, onEnd) {
    this.key = crypto.randomUUID();
    this.begunS = begunS;
    this.uploads = uploads;
    this.chunks = 0;
    this.beganMs = performance.now();
    this.recorder = new MediaRecorder(stream, {
      mimeType: recordingType(stream.getVideoTracks().length > 0) || undefined,
      videoBitsPerSecond: VIDEO_BITS_PER_S,
      audioBitsPerSecond: AUDIO_BITS_PER_S,
      videoKeyFrameIntervalDuration: KEY_FRAMES_MS,
    });
    this.ended = new Promise((resolve) => (this.resolve = resolve));
    this.recorder.ondataavailable = ({ data }) => this.take(data);
    this.recorder.onstop = () => this.end(onEnd);
    this.recorder.onerror = () => this.recorder.state === "inactive" || this.recorder.stop();
    this.recorder.start(TIMESLICE_MS);
  }

  /** Whether it ended before it had a chunk to give. */
  get isBrief() {
    return performance.now() - this.beganMs < TIMESLICE_MS;
  }

  get contentType() {
    return this.recorder.mimeType.split(";")[0];
  }

  take(data) {
    if (data.size === 0 || this.dropped) return;
    this.uploads.add(this.key, this.chunks, data, this.begunS);
    this.chunks += 1;
  }

  end(onEnd) {
    if (!this.dropped) this.uploads.finish(this.key, this.chunks);
    onEnd(this);
    this.resolve();
  }

  stop() {
    if (this.recorder.state !== "inactive") this.recorder.stop();
    const late = new Promise((resolve) => setTimeout(resolve, STOPPED_WITHIN_MS));
    return Promise.race([this.ended, late]);
  }
}

class Recorder extends EventTarget {
  constructor({ code, signalling, csrfToken, consent, status, keeping, clock = null }) {
    super();
    this.clock = clock;
    this.signalling = signalling;
    this.consent = Boolean(consent?.recording);
    this.wanted = false;
    this.number = null;
    this.stream = null;
    this.segment = null;
    this.full = false;
    this.finishing = false;
    this.uploads = new Uploads({ code, csrfToken, keeping });
    this.listening = new AbortController();
    this.listen();
    if (this.consent) this.resume();
    else this.uploads.over(403); // nor is anything kept
    if (status) this.told(status);
  }

  /** What a page that was loaded anew, or died, had not sent yet, goes first. */
  async resume() {
    const bytes = await this.uploads.resume();
    if (bytes > 0) this.dispatchEvent(new CustomEvent("rest", { detail: { bytes } }));
  }

  listen() {
    const { signal } = this.listening;
    const { signalling, uploads } = this;
    signalling.addEventListener("open", ({ detail }) => this.opened(detail ?? {}), { signal });
    signalling.on("recording-status", (message) => this.told(message));
    uploads.addEventListener("change", () => this.balance());
    uploads.addEventListener("over", () => this.drop());
    window.addEventListener("online", () => uploads.hurry(), { signal });
    window.addEventListener("pagehide", () => this.leave(), { signal });
  }

  /** The socket is there, again perhaps: the server learns anew which segment runs. */
  opened(welcome) {
    this.uploads.lineChanged();
    if (welcome.t > 0) this.clock = { t: welcome.t, at: performance.now() };
    if (welcome.recording) this.told(welcome.recording);
    if (this.segment) this.tellStarted();
  }

  /** The candidate's answer now. What the server has stored is not looked at here: a withdrawal counts before that. */
  setConsent(consent) {
    this.consent = Boolean(consent.recording);
    if (this.consent) this.uploads.reopen();
    else this.uploads.over(403); // what has not been sent is not sent any more
    this.balance();
  }

  told({ wanted, segment }) {
    if (this.stopped) return;
    this.wanted = Boolean(wanted);
    const grown = segment != null && this.number != null && segment > this.number;
    if (segment != null) this.number = segment;
    if (grown && this.segment) this.cut();
    this.balance();
  }

  /** The local stream. Other tracks mean another file: a recorder cannot change its tracks. */
  setStream(stream) {
    const before = this.tracks;
    this.stream = stream;
    this.tracks = (stream?.getTracks() ?? []).filter((one) => one.readyState === "live");
    const same = before?.length === this.tracks.length && before.every((one) => this.tracks.includes(one));
    if (!same && this.segment) this.end();
    if (!same) this.rested();
    this.balance();
  }

  get should() {
    const ready = !this.finishing && !this.resting && !this.uploads.closed;
    return this.wanted && this.consent && ready && this.tracks?.length > 0;
  }

  /** Starts or ends what runs so that it agrees with what should. */
  balance() {
    if (this.should && !this.segment) this.begin();
    if (!this.should && this.segment && !this.finishing) this.end();
    this.holdBack();
    this.report();
  }

  begin() {
    try {
      this.segment = new Segment(new MediaStream(this.tracks), this.uploads, this.nowS, (one) => this.ended(one));
    } catch {
      this.failed = true; // no MediaRecorder, or no type for it
      return;
    }
    this.failed = false;
    this.tellStarted();
  }

  tellStarted() {
    if (this.signalling.ready === false) return; // told when the socket is back
    const { key, contentType, begunS } = this.segment;
    this.signalling.send({ type: "recording-started", segment: key, content_type: contentType, begun: begunS });
  }

  /** Seconds of the interview as the server counts them, whatever clock this computer has; null where it never said. */
  get nowS() {
    if (!this.clock) return null;
    return Math.round(1000 * this.clock.t + performance.now() - this.clock.at) / 1000;
  }

  /** A question mark: the next segment begins before the last one is closed, so that no word falls between. */
  cut() {
    const last = this.segment;
    this.segment = null;
    if (this.should) this.begin();
    last.stop();
  }

  end() {
    const last = this.segment;
    this.segment = null;
    return last.stop();
  }

  ended(segment) {
    this.signalling.send({ type: "recording-stopped", segment: segment.key });
    if (this.segment !== segment) return;
    // It ended by itself: a track went away, and what is left goes on as another segment; or the encoder failed.
    this.segment = null;
    const live = this.tracks.filter((one) => one.readyState === "live");
    if (live.length === this.tracks.length && segment.isBrief) this.rest();
    this.tracks = live;
    this.balance();
  }

  rest() {
    this.failed = true;
    this.resting = setTimeout(() => {
      this.rested();
      this.balance();
    }, AGAIN_MS);
  }

  rested() {
    clearTimeout(this.resting);
    this.resting = null;
  }

  drop() {
    if (this.segment) this.segment.dropped = true;
    this.balance();
  }

  /** What the browser cannot keep stays in memory, of which no more is used than 64 MiB: recording holds on until half
   *  of it was sent, and that is said. */
  holdBack() {
    const recorder = this.segment?.recorder;
    if (!recorder) return;
    const { memoryBytes } = this.uploads;
    if (memoryBytes > MOST_WAITING_BYTES && recorder.state === "recording") recorder.pause();
    if (memoryBytes < MOST_WAITING_BYTES / 2 && recorder.state === "paused") recorder.resume();
  }

  get state() {
    if (this.finishing) return "finishing";
    if (this.uploads.closed === RECORDING_FULL) return "toolong";
    const refused = this.uploads.closed !== 0 && !ENDED.has(this.uploads.closed);
    if ((this.failed || refused) && this.wanted && this.consent) return "failed";
    if (!this.segment) return "off";
    if (this.segment.recorder.state === "paused") return "full";
    const limit = this.reported === "behind" ? BEHIND_BYTES / 2 : BEHIND_BYTES;
    return this.uploads.bytes - this.uploads.restBytes > limit ? "behind" : "recording";
  }

  report() {
    const { state } = this;
    if (state === this.reported) return;
    this.reported = state;
    this.dispatchEvent(new CustomEvent("state", { detail: { state, waitingBytes: this.uploads.bytes } }));
  }

  /** The page goes away, perhaps into the cache of pages: what fits is sent, the rest is kept in case it returns. */
  leave() {
    if (this.segment?.recorder.state === "recording") this.segment.recorder.requestData();
    this.uploads.lastWords();
  }

  /**
   * Ends the recording and sends what is left, for ten seconds at most.
   * @param {(progress: {sentBytes: number, totalBytes: number}) => void} onProgress
   * @returns {Promise<boolean>} whether everything arrived
   */
  async stop(onProgress = () => {}) {
    if (this.stopped) return this.uploads.queue.length === 0;
    this.stopped = true;
    this.finishing = true;
    this.rested();
    if (this.segment) await this.end();
    this.report();
    const totalBytes = this.uploads.bytes;
    const show = () => onProgress({ sentBytes: totalBytes - this.uploads.bytes, totalBytes });
    this.uploads.addEventListener("change", show);
    show();
    const whole = await this.uploads.drained(FLUSH_LIMIT_MS);
    this.uploads.removeEventListener("change", show);
    this.listening.abort();
    this.finishing = false;
    this.wanted = false;
    this.report();
    return whole;
  }
}

/**
 * Records the candidate's stream while the room wants it and the candidate agrees.
 *
 * @param {{code: string, signalling: EventTarget, csrfToken: string, consent?: {recording: boolean},
 *   status?: {wanted: boolean, segment: number}, keeping?: {who: string, key: string} | null,
 *   clock?: {t: number, at: number} | null}} options `clock`: the server said at `at` (`performance.now()`) that it was `t`
 *   (s), so that a segment whose begin cannot be told in time is put where it belongs; `consent` and `status` where `welcome` came before; `keeping` as chunk-store.js takes it, without it nothing outlives the page
 * @returns {EventTarget} with `setStream`, `setConsent` and `stop`; its event `state` has the detail `{state,
 *   waitingBytes}`, the state being `off`, `recording`, `behind`, `full`, `finishing`, `toolong` or `failed`; its event `rest` says
 *   that an earlier page left something (`{bytes}`), which is being sent
 */
export const startRecorder = (options) => new Recorder(options);
