// What the server has of the interview so far: after a reload it comes in, after a socket that was away what was missed,
// and after a withdrawal it tells what is still there. Over HTTP, since it may be long: on the socket it would hold up
// what is now. See GET /api/rooms/{code}/summary.

const AGAIN_MS = 5000;
const MOST_TRIES = 5;
// The call comes first where a line has just come back; and after a restart of the server not all ask in one moment.
const LATER_MS = 2000;
const SPREAD_MS = 4000;

export class Past {
  #request = null;
  #timer = 0;

  /**
   * @param {{code?: string, now: () => number, take: (document: object, asked: number) => void}} options without `code`
   *   nothing is asked for; `now` tells the time of the interview (s); `take` gets the summary, and when it was asked for
   */
  constructor({ code, now, take }) {
    this.address = code ? `/api/rooms/${code}/summary` : null;
    this.now = now;
    this.take = take;
  }

  /** Ask in some seconds. */
  askLater() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.ask(), LATER_MS + SPREAD_MS * Math.random());
  }

  /** Ask; the answer to an older question does not count any more, and what is left of it stays off the line. */
  async ask(tries = 1) {
    if (!this.address) return;
    clearTimeout(this.#timer);
    this.#request?.abort();
    const request = (this.#request = new AbortController());
    const asked = this.now();
    const found = await this.#read(request.signal);
    if (request !== this.#request) return;
    if (found) this.take(found, asked);
    else if (tries < MOST_TRIES) this.#timer = setTimeout(() => this.ask(tries + 1), AGAIN_MS * tries);
  }

  async #read(signal) {
    try {
      const answer = await fetch(this.address, { headers: { Accept: "application/json" }, cache: "no-store", signal });
      return answer.ok ? await answer.json() : null;
    } catch {
      return null; // the line is away, or a newer question was asked; asked again, and whenever the socket is back
    }
  }
}
