// Hands the recording's chunks to the server, one after another in their order, and keeps at it. Chunks are kept in the
// browser before they are sent, where it can (chunk-store.js), and in memory where it cannot.

import { openStore } from "./chunk-store.js";

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 10000;
const KEEPALIVE_BYTES = 60 * 1024; // browsers let a closing page send 64 KiB
// A request on the connection of a network that was left is never answered, and browsers wait for it for minutes.
// Assumptions: a line that carries less than 32 kbit/s of the recording is dead; an answer takes less than 20 s.
const ANSWER_WITHIN_MS = 20000;
const LEAST_BYTES_PER_MS = 4;
const LINE_CHANGED_MS = 3000; // what has gone on for so long when another socket had to be opened goes the old way
const IN_MEMORY_BYTES = 8 * 1024 * 1024; // of chunks that are kept in the browser anyway
const BAD_CHUNK = new Set([400, 411, 413, 415, 422]);
// Our words for answers whose meaning is in their code:
const OTHER_CONTENT = 422; // a 409 that concerns one chunk alone
export const RECORDING_FULL = -413; // a 413 that concerns all that would follow
const NOT_OURS = 0; // a 403 without a code speaks of the page's token, not of consent: a reload brings another
// Answers after which sending the same again is in vain.
const OVER = new Set([401, 403, 404, 409, 410, RECORDING_FULL]);
const MOST_TRIES = 3; // of a chunk that the server calls bad: it may have broken off on the way

/**
 * A queue of chunks and segment ends. Events: `change` (bytes waiting), `over` (detail: HTTP status; nothing more is
 * taken, and nothing is kept any more), `refused` (one chunk was not taken).
 */
export class Uploads extends EventTarget {
  /** @param {{code: string, csrfToken: string, keeping?: {who: string, key: string} | null}} options */
  constructor({ code, csrfToken, keeping }) {
    super();
    this.base = `/rooms/${code}/recording`;
    this.csrfToken = csrfToken;
    this.queue = [];
    this.bytes = 0;
    this.restBytes = 0; // of them, what an earlier page left
    this.sending = null;
    this.closed = 0; // the HTTP status that ended it
    this.answered = true; // whether the server answered the last time
    this.own = new Set(); // segments of this page
    this.opening = keeping ? openStore(code, keeping) : Promise.resolve(null);
  }

  get memoryBytes() {
    return this.queue.reduce((sum, { body }) => sum + (body?.size ?? 0), 0);
  }

  /** A chunk of a segment: `sequence` counts from 0; `begunS`: when the segment began, null where that is not known. */
  add(segment, sequence, blob, begunS = null) {
    const item = chunk(segment, sequence, blob.size, blob.type, blob);
    item.begunS = begunS;
    this.own.add(segment);
    item.keeping = this.closed ? null : this.keep(item);
    this.put([item]);
  }

  /** Says that the segment is whole. */
  finish(segment, chunks) {
    this.put([end(segment, chunks)]);
  }

  put(items, first = false) {
    if (this.closed) return;
    this.queue.splice(first ? (this.sending ? 1 : 0) : this.queue.length, 0, ...items);
    this.bytes += items.reduce((sum, { size }) => sum + size, 0);
    this.changed();
    this.sending ??= this.run();
  }

  /** Before it is sent a chunk is kept, so that it is sent whatever becomes of this page. */
  async keep(item) {
    const store = await this.opening;
    if (!store || this.closed) return;
    item.kept = await store.put(item.segment, item.sequence, item.body, item.begunS);
    if (item.kept && this.memoryBytes > IN_MEMORY_BYTES) item.body = null;
    this.changed();
  }

  /**
   * Sends what an earlier page of this browser left: one that was loaded anew, or died.
   * @returns {Promise<number>} how many bytes that is
   */
  async resume() {
    const store = await this.opening;
    if (!store || this.closed) return 0;
    const left = (await store.rest()).filter(({ segment }) => !this.own.has(segment));
    if (left.length === 0 || this.closed) return 0;
    const items = left.flatMap(({ segment, count, begunS, chunks }) => [
      ...chunks.map(({ sequence, size, type }) => ({ ...chunk(segment, sequence, size, type, null), begunS })),
      end(segment, count),
    ]);
    for (const item of items) Object.assign(item, { kept: true, rest: true });
    const bytes = items.reduce((sum, { size }) => sum + size, 0);
    this.restBytes += bytes;
    this.put(items, true);
    return bytes;
  }

