// The call: everybody in the room, each over a connection of their own (a mesh of at most four).
// Works with `Signalling`, or whatever else has its `send`, `on` and events.

import { Peer } from "./peer.js";

export const MOST_PEOPLE = 4;
// One seat of the four is the candidate's.
const MOST_INTERVIEWERS = MOST_PEOPLE - 1;
const MEASURE_EVERY_MS = 2000;
// Assumption: an uplink of about 2 Mbit/s, shared by all others in the mesh.
const CAMERA_BPS = [1200000, 1200000, 700000, 450000];
const RELAY_BACK_MS = 2000;

const live = (track) => Boolean(track && track.readyState === "live" && track.enabled);
/** Not taken by the system either: a phone call mutes a page's devices until it is over. */
const given = (track) => live(track) && !track.muted;

/**
 * Events (`detail`):
 * - `peer` (the entry of `peers`): somebody is new, or what they send changed; look at the entry anew
 * - `joined` (`{peer, name, role}`): somebody came after us; not where their socket alone came back
 * - `peer-gone` (`{peer, name, role, reason}`)
 * - `state` (`{peer, state}`): `connecting|connected|interrupted|reconnecting|away`
 * - `quality` (`{peer, relayed, lossPercent, rttMs, level}`), every two seconds
 * - `audio-only` (`{active}`): the own picture is not sent to somebody because the line is slow
 * - `media` (`{microphone, camera, screen}`): what this side sends, as told to the others
 * - `full`: four people are in the call already; this side has left it
 */
export class Call extends EventTarget {
  /** @type {Map<string, Peer>} by their name in messages */
  peers = new Map();

  #signalling;
  #me;
  #role;
  #iceServers;
  #iceTransportPolicy;
  #stream = null;
  #screen = null;
  #started = false;
  #closed = false;
  #timer = 0;
  #again = 0;
  #stops = [];

  /**
   * @param {object} options
   * @param {import("./signalling.js").Signalling} options.signalling
   * @param {string} options.me The own name in messages (`you` of the welcome).
   * @param {RTCIceServer[]} [options.iceServers] of the welcome; later welcomes bring newer ones
   * @param {RTCIceTransportPolicy} [options.iceTransportPolicy]
   * @param {"interviewer"|"candidate"} [options.role]
   */
  constructor({ signalling, me, iceServers = [], iceTransportPolicy = "all", role = "interviewer" }) {
    super();
    this.#signalling = signalling;
    this.#me = me;
    this.#role = role;
    this.#iceServers = iceServers;
    this.#iceTransportPolicy = iceTransportPolicy;
    this.#listen();
  }

  /** Join the call; joins again by itself whenever the socket came back. */
  start() {
    this.#started = true;
    this.#timer ||= setInterval(() => this.#measure(), MEASURE_EVERY_MS);
    this.#join();
  }

  /** Send this camera and microphone to everybody; null sends nothing. */
  setStream(stream) {
    this.#stream = stream;
    this.#spread();
  }

