// Hands the recording's chunks to the server, one after another in their order, and keeps at it.

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 10000;
const KEEPALIVE_BYTES = 60 * 1024; // browsers let a closing page send 64 KiB
// Answers after which sending the same again is in vain.
const OVER = new Set([401, 403, 404, 409, 410]);
const BAD_CHUNK = new Set([400, 411, 413, 415, 422]);
const MOST_TRIES = 3; // of a chunk that the server calls bad: it may have broken off on the way

/**
 * A queue of chunks and segment ends. Events: `change` (bytes waiting), `over` (detail: HTTP status; nothing more is
 * taken), `refused` (one chunk was not).
 */
export class Uploads extends EventTarget {
  constructor({ code, csrfToken }) {
    super();
    this.base = `/rooms/${code}/recording`;
    this.csrfToken = csrfToken;
    this.queue = [];
    this.bytes = 0;
    this.sending = null;
    this.closed = 0; // the HTTP status that ended it
  }

  /** A chunk of a segment: `sequence` counts from 0. */
  add(key, sequence, blob) {
    this.put({ path: `${key}/${sequence}`, body: blob, type: blob.type.split(";")[0] || "video/webm" });
  }

  /** Says that the segment is whole. */
  finish(key, chunks) {
    this.put({ path: `${key}/end`, body: JSON.stringify({ chunks }), type: "application/json" });
  }

  put(item) {
    if (this.closed) return;
    this.queue.push(item);
    this.bytes += item.body.size ?? 0;
    this.changed();
    this.sending ??= this.run().finally(() => (this.sending = null));
  }

  async run() {
    let pauseMs = FIRST_PAUSE_MS;
    while (this.queue.length > 0 && !this.closed) {
      const status = await this.send(this.queue[0]);
      if (OVER.has(status)) return this.over(status);
      if ((status >= 200 && status < 300) || this.hopeless(status)) {
        this.taken(status);
        pauseMs = FIRST_PAUSE_MS;
      } else {
        await this.pause(pauseMs * (0.75 + Math.random() / 2));
        pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
      }
    }
  }

  hopeless(status) {
    if (!BAD_CHUNK.has(status)) return false;
    const item = this.queue[0];
    item.tries = (item.tries ?? 0) + 1;
    return status === 413 || item.tries >= MOST_TRIES;
  }

  taken(status) {
    const item = this.queue.shift();
    this.bytes -= item?.body.size ?? 0;
    if (BAD_CHUNK.has(status)) this.dispatchEvent(new CustomEvent("refused", { detail: status }));
    this.changed();
  }

  /** The HTTP status, or 0 where there was no answer. */
  async send({ path, body, type }, keepalive = false) {
    const headers = { "Content-Type": type, "X-CSRFToken": this.csrfToken, Accept: "application/json" };
    const options = { method: "POST", body, headers, credentials: "same-origin", keepalive };
    try {
      return (await fetch(`${this.base}/${path}`, options)).status;
    } catch {
      return 0;
    }
  }

  pause(ms) {
    return new Promise((resolve) => {
      this.wake = resolve;
      setTimeout(resolve, ms);
    });
  }

  /** The network is back: do not wait any longer. */
  hurry() {
    this.wake?.();
  }

  over(status) {
    if (this.closed) return;
    this.closed = status;
    this.queue = [];
    this.bytes = 0;
    this.changed();
    this.dispatchEvent(new CustomEvent("over", { detail: status }));
  }

  /** The candidate agreed again: what was closed for want of consent takes chunks again. */
  reopen() {
    if (this.closed === 403) this.closed = 0;
  }

  changed() {
    this.dispatchEvent(new CustomEvent("change", { detail: { bytes: this.bytes, items: this.queue.length } }));
  }

  /** Waits until all is sent, for `limitMs` at most; whether it was. */
  async drained(limitMs) {
    const until = performance.now() + limitMs;
    while (this.queue.length > 0 && !this.closed && performance.now() < until) {
      this.hurry();
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    return this.queue.length === 0;
  }

  /** The page is going: whatever still fits into what a closing page may send. Chunks that came twice are the same. */
  lastWords() {
    let room = KEEPALIVE_BYTES;
    for (const item of this.queue) {
      room -= item.body.size ?? item.body.length;
      if (room < 0) return;
      this.send(item, true);
    }
  }
}