  async run() {
    let pauseMs = FIRST_PAUSE_MS;
    while (this.queue.length > 0) {
      const [item] = this.queue;
      await item.keeping;
      const status = this.queue[0] === item ? await this.send(item) : 0;
      if (this.queue[0] !== item) continue; // it was over meanwhile, and perhaps began again
      this.heard(status !== 0);
      if (OVER.has(status)) {
        this.over(status);
      } else if ((status >= 200 && status < 300) || this.hopeless(item, status)) {
        this.taken(item, status);
        pauseMs = FIRST_PAUSE_MS;
      } else {
        await this.pause(pauseMs * (0.75 + Math.random() / 2));
        pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
      }
    }
    this.sending = null;
  }

  heard(answered) {
    if (answered === this.answered) return;
    this.answered = answered;
    this.changed();
  }

  hopeless(item, status) {
    if (!BAD_CHUNK.has(status)) return false;
    item.tries = (item.tries ?? 0) + 1;
    return status === 413 || status === OTHER_CONTENT || item.tries >= MOST_TRIES;
  }

  taken(item, status) {
    this.queue.shift();
    this.bytes -= item.size;
    if (item.rest) this.restBytes -= item.size;
    this.release(item);
    if (BAD_CHUNK.has(status)) this.dispatchEvent(new CustomEvent("refused", { detail: status }));
    this.changed();
  }

  async release({ segment, sequence, size, kept, isEnd }) {
    const store = await this.opening;
    if (isEnd) store?.removeEnd(segment);
    else if (kept) store?.remove(segment, sequence, size);
  }

  /** The HTTP status, 0 where there was no answer, 422 where the chunk cannot be sent. */
  async send(item, keepalive = false) {
    const body = item.body ?? (await (await this.opening)?.get(item.segment, item.sequence, item.type));
    if (!body) return OTHER_CONTENT; // it is gone: another page has sent it
    const headers = { "Content-Type": item.type, "X-CSRFToken": this.csrfToken, Accept: "application/json" };
    if (item.begunS != null) headers["X-Segment-Begun"] = String(item.begunS);
    const limit = keepalive ? null : this.limit(item.size);
    const options = { method: "POST", body, headers, credentials: "same-origin", keepalive, signal: limit?.signal };
    try {
      const answer = await fetch(`${this.base}/${item.path}`, options);
      return answer.ok ? answer.status : await meaning(answer);
    } catch {
      return 0;
    } finally {
      clearTimeout(limit?.timer);
    }
  }

  /** Ends the request that is about to be made where nothing comes of it in time. */
  limit(bytes) {
    const giveUp = new AbortController();
    const timer = setTimeout(() => giveUp.abort(), ANSWER_WITHIN_MS + bytes / LEAST_BYTES_PER_MS);
    this.trying = { giveUp, since: performance.now() };
    return { signal: giveUp.signal, timer };
  }

  /** The network may be another one: what is under way for long is sent again. */
  lineChanged() {
    if (this.trying && performance.now() - this.trying.since > LINE_CHANGED_MS) this.trying.giveUp.abort();
    this.hurry();
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

  /** Nothing more is sent, and nothing is kept. */
  over(status) {
    this.opening.then((store) => store?.clear());
    if (this.closed) return;
    this.closed = status;
    this.queue = [];
    this.bytes = this.restBytes = 0;
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
      room -= item.body ? (item.body.size ?? item.body.length) : Infinity;
      if (room < 0) return;
      this.send(item, true);
    }
  }
}

function chunk(segment, sequence, size, type, body) {
  return { segment, sequence, path: `${segment}/${sequence}`, size, type: type.split(";")[0] || "video/webm", body };
}

/** The status of a refusal, or our word for it. */
async function meaning(answer) {
  const { error } = await answer.json().catch(() => ({}));
  if (answer.status === 409 && error?.code === "other_content") return OTHER_CONTENT;
  if (answer.status === 413 && error?.code === "recording_full") return RECORDING_FULL;
  return answer.status === 403 && !error?.code ? NOT_OURS : answer.status;
}

function end(segment, chunks) {
  const body = JSON.stringify({ chunks });
  return { segment, path: `${segment}/end`, size: 0, type: "application/json", body, isEnd: true };
}