  /** Share this screen with everybody; null shares none. Ends by itself when the browser's own button is used. */
  setScreen(stream) {
    this.#screen = stream;
    const track = stream?.getVideoTracks()[0];
    if (track) {
      track.contentHint = "detail";
      track.addEventListener("ended", () => this.#screen === stream && this.setScreen(null));
    }
    this.#spread();
  }

  get stream() {
    return this.#stream;
  }

  get screen() {
    return this.#screen;
  }

  /** What this side sends now. */
  get mediaState() {
    const others = [...this.peers.values()];
    const slow = others.length > 0 && others.every((peer) => peer.audioOnly);
    return {
      microphone: given(this.#stream?.getAudioTracks()[0]),
      camera: given(this.#stream?.getVideoTracks()[0]) && !slow,
      screen: live(this.#screen?.getVideoTracks()[0]),
    };
  }

  /** Tell the others what is sent; to be called after a track was switched on or off (`track.enabled`). */
  announce() {
    const state = this.mediaState;
    if (this.#started) this.#signalling.send({ type: "media-state", ...state });
    this.#tell("media", state);
  }

  /** Leave all connections. The room is left by a `leave` message, or by closing the socket. */
  close() {
    this.#closed = true;
    this.#started = false;
    clearInterval(this.#timer);
    clearTimeout(this.#again);
    this.#stops.forEach((stop) => stop());
    for (const peer of this.peers.values()) peer.close();
    this.peers.clear();
  }

  // -- Messages -------------------------------------------------------------------------------

  #listen() {
    const on = (type, handle) => this.#stops.push(this.#signalling.on(type, (message) => handle(message)));
    on("peer-joined", (message) => this.#joined(message));
    on("peer-here", (message) => this.#here(message));
    on("peer-left", (message) => this.#left(message));
    for (const type of ["offer", "answer", "ice-candidate"]) on(type, (message) => this.#negotiate(message));
    on("media-state", (message) => this.peers.get(message.from)?.setMedia(message));
    on("error", (message) => this.#refused(message));
    this.#listenTo(this.#signalling, "open", ({ detail }) => this.#open(detail));
    this.#listenTo(window, "online", () => this.peers.forEach((peer) => peer.networkBack()));
  }

  #listenTo(target, type, handle) {
    target.addEventListener(type, handle);
    this.#stops.push(() => target.removeEventListener(type, handle));
  }

  #open(welcome) {
    this.#iceServers = welcome?.ice_servers ?? this.#iceServers; // credentials expire
    if (!this.#started || (welcome?.role === "candidate" && welcome.state !== "admitted")) return;
    this.#join();
    this.peers.forEach((peer) => peer.lineBack());
  }

  #join() {
    this.#signalling.send({ type: "join-room" });
    this.announce();
  }

  #refused({ code }) {
    if (!this.#started || (code !== "relay_away" && code !== "not_in_room")) return;
    clearTimeout(this.#again);
    this.#again = setTimeout(() => this.#open(), RELAY_BACK_MS);
  }

  #joined({ peer: name, role, name: shown }) {
    if (!this.#started || name === this.#me) return;
    this.#signalling.send({ type: "peer-here", to: name });
    const known = this.peers.get(name);
    if (known) known.theirLineBack();
    else if (!this.#fullFor(role)) this.#welcome(this.#add(name, role, shown));
    this.announce();
  }

  #welcome(peer) {
    peer.wait();
    this.#tell("joined", { peer: peer.peer, name: peer.name, role: peer.role });
  }

  #here({ from: name, role, name: shown }) {
    if (!this.#started) return;
    const known = this.peers.get(name);
    if (known) {
      known.theirLineBack();
      if (known.session === null) known.begin(); // both came in the same moment: each waits for the other
      return;
    }
    if (this.#fullFor(role)) this.#leaveFull();
    else this.#add(name, role, shown).begin();
  }

  #left({ peer: name, reason }) {
    const peer = this.peers.get(name);
    if (!peer) return;
    // Their socket is gone, their picture is not: the server may have been restarted. The line decides.
    if (reason === "lost" && peer.state === "connected") peer.lost = true;
    else this.#remove(peer, reason);
  }

  #negotiate(message) {
    // Whoever offers was told of us by our own `peer-here`, so they are known; anything else is of somebody who left.
    this.peers.get(message.from)?.receive(message);
  }

  // -- People ---------------------------------------------------------------------------------

  #fullFor(role) {
    const others = [...this.peers.values()].map((peer) => peer.role);
    const interviewers = others.concat(role, this.#role).filter((one) => one === "interviewer").length;
    return interviewers > MOST_INTERVIEWERS || others.length + 2 > MOST_PEOPLE;
  }

  #leaveFull() {
    this.#signalling.send({ type: "leave" });
    this.close();
    this.#tell("full", null);
  }

  #add(name, role, shown) {
    const peer = new Peer({
      peer: name,
      role,
      name: shown,
      me: this.#me,
      send: (message) => this.#signalling.send(message),
      configuration: () => ({ iceServers: this.#iceServers, iceTransportPolicy: this.#iceTransportPolicy }),
      tracks: this.#tracks(),
      cameraBps: CAMERA_BPS[1],
    });
    this.peers.set(name, peer);
    this.#follow(peer);
    this.#share();
    this.#tell("peer", peer);
    return peer;
  }

  #follow(peer) {
    const { peer: name } = peer;
    const on = (type, handle) => peer.addEventListener(type, () => this.peers.get(name) === peer && handle());
    on("state", () => this.#changed(peer));
    on("media", () => this.#tell("peer", peer));
    on("quality", () => this.#tell("quality", { peer: name, ...peer.quality }));
    on("closed-after-loss", () => this.#remove(peer, "lost"));
    on("audio-only", () => this.#audioOnly());
  }

  #changed(peer) {
    // Whatever took the media's path may have taken the socket's: then it should come back by another one.
    if (peer.state === "interrupted") this.#signalling.probe();
    this.#tell("state", { peer: peer.peer, state: peer.state });
  }

  #remove(peer, reason) {
    peer.close();
    this.peers.delete(peer.peer);
    this.#share();
    this.#tell("peer-gone", { peer: peer.peer, name: peer.name, role: peer.role, reason });
  }

  #audioOnly() {
    this.#tell("audio-only", { active: [...this.peers.values()].some((peer) => peer.audioOnly) });
    this.announce();
  }

  // -- Media ----------------------------------------------------------------------------------

  #tracks() {
    return {
      microphone: this.#stream?.getAudioTracks()[0] ?? null,
      camera: this.#stream?.getVideoTracks()[0] ?? null,
      screen: this.#screen?.getVideoTracks()[0] ?? null,
    };
  }

  #spread() {
    const tracks = this.#tracks();
    this.peers.forEach((peer) => peer.setTracks(tracks));
    this.announce();
  }

  #share() {
    const bps = CAMERA_BPS[Math.min(this.peers.size, CAMERA_BPS.length - 1)];
    this.peers.forEach((peer) => peer.setCameraBps(bps));
  }

  #measure() {
    for (const peer of this.peers.values()) peer.measure();
  }

  #tell(type, detail) {
    if (this.#closed && type !== "full") return;
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
