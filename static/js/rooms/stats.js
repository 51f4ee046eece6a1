// What a peer connection says about its line.

// One-way delays: up to 150 ms is good for talk, above 400 ms is not acceptable (ITU-T G.114); a round trip is twice that.
const GOOD_RTT_MS = 300;
const FAIR_RTT_MS = 800;
// Assumption: Opus with its error correction hides about this much loss; above the second, words go missing.
const GOOD_LOSS_PERCENT = 2;
const FAIR_LOSS_PERCENT = 8;
// Assumption: below this a picture takes what the voice needs (Opus: 32 kbit/s and headers).
const VIDEO_NEEDS_BPS = 100000;

const byType = (report, type) => [...report.values()].filter((one) => one.type === type);

function selectedPair(report) {
  const transport = byType(report, "transport").find((one) => one.selectedCandidatePairId);
  if (transport) return report.get(transport.selectedCandidatePairId);
  // Firefox has no transport statistics but marks the pair.
  const pairs = byType(report, "candidate-pair");
  return pairs.find((one) => one.selected) ?? pairs.find((one) => one.nominated && one.state === "succeeded");
}

const isRelay = (report, id) => report.get(id)?.candidateType === "relay";

function counts(report) {
  const inbound = byType(report, "inbound-rtp");
  const sum = (key) => inbound.reduce((total, one) => total + (one[key] ?? 0), 0);
  return { lost: sum("packetsLost"), received: sum("packetsReceived") };
}

function lossReceived(now, before) {
  const lost = Math.max(0, now.lost - (before?.lost ?? 0));
  const received = Math.max(0, now.received - (before?.received ?? 0));
  return lost + received > 0 ? (100 * lost) / (lost + received) : 0;
}

function lossSent(report) {
  const shares = byType(report, "remote-inbound-rtp").map((one) => one.fractionLost ?? 0);
  return 100 * Math.max(0, ...shares);
}

function level(lossPercent, rttMs) {
  if (lossPercent > FAIR_LOSS_PERCENT || rttMs > FAIR_RTT_MS) return "poor";
  return lossPercent > GOOD_LOSS_PERCENT || rttMs > GOOD_RTT_MS ? "fair" : "good";
}

/**
 * The quality of a connection since the reading before.
 * @param {RTCStatsReport} report
 * @param {object|null} before What this function gave the last time, null at first.
 * @returns {{relayed: boolean, lossPercent: number, rttMs: number|null, level: "good"|"fair"|"poor",
 *   congested: boolean, starved: boolean, counts: object}|null} null while no path is chosen. `congested`: what is sent
 *   gets lost or late; `starved`: the browser's own estimate of what may be sent is too small for a picture
 */
export function readQuality(report, before) {
  const pair = selectedPair(report);
  if (!pair) return null;
  const now = counts(report);
  const sent = lossSent(report);
  const lossPercent = Math.max(lossReceived(now, before?.counts), sent);
  const rttMs = pair.currentRoundTripTime === undefined ? null : 1000 * pair.currentRoundTripTime;
  return {
    relayed: isRelay(report, pair.localCandidateId) || isRelay(report, pair.remoteCandidateId),
    lossPercent: Math.round(10 * lossPercent) / 10,
    rttMs: rttMs === null ? null : Math.round(rttMs),
    level: level(lossPercent, rttMs ?? 0),
    congested: sent > FAIR_LOSS_PERCENT || (rttMs ?? 0) > FAIR_RTT_MS,
    starved: (pair.availableOutgoingBitrate ?? Infinity) < VIDEO_NEEDS_BPS,
    counts: now,
  };
}
