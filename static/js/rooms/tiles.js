// Who is in the call, as tiles: one large, the others and oneself small. The stage is templates/rooms/_stage.html.
// Tiles never move within the document, since a video that is moved stops; classes alone say which one is large.

import { fill, make, makeButton } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const MUTED_PATH = "M9 9v2a3 3 0 0 0 4.5 2.6M15 10V6a3 3 0 0 0-5.6-1.5M5 11a7 7 0 0 0 10.6 6M12 18v3M4 4l16 16";
const SELF = "self";
const OVERLAY = { connecting: "connecting", interrupted: "interrupted", reconnecting: "reconnecting", away: "away" };

/** The first letters of the first and the last word of a name. */
export function initials(name) {
  const words = name.trim().split(/\s+/).filter(Boolean);
  const ends = words.length > 1 ? [words[0], words.at(-1)] : words;
  return ends.map((word) => [...word][0].toLocaleUpperCase()).join("");
}

const hasPicture = (stream) => Boolean(stream?.getVideoTracks().some((track) => track.readyState === "live" && !track.muted));

/** To this loudspeaker; one that is gone leaves the sound where it is. */
const sendSound = (video, deviceId) => video.setSinkId?.(deviceId).catch(() => {});

function mutedIcon(text) {
  const icon = document.createElementNS(SVG, "svg");
  icon.setAttribute("viewBox", "0 0 24 24");
  icon.setAttribute("role", "img");
  icon.setAttribute("aria-label", text);
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", MUTED_PATH);
  icon.append(path);
  return icon;
}

/** One person, or one shared screen. */
class Tile {
  constructor(key, strings, onQuality) {
    this.element = make("figure", "stage-tile");
    this.element.dataset.tile = key;
    this.video = document.createElement("video");
    this.video.playsInline = true; // iOS would open its own player
    this.video.autoplay = true;
    this.initials = make("span", "stage-initials");
    this.initials.setAttribute("aria-hidden", "true");
    this.state = make("p", "stage-state");
    this.name = make("span", "stage-name-text");
    this.muted = make("span", "stage-muted");
    this.muted.append(mutedIcon(strings.muted));
    this.quality = makeButton("stage-quality", "", onQuality);
    const caption = make("figcaption", "stage-name");
    caption.append(this.muted, this.name, this.quality);
    this.element.append(this.video, this.initials, this.state, caption);
  }

  /** Shows a stream; resolves to false where the browser wants a tap before there is sound. */
  async play(stream) {
    if (this.video.srcObject !== stream) this.video.srcObject = stream;
    if (!stream || !stream.getTracks().length || !this.video.paused) return true;
    try {
      await this.video.play();
    } catch (error) {
      if (error.name !== "NotAllowedError") return true; // a newer stream came in between, which plays by itself
      this.video.muted = true; // a picture without sound is always allowed
      this.video.play().catch(() => {});
      return false;
    }
    return true;
  }

  /** After a tap: with sound. */
  async hear() {
    this.video.muted = this.element.classList.contains("is-self");
    await this.video.play().catch(() => {}); // nothing to play yet
  }

  update({ name, person = name, muted, picture, state, quality, large }) {
    this.name.textContent = name;
    this.initials.textContent = initials(person);
    this.muted.hidden = !muted;
    this.state.textContent = state;
    this.state.hidden = !state;
    this.quality.textContent = quality;
    this.quality.hidden = !quality;
    this.element.classList.toggle("without-picture", !picture);
    this.element.classList.toggle("is-held", Boolean(state));
    this.element.classList.toggle("is-large", large);
  }
}

/**
 * The tiles of a call. Events: `change` (somebody came or went), `details` (the word for the line was pressed).
 */
export class Tiles extends EventTarget {
  /**
   * @param {object} options
   * @param {HTMLElement} options.root the `[data-stage]` element
   * @param {Record<string, string>} options.strings `rooms.interviewer_page.shared_strings()`
   * @param {"candidate"|"interviewer"} options.largeRole whose picture is large
   * @param {string} [options.name] the own name, for the initials of the own tile
   * @param {import("./call.js").Call} [options.call] or later: `follow(call)`
   */
  constructor({ root, strings, largeRole, name = "", call = null }) {
    super();
    Object.assign(this, { root, strings, largeRole, name, call: null });
    this.box = root.querySelector("[data-tiles]");
    this.tap = root.querySelector("[data-tap]");
    this.said = root.querySelector("[data-say]");
    this.tiles = new Map();
    this.self = { stream: null, microphone: true, camera: true };
    this.tap.addEventListener("click", () => this.playAll());
    if (call) this.follow(call);
  }

  /** Shows the peers of this call from now on. */
  follow(call) {
    this.call = call;
    for (const type of ["peer", "peer-gone", "state", "quality"]) {
      call.addEventListener(type, () => this.render());
    }
    call.addEventListener("state", (event) => this.announce(event.detail));
    this.render();
  }

  /** The own picture, mirrored as people know themselves. */
  setSelf(stream) {
    this.self.stream = stream;
    this.render();
  }

  /** @param {{microphone: boolean, camera: boolean}} state as `setUpControls` tells it */
  setSelfState({ microphone, camera }) {
    Object.assign(this.self, { microphone, camera });
    this.render();
  }

  get people() {
    return [...(this.call?.peers.values() ?? [])];
  }

  // -- Rendering --------------------------------------------------------------------------------

