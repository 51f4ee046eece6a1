// The readings of the interview so far, and what is drawn and said of them.

const GAP_S = 6;
const POINTS = 240;
const MOST_READINGS = 4 * 3600; // four hours at one a second; older ones go
const VALUE = { low: 0, medium: 1, high: 2 };

/** A reading as a point: `level` from 0 (low) to 2 (high) by the probabilities, so that the line does not jump. */
function pointOf({ t, stress, confidence }) {
  const level = stress ? stress.probabilities.medium + 2 * stress.probabilities.high : null;
  return { t, level, name: stress?.level ?? null, unsure: Boolean(stress?.unsure), confidence: confidence ?? null };
}

/** Points of a summary's timeline. Each stands for the time until the next, as long interviews are told in means. */
function pastOf(timeline) {
  const seconds = (n) => {
    const gap = (timeline[n + 1]?.t ?? Infinity) - timeline[n].t;
    return gap <= GAP_S ? gap : 1;
  };
  return timeline.map(({ t, medium, high, level, confidence }, n) => ({
    t,
    level: medium === null || high === null ? null : medium + 2 * high,
    name: level,
    unsure: level === "unsure",
    confidence,
    seconds: seconds(n),
  }));
}

const secondsOf = (points) => points.reduce((all, { seconds = 1 }) => all + seconds, 0);

const mean = (values) => {
  const known = values.filter((one) => one !== null);
  return known.length ? known.reduce((all, one) => all + one, 0) / known.length : null;
};

export class Readings {
  constructor() {
    this.all = [];
  }

  add(reading) {
    const last = this.all.at(-1);
    if (last && reading.t <= last.t) return; // after a reconnect the same one may come twice
    this.all.push(pointOf(reading));
    if (this.all.length > MOST_READINGS) this.all.splice(0, 600);
  }

  /** What the server has takes the place of all but what came from `newer` (s) on, which it may not have stored yet. */
  load(timeline, newer) {
    const past = pastOf(timeline);
    const last = past.at(-1)?.t ?? -Infinity;
    this.all = [...past, ...this.all.filter(({ t }) => t > last && t >= newer)];
  }

  clear() {
    this.all = [];
  }

  from(start) {
    let first = this.all.length;
    while (first > 0 && this.all[first - 1].t >= start) first -= 1;
    return this.all.slice(first);
  }

  /** At most 240 points from `start` to `end` (s), with an empty one wherever nothing was read for six seconds. */
  points(start, end) {
    const width = Math.max(1, (end - start) / POINTS);
    const readings = this.from(start);
    const thinned = width > 1.5 ? buckets(readings, start, width) : readings;
    return withGaps(thinned, Math.max(GAP_S, 2.5 * width));
  }

  /** What a sentence about `start` to now needs; null where nothing was read. */
  summary(start) {
    const readings = this.from(start);
    const read = readings.filter((one) => one.name !== null);
    if (read.length === 0) return null;
    const sure = read.filter((one) => !one.unsure);
    const counts = Object.keys(VALUE).map((name) => [name, secondsOf(sure.filter((one) => one.name === name))]);
    const seconds = secondsOf(read);
    const [mostly, count] = counts.reduce((most, one) => (one[1] > most[1] ? one : most));
    const known = readings.map((one) => one.confidence).filter((one) => one !== null);
    return {
      mostly: sure.length ? mostly : "unsure",
      share: sure.length ? count / seconds : 1,
      seconds, // readings come once a second
      highSeconds: counts[2][1],
      unsureSeconds: seconds - secondsOf(sure),
      confidence: known.length ? { least: Math.min(...known), most: Math.max(...known), now: known.at(-1) } : null,
    };
  }
}

function buckets(readings, start, width) {
  const groups = new Map();
  for (const one of readings) {
    const number = Math.floor((one.t - start) / width);
    if (!groups.has(number)) groups.set(number, []);
    groups.get(number).push(one);
  }
  return [...groups.values()].map((group) => ({
    t: mean(group.map((one) => one.t)),
    level: mean(group.map((one) => one.level)),
    unsure: group.filter((one) => one.unsure).length * 2 > group.length,
    confidence: mean(group.map((one) => one.confidence)),
  }));
}

function withGaps(points, gap) {
  const drawn = [];
  for (const one of points) {
    const before = drawn.at(-1);
    if (before && one.t - before.t > gap) drawn.push({ t: before.t + 0.1, level: null, confidence: null, unsure: false });
    drawn.push(one);
  }
  return drawn;
}
