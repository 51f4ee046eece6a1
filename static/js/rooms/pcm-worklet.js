// Turns the microphone's samples into 16 kHz mono s16le, every one of them, on the audio thread.
//
// Resampling by a polyphase windowed-sinc filter: with the ratio reduced to UP / DOWN, output n is the filter's phase
// (n × DOWN mod UP) laid over the input around n × DOWN / UP. Nothing is interpolated twice and nothing left out, so
// that the pitch is exact and what lies above 8 kHz does not fold back into speech.

const RATE_HZ = 16000;
const CHUNK_MS = 250;
const ZERO_CROSSINGS = 32; // on each side of the middle: flat to 6.9 kHz, gone from 8.2 kHz on
const CUTOFF = 0.94; // of the lower Nyquist frequency: leaves room for the filter to fall

const divisor = (a, b) => (b ? divisor(b, a % b) : a);
const sinc = (x) => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));
// Blackman: side lobes under -58 dB of the window itself.
const blackman = (x) => (Math.abs(x) >= 1 ? 0 : 0.42 + 0.5 * Math.cos(Math.PI * x) + 0.08 * Math.cos(2 * Math.PI * x));

/** The filter's coefficients, phase after phase, each summing to one so that loudness stays. */
function coefficients(up, half, cutoff) {
  const table = new Float32Array(up * 2 * half);
  for (let phase = 0; phase < up; phase += 1) {
    const row = table.subarray(phase * 2 * half, (phase + 1) * 2 * half);
    for (let tap = 0; tap < 2 * half; tap += 1) {
      const x = tap - half + 1 - phase / up;
      row[tap] = sinc(x * cutoff) * blackman(x / half);
    }
    const sum = row.reduce((all, one) => all + one, 0);
    for (let tap = 0; tap < 2 * half; tap += 1) row[tap] /= sum;
  }
  return table;
}

/** Takes blocks at `rate` Hz of any length, gives samples at 16 kHz to `put`; keeps its place between blocks. */
class Resampler {
  constructor(rate) {
    const common = divisor(RATE_HZ, Math.round(rate));
    this.up = RATE_HZ / common;
    this.down = Math.round(rate) / common;
    const cutoff = CUTOFF * Math.min(1, this.up / this.down);
    this.half = Math.ceil(ZERO_CROSSINGS / cutoff);
    this.table = coefficients(this.up, this.half, cutoff);
    // Silence before the first sample, so that output 0 lies on input 0.
    this.kept = new Float32Array(this.half - 1);
    this.phase = 0;
  }

  feed(block, put) {
    const input = new Float32Array(this.kept.length + block.length);
    input.set(this.kept);
    input.set(block, this.kept.length);
    let from = 0;
    while (from + 2 * this.half <= input.length) {
      put(this.at(input, from));
      this.phase += this.down;
      from += Math.floor(this.phase / this.up);
      this.phase %= this.up;
    }
    // `from` can pass the end when one output takes more than one block's worth of steps: never with blocks of 128.
    this.kept = input.slice(Math.min(from, input.length));
  }

  at(input, from) {
    const row = this.phase * 2 * this.half;
    let sum = 0;
    for (let tap = 0; tap < 2 * this.half; tap += 1) sum += input[from + tap] * this.table[row + tap];
    return sum;
  }
}

class PcmProcessor extends AudioWorkletProcessor {
  constructor() {
    super();
    this.resampler = new Resampler(sampleRate);
    this.size = (RATE_HZ * CHUNK_MS) / 1000;
    this.received = 0;
    this.sent = 0;
    this.running = true;
    this.begin();
    this.port.onmessage = ({ data }) => {
      if (data === "stop") this.running = false;
      if (data === "flush") this.deliver();
    };
  }

  begin() {
    this.view = new DataView(new ArrayBuffer(this.size * 2));
    this.filled = 0;
  }

  put(value) {
    if (this.filled === 0) this.startedAt = currentTime;
    const scaled = Math.round(Math.max(-1, Math.min(1, value)) * 32767);
    this.view.setInt16(this.filled * 2, scaled, true);
    this.filled += 1;
    if (this.filled === this.size) this.deliver();
  }

  /** `first`: number of the chunk's first sample; `received`: input samples so far; `at`: the context's time, s. */
  deliver() {
    const pcm = this.view.buffer.slice(0, this.filled * 2);
    const told = { pcm, first: this.sent, received: this.received, at: this.startedAt ?? currentTime };
    this.sent += this.filled;
    this.begin();
    this.port.postMessage(told, [pcm]);
  }

  process(inputs) {
    const block = inputs[0][0]; // the node mixes to one channel
    if (block && this.running) {
      this.received += block.length;
      this.resampler.feed(block, (value) => this.put(value));
    }
    return this.running;
  }
}

registerProcessor("pcm", PcmProcessor);
