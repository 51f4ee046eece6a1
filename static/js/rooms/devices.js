// Camera and microphone: opening them, telling apart why one cannot be had, and remembering the choice.

const REMEMBERED = "call-devices";
const LEVEL_EVERY_MS = 80;
// Assumption: speech at a usual distance lies between these levels; the meter spans them.
const METER_FLOOR_DB = -60;
const METER_TOP_DB = -12;
// Assumption: who sees the browser's question has answered it by then. Firefox puts it away at a click beside it and
// then waits for ever, as it does in a tab that nobody looks at.
const ASKED_FOR_MS = 6000;
// The wanted picture: enough for a face, little enough for four in a mesh on a laptop.
const PICTURE = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 24, max: 30 } };
const SOUND = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };

const KINDS = { microphone: "audio", camera: "video" };
const tracksOf = (stream, kind) => (stream?.getTracks() ?? []).filter((track) => track.kind === KINDS[kind]);

// -- What was chosen before -------------------------------------------------------------------

/** The device ids of the last call: `{audioDeviceId, videoDeviceId}`, either may be missing. */
export function rememberedDevices() {
  try {
    return JSON.parse(localStorage.getItem(REMEMBERED)) ?? {};
  } catch {
    return {}; // A browser that keeps nothing, or an old entry that cannot be read: choose anew.
  }
}

/** Keep a choice for the next call. */
export function rememberDevices(choice) {
  try {
    localStorage.setItem(REMEMBERED, JSON.stringify({ ...rememberedDevices(), ...choice }));
  } catch {
    // Private windows may keep nothing; the choice then holds for this page.
  }
}

// -- Opening ----------------------------------------------------------------------------------

// `exact`: Chromium takes its default microphone whatever `ideal` names.
const constraintsOf = {
  microphone: (id) => ({ ...SOUND, ...(id ? { deviceId: { exact: id } } : {}) }),
  camera: (id) => ({ ...PICTURE, ...(id ? { deviceId: { exact: id } } : { facingMode: "user" }) }),
};

async function allowedByBrowser(kind) {
  try {
    return (await navigator.permissions.query({ name: kind })).state === "granted";
  } catch {
    return false; // Firefox below 131 and Safari below 16 do not know these names.
  }
}

/**
 * Why `getUserMedia` failed.
 * @returns {Promise<"denied"|"denied_by_system"|"busy"|"absent"|"insecure"|"unknown">}
 */
export async function reasonOf(error, kind) {
  const known = {
    NotFoundError: "absent",
    OverconstrainedError: "absent",
    NotReadableError: "busy",
    AbortError: "busy",
    SecurityError: "denied",
  };
  if (error.name !== "NotAllowedError") return known[error.name] ?? "unknown";
  // The page may, yet it does not get the device: the operating system says no.
  if (/system/i.test(error.message) || (await allowedByBrowser(kind))) return "denied_by_system";
  return "denied";
}

async function openOne(kind, deviceId, { orAny = false } = {}) {
  const wanted = { [KINDS[kind]]: constraintsOf[kind](deviceId) };
  try {
    return { tracks: (await navigator.mediaDevices.getUserMedia(wanted)).getTracks() };
  } catch (error) {
    // A remembered device that is not plugged in today must not leave the person without any.
    if (orAny && deviceId && error.name === "OverconstrainedError") return openOne(kind);
    return { tracks: [], problem: { kind, code: await reasonOf(error, kind) } };
  }
}

async function openEach(wanted) {
  const tracks = [];
  const problems = [];
  for (const [kind, deviceId] of wanted) {
    const opened = await openOne(kind, deviceId, { orAny: true });
    tracks.push(...opened.tracks);
    if (opened.problem) problems.push(opened.problem);
  }
  return { stream: new MediaStream(tracks), problems };
}

async function openTogether(wanted) {
  const constraints = Object.fromEntries(wanted.map(([kind, id]) => [KINDS[kind], constraintsOf[kind](id)]));
  return { stream: await navigator.mediaDevices.getUserMedia(constraints), problems: [] };
}

/**
 * Open microphone and camera; whatever cannot be had is named in `problems`, and the rest is there.
 * @param {object} choice
 * @param {string} [choice.audioDeviceId]
 * @param {string} [choice.videoDeviceId]
 * @param {boolean} [choice.audio] false: without microphone
 * @param {boolean} [choice.video] false: without camera
 * @param {MediaStream} [choice.release] stopped first: Firefox gives no second microphone while one is open
 * @returns {Promise<{stream: MediaStream, problems: {kind: "microphone"|"camera", code: string}[]}>}
 */
