// One other person in the call, over as many connections as it takes: one after the other, never two at once.

import { Connection, newSession } from "./connection.js";
import { Fallback } from "./fallback.js";
import { readQuality } from "./stats.js";

const BACK_WITHIN_MS = 10000;
// Assumption: browsers say "failed" sooner (Chromium after 10 s), but not where packets come through one way only.
const INTERRUPTED_MS = 15000;
// Assumption: gathering, a slow relay and the answer of a phone take less than this.
const UP_WITHIN_MS = 15000;
// The polite side lets the other begin anew first, so that both seldom do it at once: that costs a new connection.
const POLITENESS_MS = 3000;
// Assumption: where this side's line came back, what the other one has to say again comes within this.
const SHORT_POLITENESS_MS = 1000;
// Assumption: a path that breaks so soon after the own socket had to be opened anew was of the network that is gone.
const RENEWED_MS = 15000;
const LONGEST_WAIT_MS = 60000;
const AWAY_AFTER_TRIES = 3;
const MOST_EARLY_CANDIDATES = 64;
const MOST_RETIRED = 32;

/**
 * An entry of `Call.peers`. Events: `state`, `media`, `closed-after-loss`, `audio-only`, `quality`.
 */
export class Peer extends EventTarget {
  /** `connecting`, `connected`, `interrupted`, `reconnecting` or `away` */
  state = "connecting";
  /** The last reading of the line: `{relayed, lossPercent, rttMs, level}`, null before the first. */
  quality = null;
  /** What they say they send. */
  media = { microphone: false, camera: false, screen: false };
  /** The server saw their socket go; the media may go on. */
  lost = false;
  /** Camera and microphone; the same object over all connections. */
  stream = new MediaStream();

  #screen = new MediaStream();
  #me;
  #send;
  #configuration;
  #tracks = {};
  #cameraBps;
  #connection = null;
  #retired = [];
  #early = { session: null, candidates: [] };
  #timer = 0;
  #restarting = 0;
  #renewedAt = -Infinity;
  #tries = 0;
  #reading = null;
  #fallback = new Fallback();

  /**
   * @param {object} options
   * @param {string} options.peer Their name in messages.
   * @param {string} options.role `interviewer` or `candidate`
   * @param {string} options.name The name that is shown.
   * @param {string} options.me The own name in messages.
   * @param {(message: object) => void} options.send
   * @param {() => RTCConfiguration} options.configuration asked for each new connection
   * @param {Record<string, MediaStreamTrack|null>} options.tracks
   * @param {number} options.cameraBps
   */
  constructor({ peer, role, name, me, send, configuration, tracks, cameraBps }) {
    super();
    Object.assign(this, { peer, role, name });
    this.#me = me;
    this.#send = (message) => send({ ...message, to: peer });
    this.#configuration = configuration;
    this.#tracks = tracks;
    this.#cameraBps = cameraBps;
  }

  /** Their shared screen, null while they share none. */
  get screenStream() {
    return this.media.screen ? this.#screen : null;
  }

  get polite() {
    return this.#me < this.peer;
  }

  /** Whether the line is too slow for the own picture, which is not sent meanwhile. */
  get audioOnly() {
    return this.#fallback.paused;
  }

  /** Number of the connection, for tests and for support. */
  get session() {
    return this.#connection?.session ?? null;
  }

  /** Begin a connection with an offer of one's own. */
  begin() {
    this.#open(newSession()).begin();
  }

  /** The other one will begin; if they do not, begin after all. */
  wait() {
    this.#arm(UP_WITHIN_MS);
  }

  /** `offer`, `answer` or `ice-candidate` from this person. */
  receive(message) {
    if (message.type === "ice-candidate") this.#takeCandidate(message.candidate);
    else this.#takeDescription(message.description);
  }

  /** `media-state` from this person. */
  setMedia({ microphone, camera, screen }) {
    this.media = { microphone: Boolean(microphone), camera: Boolean(camera), screen: Boolean(screen) };
    this.dispatchEvent(new Event("media"));
  }

  setTracks(tracks) {
    this.#tracks = tracks;
    this.#apply();
  }

  setCameraBps(cameraBps) {
    this.#cameraBps = cameraBps;
    this.#tune();
  }

  /** The own socket is back: say again what may have been lost on the way, and look for a new path where none works. */
  lineBack() {
    this.#renewedAt = performance.now();
    this.#connection?.repeat();
    this.networkBack();
  }

  /** The network changed: do not wait until the old path is given up. A connection that works is left alone. */
  networkBack() {
    if (this.state !== "connected" && this.state !== "connecting") this.#restart(SHORT_POLITENESS_MS);
  }

  /** Their socket is back: an offer of ours may have been lost on its way. */
  theirLineBack() {
    this.lost = false;
    this.#connection?.repeat();
  }

  /** Close this connection and begin another one in the same room. */
  rebuild() {
    this.#tries += 1;
    this.#beginAnew();
  }

