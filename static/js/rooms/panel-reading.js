// What the newest reading says: level, confidence, face and voice, speech. A number is never shown alone.

import { fill } from "./words.js";

const LANGUAGE = document.documentElement.lang || "en";
const decimals = (value, digits) =>
  value.toLocaleString(LANGUAGE, { minimumFractionDigits: digits, maximumFractionDigits: digits });
const percentOf = (share) => Math.round(share * 100);
// A suggestion comes with one reading and is worth reading for longer than that. *Assumption*
const SUGGESTION_MS = 45000;

/** Fills the parts of the panel that follow the readings. */
export class Now {
  /** @param {{part: (name: string) => HTMLElement, strings: object}} options */
  constructor({ part, strings }) {
    Object.assign(this, { part, strings });
    this.analysis = { state: "on", face: true, voice: true };
    this.level = "none";
    this.clear(strings.missing.not_yet);
  }

  // -- Pieces ------------------------------------------------------------------------------------

  number(name, text, unit = "") {
    const place = this.part(name);
    const shown = document.createElement("span");
    shown.className = "panel-value";
    shown.textContent = text;
    place.replaceChildren(shown);
    if (unit) place.append(" ", Object.assign(document.createElement("span"), { className: "panel-unit", textContent: unit }));
  }

  /** A dash that tells its reason where it gets the focus, the pointer or a tap. */
  dash(name, reason) {
    const place = this.part(name);
    let dash = place.querySelector(":scope > .panel-dash");
    if (!dash) {
      dash = Object.assign(document.createElement("span"), { className: "panel-dash", tabIndex: 0, textContent: "—" });
      dash.setAttribute("role", "img");
      place.replaceChildren(dash);
    }
    dash.dataset.reason = reason;
    dash.setAttribute("aria-label", fill(this.strings.missing.label, { reason }));
  }

  /** `value` as `text` with its unit, or the dash where there is none. */
  show(name, value, reason, text, unit) {
    if (value === null || value === undefined) this.dash(name, reason);
    else this.number(name, text(value), unit);
  }

  // -- Level and confidence ------------------------------------------------------------------------

  clear(reason) {
    this.showLevel(null, reason);
    this.showConfidence({ confidence: null, confidence_parts: null, voice_confidence: null }, reason);
    this.showSpeech(null, reason);
    this.part("recommendation").hidden = true;
  }

  take(reading) {
    const { missing } = this.strings;
    this.showLevel(reading.stress, missing.unreadable);
    this.showConfidence(reading, missing.unreadable);
    this.showFace(reading);
    this.showVoice(reading);
    if (reading.recommendation) this.suggest(reading.recommendation);
  }

  showLevel(stress, reason) {
    const { levels } = this.strings;
    this.level = !stress ? "none" : stress.unsure ? "unsure" : stress.level;
    for (const shape of this.part("root").querySelectorAll("[data-part=shape]")) shape.dataset.level = this.level;
    this.part("level").dataset.level = this.level;
    if (!stress) {
      this.dash("level-word", reason);
      this.part("sure").textContent = "";
      return;
    }
    const percent = percentOf(stress.model_confidence);
    this.part("level-word").textContent = levels[this.level];
    const text = stress.unsure ? this.strings.closest : this.strings.sure;
    this.part("sure").textContent = fill(text, { percent, level: levels[stress.level] });
  }

  showConfidence({ confidence, confidence_parts: parts, voice_confidence: voice }, reason) {
    const whole = (value) => decimals(value, 0);
    this.show("confidence", confidence, reason, whole, this.strings.of_100);
    this.show("voice-confidence", voice, confidence == null ? reason : this.strings.missing.no_voice, whole, this.strings.of_100);
    for (const name of ["eye_contact", "fluency", "calm"]) {
      const why = parts ? this.strings.missing.part : reason;
      this.show(`part-${name}`, parts?.[name] ?? null, why, (share) => fill(this.strings.percent, { percent: percentOf(share) }));
    }
  }

  suggest({ code, text }) {
    this.part("recommendation-text").textContent = this.strings.recommendations[code] ?? text;
    this.part("recommendation").hidden = false;
    clearTimeout(this.suggestion);
    this.suggestion = setTimeout(() => (this.part("recommendation").hidden = true), SUGGESTION_MS);
  }

