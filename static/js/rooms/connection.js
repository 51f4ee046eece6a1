// One RTCPeerConnection to one person: perfect negotiation, as in the example of the WebRTC specification
// (W3C WebRTC 1.0, section "Perfect Negotiation Example"), with three fixed places for media. One thing differs: where
// both offer at once the polite side does not take its offer back, but asks for a new connection. In Chromium (seen in
// 156) a local offer that is taken back leaves an established connection black for good, on the side that answered
// first: libwebrtc's SdpOfferAnswerHandler::Rollback clears the transceivers' channels, and the receiving streams that
// are made anew, although they decode, never reach the track again; neither another negotiation nor a change of
// direction helps.

/**
 * What a connection carries, in the order of its media sections. The order tells the two pictures apart; a place
 * without a track stays empty, so that switching a device or sharing the screen needs no new negotiation.
 */
export const PLACES = ["microphone", "camera", "screen"];
const KIND = { microphone: "audio", camera: "video", screen: "video" };

// Assumptions: Opus at this rate is clear speech; a shared screen is text that changes rarely.
const VOICE_BPS = 40000;
const SCREEN_BPS = 1000000;

/** Messages of an older connection between the same two people are known by `session` and ignored. */
export const newSession = () => Math.floor(Math.random() * Number.MAX_SAFE_INTEGER);

const iceName = (sdp) => sdp?.match(/^a=ice-ufrag:(\S+)/m)?.[1];

async function setEncoding(sender, values, degradationPreference) {
  const parameters = sender.getParameters();
  if (!parameters.encodings?.length) return;
  Object.assign(parameters.encodings[0], values);
  if (degradationPreference) parameters.degradationPreference = degradationPreference;
  try {
    await sender.setParameters(parameters);
  } catch {
    // A browser that does not know one of these values sends with its own; the call works all the same.
  }
}

/**
 * Events: `state` (look at `state`), `tracks` (detail: the receivers' tracks by place), `collision` (both offered at
 * once, and this side gives way: begin a new session).
 */
export class Connection extends EventTarget {
  #pc;
  #polite;
  #send;
  #tracks = {};
  #transceivers = null;
  #makingOffer = false;
  #ignoring = false;
  #answered = false;
  #early = [];
  #work = Promise.resolve();
  #closed = false;

  /**
   * @param {object} options
   * @param {number} options.session
   * @param {boolean} options.polite gives way when both offer at once
   * @param {RTCConfiguration} options.configuration
   * @param {(message: object) => void} options.send `offer`, `answer` and `ice-candidate` go through it
   * @param {Record<string, MediaStreamTrack|null>} options.tracks by place
   */
  constructor({ session, polite, configuration, send, tracks }) {
    super();
    this.session = session;
    this.#polite = polite;
    this.#send = send;
    this.#tracks = tracks;
    this.#pc = new RTCPeerConnection(configuration);
    this.#pc.addEventListener("negotiationneeded", () => this.#offer());
    this.#pc.addEventListener("icecandidate", ({ candidate }) => this.#sendCandidate(candidate));
    this.#pc.addEventListener("connectionstatechange", () => this.dispatchEvent(new Event("state")));
  }

  get state() {
    return this.#pc.connectionState;
  }

  /** Whether the other side has taken part in this session. */
  get answered() {
    return this.#answered;
  }

  /** Whether no offer of this side waits for its answer. */
  get settled() {
    return this.#pc.signalingState !== "have-local-offer";
  }

  getStats() {
    return this.#pc.getStats();
  }

  /** Make the places; the offer follows by itself. Only the side that began the session calls this. */
  begin() {
    const direction = "sendrecv";
    this.#transceivers = PLACES.map((place) => this.#pc.addTransceiver(KIND[place], { direction }));
    this.#fill();
    this.#tell();
  }

  /** A description of this session came. */
  takeDescription(description) {
    this.#queue(() => this.#description(description));
  }

  /** A candidate of this session came. */
  takeCandidate(candidate) {
    this.#queue(() => this.#candidate(candidate));
  }

  /** Send the other side what it may have missed. */
  repeat() {
    if (!this.settled) this.#describe();
  }

