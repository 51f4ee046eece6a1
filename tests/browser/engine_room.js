// A room without a server, for tests of the call engine: any number of real `Call`s in one page, joined by lines that
// deliver in order and can be cut. Connections, pictures and negotiation are the browser's own.

import { Call } from "/static/js/rooms/call.js";
import { Fallback } from "/static/js/rooms/fallback.js";
import * as devices from "/static/js/rooms/devices.js";
import { Signalling } from "/static/js/rooms/signalling.js";

const PASSED_ON = ["peer-here", "offer", "answer", "ice-candidate"];
const DELAY_MS = 5;

const connections = [];
const Native = window.RTCPeerConnection;
window.RTCPeerConnection = class extends Native {
  constructor(...args) {
    super(...args);
    connections.push(this);
  }
};

class Line extends EventTarget {
  constructor(room, name, role) {
    super();
    Object.assign(this, { room, name, role, joined: false, cut: false });
  }

  on(type, handler) {
    const listener = (event) => handler(event.detail);
    this.addEventListener(`message:${type}`, listener);
    return () => this.removeEventListener(`message:${type}`, listener);
  }

  send(message) {
    if (!this.cut) setTimeout(() => this.room.take(this, structuredClone(message)), DELAY_MS);
  }

  probe() {
    this.probes = (this.probes ?? 0) + 1;
  }

  hear(message) {
    if (!this.cut) this.dispatchEvent(new CustomEvent(`message:${message.type}`, { detail: structuredClone(message) }));
  }
}

class Room {
  lines = new Map();
  log = [];

  take(line, message) {
    if (this.lines.get(line.name) !== line) return;
    this.log.push({ from: line.name, ...message });
    const from = { from: line.name, role: line.role, name: line.name };
    if (message.type === "join-room") this.join(line);
    else if (PASSED_ON.includes(message.type)) this.lines.get(message.to)?.hear({ ...message, ...from });
    else if (message.type === "leave") this.leave(line);
    else this.others(line, { ...message, from: line.name });
  }

  join(line) {
    line.joined = true;
    this.others(line, { type: "peer-joined", peer: line.name, role: line.role, name: line.name });
  }

  leave(line) {
    line.joined = false;
    this.others(line, { type: "peer-left", peer: line.name, reason: "left" });
  }

  others(line, message) {
    for (const other of this.lines.values()) if (other !== line && other.joined) other.hear(message);
  }
}

function picture(colour) {
  const canvas = Object.assign(document.createElement("canvas"), { width: 160, height: 120 });
  const paint = canvas.getContext("2d");
  let step = 0;
  setInterval(() => {
    paint.fillStyle = colour;
    paint.fillRect(0, 0, 160, 120);
    paint.fillStyle = "white";
    paint.fillRect((step++ * 4) % 160, 110, 8, 8);
  }, 100);
  return canvas.captureStream(10);
}

const room = new Room();
const calls = {};

function enter(name, role, { colour = "", start = true } = {}) {
  const line = new Line(room, name, role);
  room.lines.set(name, line);
  const call = new Call({ signalling: line, me: name, role });
  calls[name] = { call, line, events: [], connections: [] };
  for (const type of ["peer", "joined", "peer-gone", "state", "quality", "full", "media", "audio-only"]) {
    call.addEventListener(type, ({ detail }) => calls[name].events.push({ type, state: detail?.state, peer: detail?.peer }));
  }
  if (colour) call.setStream(picture(colour));
  if (start) call.start();
}

/** Red, green and blue (0 to 255) of a stream's picture; black where none comes within half a minute. */
async function colourOf(stream) {
  const video = Object.assign(document.createElement("video"), { srcObject: stream, muted: true, playsInline: true });
  const canvas = Object.assign(document.createElement("canvas"), { width: 8, height: 8 });
  document.body.append(video);
  const paint = canvas.getContext("2d", { willReadFrequently: true });
  video.play().catch(() => {}); // its frames tell whether it plays
  let found = null;
  for (let tries = 0; tries < 600 && !found?.some((value) => value > 0); tries++) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    paint.drawImage(video, 0, 0, 8, 8);
    found = [...paint.getImageData(2, 2, 1, 1).data].slice(0, 3);
  }
  video.remove();
  return found;
}

const peerOf = (name, other) => calls[name].call.peers.get(other);
const session = (name, other) => peerOf(name, other)?.session ?? null;
const state = (name, other) => peerOf(name, other)?.state ?? null;

/** Both see each other over the same session. */
const together = (a, b) =>
  state(a, b) === "connected" && state(b, a) === "connected" && session(a, b) === session(b, a);

/** The browser's open connections, oldest first. */
const open = () => connections.filter((one) => one.signalingState !== "closed");

/** Let who watches this connection see a state once, as after a change of the network; null: the true one. */
function pretend(connection, value) {
  if (value) Object.defineProperty(connection, "connectionState", { configurable: true, get: () => value });
  connection.dispatchEvent(new Event("connectionstatechange"));
  delete connection.connectionState;
}

Object.assign(window, { room, calls, enter, picture, colourOf, peerOf, session, state, together, open, pretend });
Object.assign(window, { Fallback, devices, Signalling, ready: true });