  // -- Face and voice ------------------------------------------------------------------------------

  source(name, used, words) {
    this.part(name).dataset.used = used ? "yes" : "no";
    const place = this.part(`${name}-words`);
    if (place.textContent !== words) place.textContent = words;
  }

  showFace({ face, sources }) {
    if (!this.analysis.face) return this.source("face", false, this.strings.face.off);
    const used = face?.quality === "ok" && (sources?.includes("face") || face.detected);
    this.source("face", used, this.faceWords(face));
  }

  faceWords(face) {
    const { face: words } = this.strings;
    if (!face?.quality) return words.waiting;
    if (face.quality !== "ok") return words.quality[face.quality] ?? face.quality;
    if (face.count > 1) return fill(words.several, { count: face.count });
    if (face.eye_contact === true) return words.looks;
    return face.eye_contact === false ? words.looks_away : words.seen;
  }

  showVoice({ voice, sources }) {
    if (!this.analysis.voice) return this.source("voice", false, this.strings.voice.off);
    const used = voice?.quality === "ok" && (sources?.includes("voice") || voice.speaking);
    this.source("voice", used, this.voiceWords(voice));
  }

  voiceWords(voice) {
    const { voice: words } = this.strings;
    if (!voice?.quality) return words.waiting;
    if (voice.quality !== "ok") return words.quality[voice.quality] ?? voice.quality;
    return voice.speaking ? words.speaking : words.silent;
  }

  // -- Speech --------------------------------------------------------------------------------------

  showSpeech(metrics, reason = this.strings.missing.no_voice) {
    const { speech, missing, percent } = this.strings;
    const seconds = (value) => fill(speech.seconds, { seconds: decimals(value, 1) });
    const windowText = metrics ? fill(speech.pauses, { seconds: Math.round(metrics.window_s) }) : "";
    this.show("rate", metrics?.rate ?? null, reason, (value) => decimals(value, 1), metrics && (speech.units[metrics.rate_unit] ?? metrics.rate_unit));
    this.show("speech-share", metrics?.speech_share ?? null, reason, (share) => fill(percent, { percent: percentOf(share) }), windowText);
    this.show("pauses", metrics?.pauses ?? null, reason, (count) => decimals(count, 0), windowText);
    const none = metrics?.pauses === 0 ? missing.no_pause : reason;
    this.show("longest-pause", metrics?.pauses === 0 ? null : (metrics?.longest_pause_s ?? null), none, seconds);
    this.part("speech-method").textContent = metrics ? this.speechMethod(metrics) : "";
  }

  speechMethod(metrics) {
    const { speech } = this.strings;
    if (metrics.rate == null) return "";
    const method = speech.methods[metrics.rate_method] ?? metrics.rate_method;
    const words = metrics.words_per_minute;
    const about = words == null ? "" : `${fill(speech.words_per_minute, { count: Math.round(words) })}. `;
    const text = fill(speech.method, { seconds: Math.round(metrics.window_s), method });
    return about ? about[0].toUpperCase() + about.slice(1) + text : text;
  }

  // -- State ---------------------------------------------------------------------------------------

  /** `analysis-status`: what is analysed at all. */
  setAnalysis(status) {
    this.analysis = status;
    if (status.state === "off") this.clear(this.strings.missing.off);
    const nothing = { face: null, voice: null, sources: [] };
    if (!status.face) this.showFace(nothing);
    if (!status.voice) this.showVoice(nothing);
    if (!status.voice) this.showSpeech(null, this.strings.missing.off);
    if (status.face && this.part("face-words").textContent === this.strings.face.off) this.showFace(nothing);
    if (status.voice && this.part("voice-words").textContent === this.strings.voice.off) this.showVoice(nothing);
  }

  showLatency(latencyMs, dropped) {
    if (latencyMs == null) return (this.part("latency").textContent = "");
    const words = [fill(this.strings.latency, { seconds: decimals(latencyMs / 1000, 1) })];
    if (dropped > 0) words.push(fill(this.strings.dropped, { count: decimals(dropped, 0) }));
    this.part("latency").textContent = words.join(" · ");
  }
}