  /** Look for a new path; what is sent goes on meanwhile if the old one still works. */
  restart() {
    if (!this.#closed) this.#pc.restartIce();
  }

  /** Send other tracks, by place; null sends nothing. */
  setTracks(tracks) {
    this.#tracks = tracks;
    this.#fill();
  }

  /** How much the picture may take. The voice goes first: its packets are marked so and its rate is small. */
  async tune(cameraBps) {
    if (!this.#transceivers || this.#closed) return;
    const [microphone, camera, screen] = this.#transceivers.map(({ sender }) => sender);
    await setEncoding(microphone, { maxBitrate: VOICE_BPS, priority: "high", networkPriority: "high" });
    await setEncoding(camera, { maxBitrate: cameraBps, priority: "low" }, "balanced");
    await setEncoding(screen, { maxBitrate: SCREEN_BPS, priority: "low" }, "maintain-resolution");
  }

  close() {
    this.#closed = true;
    this.#pc.close();
  }

  // One after the other: a candidate must not overtake its description. A closed connection never answers its
  // promises, so its queue simply ends; the next session has its own.
  #queue(step) {
    this.#work = this.#work.then(() => (this.#closed ? null : step())).catch((error) => this.#stumbled(error));
  }

  #stumbled(error) {
    // Not fatal: who watches the state begins a new session when this one does not come up.
    if (!this.#closed) console.warn("A step of the call's negotiation was refused:", error.name);
  }

  async #offer() {
    if (this.#closed) return;
    try {
      this.#makingOffer = true;
      await this.#pc.setLocalDescription();
      this.#describe();
    } catch (error) {
      this.#stumbled(error);
    } finally {
      this.#makingOffer = false;
    }
  }

  async #description({ type, sdp }) {
    const collides = type === "offer" && (this.#makingOffer || !this.settled);
    this.#ignoring = collides && !this.#polite;
    if (this.#ignoring) return;
    if (collides) {
      this.dispatchEvent(new Event("collision"));
      return;
    }
    if (type === "answer" && (this.settled || this.#answersOlder(sdp))) return; // said twice
    await this.#pc.setRemoteDescription({ type, sdp });
    this.#answered = true;
    for (const candidate of this.#early.splice(0)) await this.#candidate(candidate);
    if (type === "offer") await this.#answer();
  }

  /** Whether this answer is to the offer before: each later offer restarts ICE, and its answer has a new name, too. */
  #answersOlder(sdp) {
    const { currentLocalDescription, pendingLocalDescription, currentRemoteDescription } = this.#pc;
    const restarts = iceName(pendingLocalDescription?.sdp) !== iceName(currentLocalDescription?.sdp);
    return Boolean(currentRemoteDescription) && restarts && iceName(sdp) === iceName(currentRemoteDescription.sdp);
  }

  async #answer() {
    if (!this.#transceivers) await this.#takePlaces();
    await this.#pc.setLocalDescription();
    this.#describe();
  }

  async #takePlaces() {
    this.#transceivers = this.#pc.getTransceivers().slice(0, PLACES.length);
    for (const transceiver of this.#transceivers) transceiver.direction = "sendrecv";
    await this.#fill();
    this.#tell();
  }

  async #candidate(candidate) {
    if (!this.#pc.remoteDescription) {
      this.#early.push(candidate);
      return;
    }
    try {
      await this.#pc.addIceCandidate(candidate);
    } catch (error) {
      // Of an offer that was ignored, or from before an ICE restart: nothing is lost by it.
      if (!this.#ignoring && error.name !== "OperationError") throw error;
    }
  }

  #fill() {
    const places = this.#transceivers ?? [];
    return Promise.all(places.map(({ sender }, index) => this.#put(sender, this.#tracks[PLACES[index]] ?? null)));
  }

  async #put(sender, track) {
    if (sender.track === track || this.#closed) return;
    try {
      await sender.replaceTrack(track);
    } catch (error) {
      this.#stumbled(error);
    }
  }

  #tell() {
    const tracks = this.#transceivers.map(({ receiver }, index) => [PLACES[index], receiver.track]);
    this.dispatchEvent(new CustomEvent("tracks", { detail: Object.fromEntries(tracks) }));
  }

  #describe() {
    if (this.#closed) return;
    const { type, sdp } = this.#pc.localDescription;
    this.#send({ type, description: { type, sdp, session: this.session } });
  }

  #sendCandidate(candidate) {
    if (!candidate || this.#closed) return; // the end of candidates tells nothing that is needed
    this.#send({ type: "ice-candidate", candidate: { ...candidate.toJSON(), session: this.session } });
  }
}