export async function openDevices(choice = {}) {
  const { audioDeviceId, videoDeviceId, audio = true, video = true, release = null } = choice;
  const wanted = [];
  if (audio) wanted.push(["microphone", audioDeviceId]);
  if (video) wanted.push(["camera", videoDeviceId]);
  release?.getTracks().forEach((track) => track.stop());
  if (!navigator.mediaDevices?.getUserMedia) {
    return { stream: new MediaStream(), problems: wanted.map(([kind]) => ({ kind, code: "insecure" })) };
  }
  if (wanted.length < 2) return openEach(wanted);
  try {
    return await openTogether(wanted); // one question to the person instead of two
  } catch {
    return openEach(wanted); // which of the two was it?
  }
}

/**
 * What was opened, or null where the browser's question has not been answered for a while; it still may be.
 * @param {Promise<{stream: MediaStream, problems: object[]}>} opening of `openDevices`
 */
export function openedSoon(opening) {
  return Promise.race([opening, new Promise((resolve) => setTimeout(resolve, ASKED_FOR_MS, null))]);
}

/**
 * Change one device: the stream that comes back holds the new track and the other kind's old one.
 * Where the new device cannot be had, the old one is opened again.
 * @param {MediaStream|null} stream
 * @param {"microphone"|"camera"} kind
 * @param {string} deviceId
 */
export async function switchDevice(stream, kind, deviceId) {
  const old = tracksOf(stream, kind);
  const kept = (stream?.getTracks() ?? []).filter((track) => !old.includes(track));
  const oldId = old[0]?.getSettings().deviceId;
  const enabled = old[0]?.enabled ?? true;
  old.forEach((track) => track.stop());
  if (!navigator.mediaDevices?.getUserMedia) return { stream, problems: [{ kind, code: "insecure" }] };
  let opened = await openOne(kind, deviceId);
  const problems = opened.problem ? [opened.problem] : [];
  if (opened.problem && oldId && oldId !== deviceId) opened = await openOne(kind, oldId);
  for (const track of opened.tracks) track.enabled = enabled; // who was muted stays muted
  return { stream: new MediaStream([...kept, ...opened.tracks]), problems };
}

/** Whether the stream has a running track of this kind (`microphone` or `camera`). */
export function has(stream, kind) {
  return tracksOf(stream, kind).some((track) => track.readyState === "live");
}

/** Stop all tracks, so that the camera's light goes out. */
export function stopStream(stream) {
  stream?.getTracks().forEach((track) => track.stop());
}

// -- Watching ---------------------------------------------------------------------------------

/**
 * Devices that can be chosen. Labels are empty until one was opened.
 * @returns {Promise<{microphones: MediaDeviceInfo[], cameras: MediaDeviceInfo[], speakers: MediaDeviceInfo[]}>}
 */
export async function listDevices() {
  const all = (await navigator.mediaDevices?.enumerateDevices?.()) ?? [];
  const of = (kind) => all.filter((one) => one.kind === kind && one.deviceId);
  return { microphones: of("audioinput"), cameras: of("videoinput"), speakers: of("audiooutput") };
}

/**
 * Something was plugged in or out.
 * @returns {() => void} stops watching
 */
export function onDeviceChange(callback) {
  const devices = navigator.mediaDevices;
  devices?.addEventListener?.("devicechange", callback);
  return () => devices?.removeEventListener?.("devicechange", callback);
}

/**
 * A device of the stream went away by itself (unplugged, taken by the system); `callback("microphone"|"camera")`.
 * @returns {() => void} stops watching
 */
export function onTrackEnded(stream, callback) {
  const stops = (stream?.getTracks() ?? []).map((track) => {
    const tell = () => callback(track.kind === "audio" ? "microphone" : "camera");
    track.addEventListener("ended", tell);
    return () => track.removeEventListener("ended", tell);
  });
  return () => stops.forEach((stop) => stop());
}

function loudness(analyser, samples) {
  analyser.getFloatTimeDomainData(samples);
  const power = samples.reduce((sum, value) => sum + value * value, 0) / samples.length;
  const db = 10 * Math.log10(power + 1e-12);
  return Math.min(1, Math.max(0, (db - METER_FLOOR_DB) / (METER_TOP_DB - METER_FLOOR_DB)));
}

/**
 * Call `callback(level)` about twelve times a second with the loudness, 0 to 1.
 * @returns {() => void} stops it
 */
export function levelMeter(stream, callback) {
  if (!has(stream, "microphone")) return () => {};
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  context.createMediaStreamSource(new MediaStream(stream.getAudioTracks())).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  // iOS starts audio only after a tap.
  const resume = () => context.resume();
  document.addEventListener("pointerdown", resume);
  const timer = setInterval(() => callback(loudness(analyser, samples)), LEVEL_EVERY_MS);
  return () => {
    clearInterval(timer);
    document.removeEventListener("pointerdown", resume);
    if (context.state !== "closed") context.close(); // stopped twice is stopped
  };
}
