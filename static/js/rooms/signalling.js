// The socket between this browser and the room: reconnects by itself and keeps what was to be sent meanwhile.
// The messages are described in docs/protocol.md.

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 8000;
const KEPT_MS = 10000;
// Assumption: an answer that takes this long means that the line is dead although nobody said so.
const PING_EVERY_MS = 15000;
const ANSWER_WITHIN_MS = 8000;
// Assumption: where there is a reason to doubt the line, this is enough even for a slow one.
const DOUBTED_ANSWER_WITHIN_MS = 4000;
/** Close codes after which coming back would change nothing. */
const FINAL = new Set([4401, 4403, 4404, 4409, 4410]);
const TOO_MANY = 4429;

const whole = (url) => {
  const address = new URL(url, document.baseURI);
  address.protocol = address.protocol.replace("http", "ws");
  return address.href;
};

/** From one kind of network to another, where the browser tells them apart (on phones); not each guess of its speed. */
function watchKind(changed) {
  const { connection } = navigator;
  let kind = connection?.type;
  connection?.addEventListener("change", () => {
    if (connection.type === kind) return;
    kind = connection.type;
    changed();
  });
}

/**
 * Events: `open` (detail: the welcome message; each time the socket came up), `lost` (it went away, it will come back),
 * `closed` (detail: the close code; it will not). Messages: see `on`.
 */
export class Signalling extends EventTarget {
  #url;
  #socket = null;
  #ready = false;
  #closed = false;
  #queue = [];
  #pause = FIRST_PAUSE_MS;
  #timer = 0;
  #pinger = 0;
  #silence = 0;
  #silentUntil = Infinity;
  #pings = 0;

  /** @param {string} url Address of the socket; a path of this site will do. */
  constructor(url) {
    super();
    this.#url = whole(url);
    // A network that is back need not wait for the rest of the pause.
    addEventListener("online", () => this.probe());
    addEventListener("pageshow", (event) => event.persisted && this.probe());
    watchKind(() => this.probe());
    // A phone that was locked, or a page that lay behind others, may have slept through the end of its socket.
    document.addEventListener("visibilitychange", () => document.hidden || this.probe());
  }

  /** Whether messages go out at once. */
  get ready() {
    return this.#ready;
  }

  /** How many messages wait for the socket. */
  get waits() {
    return this.#queue.length;
  }

  /** Begin; from then on the socket comes back by itself until `close` or a final close code. */
  connect() {
    if (this.#socket || this.#closed) return;
    clearTimeout(this.#timer);
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    const current = (handle) => (event) => socket === this.#socket && handle(event);
    socket.addEventListener("message", current((event) => this.#take(event.data)));
    socket.addEventListener("close", current((event) => this.#lost(event.code)));
    this.#expectAnswer();
  }

  /** Send now, or within ten seconds when the socket is back. */
  send(message) {
    if (this.#closed) return;
    if (this.#ready && this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
    else this.#queue = [...this.#young(), { message, at: performance.now() }];
  }

  /**
   * Call `handler(message)` for each message of this type.
   * @returns {() => void} stops that
   */
  on(type, handler) {
    const name = `message:${type}`;
    const listener = (event) => handler(event.detail);
    this.addEventListener(name, listener);
    return () => this.removeEventListener(name, listener);
  }

  /**
   * There is a reason to doubt the line, such as another network: find out now. On a socket of an address that is gone
   * nothing comes and nothing is said about it.
   */
  probe() {
    if (!this.#socket) this.#hurry();
    else if (this.#ready) this.#ping(DOUBTED_ANSWER_WITHIN_MS);
  }

  /** Go away for good, without an event. */
  close() {
    this.#closed = true;
    this.#ready = false;
    this.#stopTimers();
    const socket = this.#socket;
    this.#socket = null;
    socket?.close(1000);
  }

  #take(data) {
    this.#heard();
    const message = JSON.parse(data);
    if (message.type === "welcome") this.#welcome(message);
    if (message.type === "ping") this.send({ type: "pong", id: message.id });
    this.dispatchEvent(new CustomEvent(`message:${message.type}`, { detail: message }));
  }

  #welcome(message) {
    const kept = this.#young();
    this.#queue = [];
    this.#ready = true;
    this.#pause = FIRST_PAUSE_MS;
    this.#pinger = setInterval(() => this.#ping(), PING_EVERY_MS);
    // Who listens says `join-room` here; what was kept is only understood after that.
    this.dispatchEvent(new CustomEvent("open", { detail: message }));
    for (const { message: old } of kept) this.send(old);
  }

  /** Of what waits, what is still worth sending: a line that is away for long gathers no more. */
  #young() {
    return this.#queue.filter(({ at }) => performance.now() - at < KEPT_MS);
  }

  #ping(withinMs) {
    this.send({ type: "ping", id: ++this.#pings });
    this.#expectAnswer(withinMs);
  }

  /** A later question does not give the line more time for the one before. */
  #expectAnswer(withinMs = ANSWER_WITHIN_MS) {
    const until = performance.now() + withinMs;
    if (until > this.#silentUntil) return;
    clearTimeout(this.#silence);
    this.#silentUntil = until;
    this.#silence = setTimeout(() => this.#giveUp(), withinMs);
  }

  #heard() {
    clearTimeout(this.#silence);
    this.#silentUntil = Infinity;
  }

  #giveUp() {
    // `close` on a dead line takes up to a minute to be noticed; do not wait for its event.
    const socket = this.#socket;
    this.#lost(1006);
    socket?.close();
  }

  #lost(code) {
    this.#socket = null;
    this.#ready = false;
    this.#stopTimers();
    if (FINAL.has(code)) {
      this.#closed = true;
      this.dispatchEvent(new CustomEvent("closed", { detail: code }));
      return;
    }
    if (code === TOO_MANY) this.#pause = LONGEST_PAUSE_MS;
    // Jitter: after a restart of the server not everybody comes back in the same moment.
    this.#timer = setTimeout(() => this.connect(), this.#pause * (0.5 + Math.random() / 2));
    this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE_MS);
    this.dispatchEvent(new CustomEvent("lost", { detail: code }));
  }

  #hurry() {
    if (this.#socket || this.#closed || !this.#timer) return;
    this.connect();
  }

  #stopTimers() {
    clearTimeout(this.#timer);
    this.#heard();
    clearInterval(this.#pinger);
  }
}
