// When a line is too slow for a picture, the voice goes on alone; the picture comes back by itself.

// Readings come every two seconds. Assumptions: six poor seconds are more than a hiccup; twenty good ones are worth a new
// try; a try that fails soon is repeated after twice the time, for two minutes at most.
const POOR_READINGS = 3;
const GOOD_READINGS = 10;
const LONGEST_GOOD_READINGS = 60;
const SOON_READINGS = 10;

/** Decides from the readings of one line whether its picture pauses. */
export class Fallback {
  paused = false;
  #poor = 0;
  #good = 0;
  #since = Infinity;
  #wanted = GOOD_READINGS;

  /**
   * @param {{congested: boolean, starved: boolean}} reading
   * @returns {boolean} whether `paused` changed
   */
  feed({ congested, starved }) {
    this.#since += 1;
    // Without a picture hardly anything is sent, so that the estimate of the bit rate stays low and tells nothing.
    return this.paused ? this.#mayReturn(congested) : this.#mustPause(congested || starved);
  }

  #mustPause(poor) {
    this.#poor = poor ? this.#poor + 1 : 0;
    if (this.#poor < POOR_READINGS) return false;
    this.#wanted = this.#since < SOON_READINGS ? Math.min(this.#wanted * 2, LONGEST_GOOD_READINGS) : GOOD_READINGS;
    this.#good = 0;
    this.paused = true;
    return true;
  }

  #mayReturn(congested) {
    this.#good = congested ? 0 : this.#good + 1;
    if (this.#good < this.#wanted) return false;
    this.#poor = this.#since = 0;
    this.paused = false;
    return true;
  }
}
