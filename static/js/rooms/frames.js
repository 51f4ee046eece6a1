// One JPEG after another from the candidate's own camera, small, and only while somebody asks for them.

const LONGER_SIDE_PX = 480;
const JPEG_QUALITY = 0.8;

/** Size of a picture whose longer side is at most 480 px; the shape stays. */
export function frameSize(width, height) {
  const scale = Math.min(1, LONGER_SIDE_PX / Math.max(width, height));
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
}

function newCanvas() {
  // Safari before 16.4 has no OffscreenCanvas, and some versions have one without 2d.
  if (typeof OffscreenCanvas === "function" && OffscreenCanvas.prototype.convertToBlob) {
    const canvas = new OffscreenCanvas(1, 1);
    if (canvas.getContext("2d", { alpha: false })) return canvas;
  }
  return document.createElement("canvas");
}

function toJpeg(canvas) {
  const options = { type: "image/jpeg", quality: JPEG_QUALITY };
  if (canvas.convertToBlob) return canvas.convertToBlob(options);
  return new Promise((resolve) => canvas.toBlob(resolve, options.type, options.quality));
}

/** Reads a camera track through a video element that nobody sees. */
export class FrameSource {
  constructor() {
    this.track = null;
    this.canvas = null;
    this.video = null;
  }

  /** True while the camera gives pictures: on, not switched off in the call, not taken away. */
  get live() {
    return Boolean(this.track && this.track.readyState === "live" && this.track.enabled && !this.track.muted);
  }

  setTrack(track) {
    if (track === this.track) return;
    this.track = track;
    if (!track) return this.close();
    if (!this.video) this.open();
    this.video.srcObject = new MediaStream([track]);
    this.video.play().catch(() => {}); // plays with the next tap where the browser wants one
  }

  open() {
    this.video = document.createElement("video");
    this.video.muted = true;
    this.video.playsInline = true;
    this.video.className = "hidden"; // Safari does not decode what is not laid out
    this.video.setAttribute("aria-hidden", "true");
    this.video.tabIndex = -1;
    document.body.append(this.video);
  }

  /** The picture of now as a JPEG blob, or null where there is none. */
  async grab() {
    if (!this.live || this.video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA || !this.video.videoWidth) return null;
    if (this.video.paused) this.video.play().catch(() => {});
    this.canvas ??= newCanvas();
    const { width, height } = frameSize(this.video.videoWidth, this.video.videoHeight);
    if (this.canvas.width !== width) this.canvas.width = width;
    if (this.canvas.height !== height) this.canvas.height = height;
    this.canvas.getContext("2d", { alpha: false }).drawImage(this.video, 0, 0, width, height);
    return toJpeg(this.canvas);
  }

  close() {
    if (this.video) this.video.srcObject = null;
    this.video?.remove();
    this.video = null;
    this.canvas = null;
    this.track = null;
  }
}