  render() {
    const wanted = this.wanted();
    const large = this.largest(wanted);
    for (const [key, tile] of this.tiles) {
      if (wanted.has(key)) continue;
      tile.element.remove();
      this.tiles.delete(key);
    }
    for (const [key, view] of wanted) this.place(key, { ...view, large: key === large });
    this.root.classList.toggle("is-alone", !large);
    this.tellChange([...wanted.keys()].join());
  }

  tellChange(keys) {
    if (keys === this.keys) return;
    this.keys = keys;
    this.dispatchEvent(new CustomEvent("change", { detail: this.people.length }));
  }

  wanted() {
    const wanted = new Map();
    for (const peer of this.people) {
      wanted.set(peer.peer, this.viewOf(peer));
      if (hasPicture(peer.screenStream)) wanted.set(`${peer.peer}/screen`, this.screenOf(peer));
    }
    wanted.set(SELF, this.ownView());
    return wanted;
  }

  viewOf(peer) {
    return {
      role: peer.role,
      name: peer.name,
      stream: peer.stream,
      muted: !peer.media.microphone,
      picture: peer.media.camera && hasPicture(peer.stream),
      state: OVERLAY[peer.state] ? fill(this.strings[OVERLAY[peer.state]], { name: peer.name }) : "",
      quality: this.qualityOf(peer.quality),
    };
  }

  screenOf(peer) {
    const name = fill(this.strings.screen_of, { name: peer.name });
    return { role: "screen", name, stream: peer.screenStream, muted: false, picture: true, state: "", quality: "" };
  }

  ownView() {
    const { stream, microphone, camera } = this.self;
    const picture = camera && hasPicture(stream);
    const words = { name: this.strings.you, person: this.name || this.strings.you };
    return { role: SELF, ...words, stream, muted: !microphone, picture, state: "", quality: "" };
  }

  /** A shared screen goes before the person of the other side, and that one before everybody else. */
  largest(wanted) {
    const others = [...wanted].filter(([key]) => key !== SELF);
    const of = (role) => others.find(([, view]) => view.role === role);
    return (of("screen") ?? of(this.largeRole) ?? others[0])?.[0];
  }

  place(key, view) {
    let tile = this.tiles.get(key);
    if (!tile) {
      tile = new Tile(key, this.strings, () => this.dispatchEvent(new Event("details")));
      tile.element.classList.toggle("is-self", key === SELF);
      tile.element.classList.toggle("is-screen", view.role === "screen");
      tile.video.muted = key === SELF;
      if (this.speaker) sendSound(tile.video, this.speaker);
      tile.video.addEventListener("resize", () => this.render());
      this.tiles.set(key, tile);
      this.box.append(tile.element);
    }
    tile.update(view);
    this.watchTracks(view.stream);
    tile.play(view.stream).then((heard) => heard || (this.tap.hidden = false));
  }

  /** Pictures that stop or start without any message (a camera that the system took) change the tile as well. */
  watchTracks(stream) {
    this.watched ??= new WeakSet();
    for (const target of [stream, ...(stream?.getTracks() ?? [])]) {
      if (!target || this.watched.has(target)) continue;
      this.watched.add(target);
      for (const type of ["mute", "unmute", "ended", "addtrack", "removetrack"]) {
        target.addEventListener(type, () => this.render());
      }
    }
  }

  async playAll() {
    this.tap.hidden = true;
    await Promise.all([...this.tiles.values()].map((tile) => tile.hear()));
  }

  announce(detail) {
    const peer = this.call.peers.get(detail?.peer);
    const text = peer && OVERLAY[peer.state] ? fill(this.strings[OVERLAY[peer.state]], { name: peer.name }) : "";
    if (text !== this.said.textContent) this.said.textContent = text;
  }

  // -- The line ---------------------------------------------------------------------------------

  /** Only what is worth a look: a good, direct line needs no word. */
  qualityOf(quality) {
    if (!quality) return "";
    const level = quality.level && quality.level !== "good" ? [this.strings[`quality_${quality.level}`]] : [];
    return [...level, ...(quality.relayed ? [this.strings.relayed] : [])].join(" · ");
  }

  lineOf(quality) {
    const say = this.strings;
    if (!quality) return say.not_measured;
    const number = (value, digits) => value.toLocaleString(document.documentElement.lang, { maximumFractionDigits: digits });
    const parts = [say[`quality_${quality.level}`], quality.relayed ? say.relayed : say.direct];
    if (Number.isFinite(quality.lossPercent)) parts.push(fill(say.loss, { percent: number(quality.lossPercent, 1) }));
    if (Number.isFinite(quality.rttMs)) parts.push(fill(say.round_trip, { ms: number(quality.rttMs, 0) }));
    return parts.filter(Boolean).join(" · ");
  }

  /** Writes what is known of each line into the dialog of the bar. */
  fillDetails(list) {
    const rows = make("dl", "bar-lines");
    for (const peer of this.people) rows.append(make("dt", "", peer.name), make("dd", "", this.lineOf(peer.quality)));
    list.replaceChildren(rows.children.length ? rows : make("p", "", this.strings.nobody_else));
  }

  // -- Picture in picture, loudspeaker ------------------------------------------------------------

  /** The large picture in a small window of its own, or back. Nothing happens while there is none. */
  async togglePictureInPicture() {
    if (document.pictureInPictureElement) return document.exitPictureInPicture();
    const video = this.box.querySelector(".stage-tile.is-large:not(.without-picture) video");
    return video?.requestPictureInPicture?.().catch(() => {}); // no picture has come yet
  }

  setSpeaker(deviceId) {
    this.speaker = deviceId;
    for (const tile of this.tiles.values()) sendSound(tile.video, deviceId);
  }
}