  /** Read the line; tells `quality`, and `audio-only` where that changed. */
  async measure() {
    const connection = this.#connection;
    if (this.state !== "connected" || !connection) return;
    const report = await connection.getStats().catch(() => null); // closed meanwhile
    const reading = report && readQuality(report, this.#reading);
    if (!reading || connection !== this.#connection) return;
    this.#reading = reading;
    const { relayed, lossPercent, rttMs, level } = reading;
    this.quality = { relayed, lossPercent, rttMs, level };
    this.dispatchEvent(new Event("quality"));
    if (this.#tracks.camera && this.#fallback.feed(reading)) {
      this.#apply();
      this.dispatchEvent(new Event("audio-only"));
    }
  }

  close() {
    clearTimeout(this.#timer);
    clearTimeout(this.#restarting);
    this.#connection?.close();
    this.#connection = null;
  }

  // -- Sessions -------------------------------------------------------------------------------

  #beginAnew() {
    this.#setState(this.#tries > AWAY_AFTER_TRIES ? "away" : "reconnecting");
    this.begin();
  }

  #open(session) {
    this.#retire();
    const connection = new Connection({
      session,
      polite: this.polite,
      configuration: this.#configuration(),
      send: (message) => connection === this.#connection && this.#send(message),
      tracks: this.#wanted(),
    });
    this.#connection = connection;
    this.#reading = null;
    const on = (type, handle) =>
      connection.addEventListener(type, ({ detail }) => connection === this.#connection && handle(detail));
    on("state", () => this.#follow(connection.state));
    on("tracks", (detail) => this.#show(detail));
    on("collision", () => this.#beginAnew());
    this.#arm(Math.min(UP_WITHIN_MS * (this.#tries + 1), LONGEST_WAIT_MS));
    return connection;
  }

  #retire() {
    if (!this.#connection) return;
    this.#retired = [...this.#retired, this.#connection.session].slice(-MOST_RETIRED);
    this.#connection.close();
  }

  #takeDescription(description) {
    const { session, type } = description;
    if (this.#retired.includes(session)) return;
    if (session !== this.session) {
      if (type !== "offer") return;
      // Both began at once: the impolite side's connection is the one, and the other may have missed its offer.
      if (!this.polite && this.#connection && !this.#connection.answered) return this.#connection.repeat();
      this.#adopt(session);
    }
    this.#connection.takeDescription(description);
  }

  #adopt(session) {
    if (this.state === "connected" || this.state === "interrupted") this.#setState("reconnecting");
    const connection = this.#open(session);
    if (this.#early.session === session) this.#early.candidates.forEach((one) => connection.takeCandidate(one));
    this.#early = { session: null, candidates: [] };
  }

  #takeCandidate(candidate) {
    if (!candidate || this.#retired.includes(candidate.session)) return;
    if (candidate.session === this.session) return this.#connection.takeCandidate(candidate);
    if (this.#early.session !== candidate.session) this.#early = { session: candidate.session, candidates: [] };
    if (this.#early.candidates.length < MOST_EARLY_CANDIDATES) this.#early.candidates.push(candidate);
  }

  // -- State ----------------------------------------------------------------------------------

  #follow(state) {
    if (state === "connected") this.#connected();
    else if (state === "disconnected") this.#interrupted();
    else if (state === "failed") this.#failed();
  }

  #connected() {
    clearTimeout(this.#timer);
    this.#tries = 0;
    this.#setState("connected");
    this.#tune();
    // Packets may go one way before the answer to a restart came, or although it never will: the offer was lost.
    if (!this.#connection.settled) this.#arm(BACK_WITHIN_MS);
  }

  #interrupted() {
    if (this.lost) return this.dispatchEvent(new Event("closed-after-loss"));
    if (this.state !== "connected") return undefined; // a restart says so too, and has its own timer
    if (performance.now() - this.#renewedAt < RENEWED_MS) return this.#restart(SHORT_POLITENESS_MS);
    this.#setState("interrupted"); // it often comes back by itself
    return this.#arm(INTERRUPTED_MS, () => this.#restart());
  }

  #failed() {
    if (this.lost) return this.dispatchEvent(new Event("closed-after-loss"));
    if (this.state === "connecting" || this.state === "away") return undefined; // the try's own timer runs
    return this.#restart();
  }

  #restart(politenessMs = POLITENESS_MS) {
    this.#setState("reconnecting");
    const connection = this.#connection;
    const go = () => connection === this.#connection && connection?.state !== "connected" && connection?.restart();
    clearTimeout(this.#restarting);
    if (this.polite) this.#restarting = setTimeout(go, politenessMs);
    else connection?.restart();
    this.#arm(BACK_WITHIN_MS);
  }

  #arm(ms, late = () => this.rebuild()) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#late(late), ms + (this.polite ? POLITENESS_MS : 0));
  }

  #late(late) {
    if (this.#connection?.state !== "connected") return late();
    this.#connection.repeat();
    return this.#connected(); // it came back without a word, or is not settled yet
  }

  #setState(state) {
    if (state === this.state) return;
    this.state = state;
    this.dispatchEvent(new Event("state"));
  }

  // -- Media ----------------------------------------------------------------------------------

  #wanted() {
    return this.audioOnly ? { ...this.#tracks, camera: null } : this.#tracks;
  }

  #apply() {
    this.#connection?.setTracks(this.#wanted());
  }

  #tune() {
    if (this.state === "connected") this.#connection?.tune(this.#cameraBps);
  }

  #show({ microphone, camera, screen }) {
    for (const [stream, tracks] of [[this.stream, [microphone, camera]], [this.#screen, [screen]]]) {
      stream.getTracks().forEach((track) => stream.removeTrack(track));
      tracks.filter(Boolean).forEach((track) => stream.addTrack(track));
    }
    this.dispatchEvent(new Event("media"));
  }
}
