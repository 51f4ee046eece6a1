// The microphone as chunks of 16 kHz PCM: an AudioContext at the device's own rate and a worklet that resamples.

const WORKLET = new URL("pcm-worklet.js", import.meta.url);
const TAPS = ["pointerdown", "keydown", "touchend"];

/** Delivers every sample of one audio track to `onChunk({pcm, first, atMs})`; `atMs` as `performance.now()`. */
export class PcmSource {
  /**
   * @param {(chunk: {pcm: ArrayBuffer, first: number, received: number, atMs: number}) => void} onChunk
   * @param {() => void} onState called when sound begins or ceases to run (iOS waits for a tap, calls interrupt)
   */
  constructor(onChunk, onState = () => {}) {
    this.onChunk = onChunk;
    this.onState = onState;
    this.context = null;
    this.track = null;
    this.wake = () => this.context?.resume().catch(() => {});
  }

  get running() {
    return this.context?.state === "running" && this.node !== undefined;
  }

  /**
   * Takes `track` (null: none). The same track again is left as it is, so that nothing is lost. Where it cannot be read,
   * or the worklet not loaded, all is closed and the promise rejected: another call tries anew.
   */
  async setTrack(track) {
    if (track === this.track) return;
    this.track = track;
    if (!track) return this.close();
    if (!this.context) await this.open();
    if (this.track) this.connect(); // another one perhaps, which was taken while the worklet was loading
  }

  async open() {
    const context = new AudioContext();
    this.context = context;
    context.onstatechange = () => this.stateChanged();
    for (const kind of TAPS) document.addEventListener(kind, this.wake, { passive: true });
    try {
      await context.audioWorklet.addModule(WORKLET);
    } catch (error) {
      if (this.context !== context) return; // closed meanwhile, and perhaps opened anew
      this.close();
      throw error;
    }
    if (this.context !== context) return;
    const options = { numberOfInputs: 1, numberOfOutputs: 1, outputChannelCount: [1], channelCount: 1 };
    this.node = new AudioWorkletNode(context, "pcm", { ...options, channelCountMode: "explicit" });
    this.node.port.onmessage = ({ data }) => this.take(data);
    this.node.connect(context.destination); // puts out silence; without it some browsers do not run the node
    this.wake();
  }

  connect() {
    if (!this.node) return;
    this.source?.disconnect();
    try {
      this.source = this.context.createMediaStreamSource(new MediaStream([this.track]));
    } catch (error) {
      this.close();
      throw error;
    }
    this.source.connect(this.node);
    this.stateChanged();
  }

  take({ pcm, first, received, at }) {
    if (!this.context || !this.track) return;
    const ago = Math.max(0, this.context.currentTime - at);
    this.onChunk({ pcm, first, received, atMs: performance.now() - ago * 1000 });
  }

  stateChanged() {
    // A call on the phone leaves an iPhone's context "interrupted"; it does not come back by itself.
    if (this.context && this.context.state !== "running" && this.context.state !== "closed") this.wake();
    this.onState();
  }

  close() {
    for (const kind of TAPS) document.removeEventListener(kind, this.wake);
    this.source?.disconnect();
    this.node?.port.postMessage("stop");
    this.node?.disconnect();
    if (this.context) this.context.onstatechange = null;
    this.context?.close().catch(() => {});
    this.context = null;
    this.node = undefined;
    this.source = undefined;
    this.track = null;
  }
}
