// The trend of the panel, drawn by Chart.js (a classic script, so a global), and the same in words.

import { clock, fill } from "./words.js";

const TWO_MINUTES_S = 120;
const SHORTEST_S = 60;
const LEAST_SECONDS = 10; // a sentence about fewer readings would say nothing
const STEPS_S = [15, 30, 60, 120, 300, 600, 900, 1800, 3600];
const WORDS_EVERY_MS = 10000;
const NAMES = ["low", "medium", "high"];

const tokens = () => {
  const style = getComputedStyle(document.documentElement);
  const names = ["text", "quiet", "line", "accent", "surface", "low", "medium", "high"];
  return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
};

const type = (colours) => ({ color: colours.quiet, font: { size: 14, family: getComputedStyle(document.body).fontFamily } });
const bubble = (colours) => ({ backgroundColor: colours.text, titleColor: colours.surface, bodyColor: colours.surface });

/** Pale bands behind the line: where low, medium and high lie. */
const bands = {
  id: "bands",
  beforeDatasetsDraw({ ctx, chartArea, scales, $colours }) {
    ctx.save();
    ctx.globalAlpha = 0.12;
    [[0, 0.5], [0.5, 1.5], [1.5, 2]].forEach(([from, to], index) => {
      const top = scales.level.getPixelForValue(to);
      ctx.fillStyle = $colours[NAMES[index]];
      ctx.fillRect(chartArea.left, top, chartArea.width, scales.level.getPixelForValue(from) - top);
    });
    ctx.restore();
  },
};

/** Where each question began: a thin line and its number. */
const marks = {
  id: "marks",
  afterDatasetsDraw({ ctx, chartArea, scales, $colours, $marks, $label }) {
    ctx.save();
    ctx.strokeStyle = $colours.quiet;
    ctx.fillStyle = $colours.quiet;
    ctx.font = `14px ${getComputedStyle(document.body).fontFamily}`;
    let free = -Infinity;
    for (const { t, number } of $marks) {
      const x = scales.x.getPixelForValue(t);
      if (x < chartArea.left || x > chartArea.right) continue;
      ctx.setLineDash([2, 3]);
      ctx.beginPath();
      ctx.moveTo(x, chartArea.top);
      ctx.lineTo(x, chartArea.bottom);
      ctx.stroke();
      const text = fill($label, { number: number + 1 });
      const wide = ctx.measureText(text).width;
      if (x < free || x + 3 + wide > chartArea.right) continue;
      ctx.fillText(text, x + 3, chartArea.top + 12);
      free = x + wide + 8;
    }
    ctx.restore();
  },
};

/** One chart and its sentence; both look at the same readings. */
export class Trend {
  /** @param {{root: Element, strings: object, readings: import("./panel-store.js").Readings}} options */
  constructor({ root, strings, readings }) {
    Object.assign(this, { root, strings, readings, words: strings.trend });
    this.canvas = root.querySelector("[data-part=chart]");
    this.sentence = root.querySelector("[data-part=trend-words]");
    this.buttons = [...root.querySelectorAll("[data-span]")];
    this.marks = [];
    this.span = "120";
    this.now = 0;
    this.said = -Infinity;
    for (const button of this.buttons) button.addEventListener("click", () => this.choose(button.dataset.span));
    this.dark = matchMedia("(prefers-color-scheme: dark)");
    this.dark.addEventListener("change", () => this.dress());
    document.addEventListener("visibilitychange", () => this.draw());
    this.say();
  }

  choose(span) {
    this.span = span;
    for (const button of this.buttons) button.setAttribute("aria-pressed", String(button.dataset.span === span));
    this.draw();
    this.say();
  }

  mark(number, t) {
    if (t === undefined || this.marks.some((one) => one.number === number && one.t === t)) return;
    this.marks.push({ number, t });
    this.draw();
  }

  /** All marks as the server has them, and those that came while it was asked. */
  setMarks(marks) {
    const last = marks.at(-1)?.t ?? -Infinity;
    this.marks = [...marks, ...this.marks.filter(({ t }) => t > last + 0.1)];
  }

  get start() {
    return this.span === "all" ? 0 : this.now - TWO_MINUTES_S;
  }

  /** The clock of the interview moved, or a reading came. */
  move(now) {
    this.now = Math.max(this.now, now);
    this.draw();
    if (this.wordless || performance.now() - this.said >= WORDS_EVERY_MS) this.say();
  }

  draw() {
    if (document.hidden || !this.canvas.offsetParent || typeof Chart === "undefined") return;
    this.chart ??= this.build();
    const { chart, start } = this;
    const end = Math.max(this.now, start + SHORTEST_S);
    const points = this.readings.points(start, end);
    const [level, confidence] = chart.data.datasets;
    level.data = points.map((one) => ({ x: one.t, y: one.level, unsure: one.unsure }));
    confidence.data = points.map((one) => ({ x: one.t, y: one.confidence }));
    chart.options.scales.x.min = start;
    chart.options.scales.x.max = end;
    chart.$marks = this.marks;
    chart.update("none");
  }

  build() {
    const [level, confidence] = this.styles(tokens());
    return new Chart(this.canvas, {
      type: "line",
      data: { datasets: [{ yAxisID: "level", ...level }, { yAxisID: "confidence", ...confidence }] },
      options: this.options(),
      plugins: [{ id: "before", beforeInit: (chart) => this.prepare(chart) }, bands, marks],
    });
  }

  /** How the two lines look; what is not sure is pale and dotted. */
  styles(colours) {
    const line = { pointRadius: 0, pointHitRadius: 8, pointHoverRadius: 3, spanGaps: false, borderWidth: 2 };
    const unsure = (part) => part.p1.raw.unsure;
    const segment = {
      borderColor: (part) => (unsure(part) ? colours.quiet : undefined),
      borderDash: (part) => (unsure(part) ? [2, 3] : undefined),
    };
    return [
      { ...line, borderColor: colours.text, backgroundColor: colours.text, cubicInterpolationMode: "monotone", segment },
      { ...line, borderColor: colours.accent, backgroundColor: colours.accent, borderDash: [6, 4] },
    ];
  }

  prepare(chart) {
    Object.assign(chart, { $colours: tokens(), $marks: this.marks, $label: this.words.question });
  }

  options() {
    const hidden = { display: false };
    const words = (value) => this.strings.levels[NAMES[value]];
    const colours = tokens();
    const scale = (more, ticks) => ({ ...more, grid: hidden, ticks: { ...ticks, ...type(colours) }, border: { color: colours.line } });
    return {
      animation: false,
      responsive: true,
      maintainAspectRatio: false,
      parsing: false,
      normalized: true,
      interaction: { mode: "nearest", axis: "x", intersect: false },
      scales: {
        x: scale({ type: "linear", afterBuildTicks: (axis) => (axis.ticks = this.ticks(axis)) }, { maxRotation: 0, autoSkip: false, callback: (value) => this.tick(value) }),
        level: scale({ min: 0, max: 2 }, { stepSize: 1, callback: words }),
        confidence: scale({ position: "right", min: 0, max: 100 }, { stepSize: 50 }),
      },
      plugins: { legend: hidden, colors: { enabled: false }, tooltip: { displayColors: false, callbacks: this.tooltip(), ...bubble(colours) } },
    };
  }

  ticks({ min, max }) {
    if (this.span !== "all") return [min, (min + max) / 2, max].map((value) => ({ value }));
    const step = STEPS_S.find((one) => (max - min) / one <= 4) ?? (max - min) / 4;
    const count = Math.floor((max - min) / step) + 1;
    return Array.from({ length: count }, (unused, number) => ({ value: number * step }));
  }

  /** Times count back from now in the short view, and from the beginning in the long one. */
  tick(value) {
    if (this.span === "all") return clock(value);
    const ago = Math.round(this.now - value);
    return ago === 0 ? this.words.now : `−${clock(ago)}`;
  }

  tooltip() {
    return {
      title: (items) => (items.length ? clock(items[0].parsed.x) : ""),
      label: ({ datasetIndex, parsed }) => {
        if (datasetIndex === 1) return fill(this.words.confidence_at, { value: Math.round(parsed.y) });
        return fill(this.words.level_at, { level: this.strings.levels[NAMES[Math.round(parsed.y)]] });
      },
    };
  }

  /** The system turned dark or light: the page's tokens anew. */
  dress() {
    if (!this.chart) return;
    this.chart.destroy();
    this.chart = null;
    this.draw();
  }

  /** The sentence under the chart, which is its text alternative too. */
  say() {
    this.said = performance.now();
    const text = this.inWords();
    this.sentence.textContent = text;
    this.canvas.setAttribute("aria-label", `${this.words.label} ${text}`);
  }

  inWords() {
    const { words } = this;
    const found = this.readings.summary(this.start);
    this.wordless = !found || found.seconds < LEAST_SECONDS;
    if (!found) return words.empty;
    if (this.wordless) return words.few;
    const all = this.span === "all";
    const span = clock(all ? 0 : Math.min(TWO_MINUTES_S, Math.max(this.now, found.seconds)));
    const level = this.strings.levels[found.mostly];
    const percent = Math.round(found.share * 100);
    const parts = [fill(all ? words.mostly_all : words.mostly, { span, level, percent, read: clock(found.seconds) })];
    if (found.highSeconds) parts.push(fill(words.high, { time: clock(found.highSeconds) }));
    if (found.unsureSeconds && found.mostly !== "unsure") parts.push(fill(words.unsure, { time: clock(found.unsureSeconds) }));
    const { confidence } = found;
    if (confidence) {
      const [least, most, now] = [confidence.least, confidence.most, confidence.now].map(Math.round);
      parts.push(fill(words.confidence, { least, most, now }));
    }
    return parts.join(" ");
  }
}
