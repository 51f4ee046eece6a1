"""Faces over time -> the visual measures of an answer. Definitions and formulas: `docs/measures.md`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot

import numpy as np
import numpy.typing as npt

from mlcore.behaviour import constants as c
from mlcore.behaviour.attention import (
    AttentionInterval,
    find_runs,
    frames_inside,
    is_off_screen,
    off_screen_reason,
    union_s,
)
from mlcore.behaviour.blinks import Closure, find_closures, frame_lengths_s
from mlcore.faces import Face, FaceFrame

Series = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Calibration:
    """The person's own way of facing the screen: medians over the first seconds of face. The line of sight
    is head plus gaze. With `applied` false there was too little face or it looked about: 0° (into the
    camera) stands in."""

    applied: bool
    face_s: float
    sight_yaw_deg: float
    sight_pitch_deg: float
    head_yaw_deg: float
    head_pitch_deg: float
    smile: float | None
    brow: float | None


@dataclass(frozen=True)
class VisualMeasures:
    """Everything measured on one video; None where the input was missing (no frames, no face, too few
    frames).

    Shares run from 0 to 1, percentages and confidences from 0 to 100, blendshape measures from 0 to 1 (brow
    position: raised minus lowered, -1 to 1).
    """

    frames_analysed: int
    analysed_fps: float | None
    share_no_face: float | None
    share_one_face: float | None
    share_several_faces: float | None
    face_detected_percentage: float | None
    calibration: Calibration | None
    eye_contact_percentage: float | None
    gaze_stability_deg: float | None
    total_blinks: int | None
    blink_rate_per_minute: float | None
    average_smile_intensity: float | None
    smile_variation: float | None
    baseline_smile_intensity: float | None
    eyebrow_movement_range: float | None
    baseline_eyebrow_position: float | None
    head_movement_deg_per_s: float | None
    intervals: tuple[AttentionInterval, ...]
    cheating_score: float | None
    suspicious_frames: int | None
    confidence_average: float | None
    confidence_min: float | None
    confidence_max: float | None
    second_face_percentage: float | None

    @property
    def calibration_applied(self) -> bool | None:
        return self.calibration.applied if self.calibration else None


@dataclass(frozen=True)
class _Track:
    """The main face over time. Arrays over the frames that show it; `index` is their place among all frames,
    `head` and `sight` have shape (frames, 2): yaw and pitch in degrees."""

    index: npt.NDArray[np.intp]
    times_s: Series
    head: Series
    roll_deg: Series
    sight: Series
    lids: Series
    smile: Series
    brow: Series
    score: Series
    closures: tuple[Closure, ...]
    eyes_open: Flags
    eyes_shut: Flags

    @property
    def face_s(self) -> float:
        return float(frame_lengths_s(self.times_s).sum())


def measure_visual(frames: Sequence[FaceFrame], duration_s: float) -> VisualMeasures:
    """The visual measures of one video.

    `frames` in the order of their times; `duration_s` is the recording's length in seconds, over which
    shares of time are taken (the time of the last frame where that is later)."""
    times_s = np.array([frame.t_s for frame in frames], dtype=np.float64)
    counts = np.array([frame.count for frame in frames], dtype=np.int64)
    fps = _frames_per_second(times_s)
    track = _track(frames)
    calibration = _calibrate(track) if track else None
    ends_s = _frame_ends_s(times_s, duration_s)
    whole_s = max(duration_s, float(ends_s[-1])) if len(frames) else duration_s
    intervals = _intervals(times_s, ends_s, counts, track, calibration)
    several_s = union_s(one for one in intervals if one.kind == "multiple_faces")
    seen = len(frames) > 0 and whole_s > 0
    blinks, blink_rate = _blinks(track, fps)
    return VisualMeasures(
        frames_analysed=len(frames),
        analysed_fps=fps,
        share_no_face=_share(counts == 0),
        share_one_face=_share(counts == 1),
        share_several_faces=_share(counts > 1),
        face_detected_percentage=_percent(counts > 0),
        calibration=calibration,
        eye_contact_percentage=_eye_contact(track, calibration),
        gaze_stability_deg=_gaze_stability_deg(track),
        total_blinks=blinks,
        blink_rate_per_minute=blink_rate,
        average_smile_intensity=float(track.smile.mean()) if track else None,
        smile_variation=float(track.smile.std()) if track else None,
        baseline_smile_intensity=calibration.smile if calibration else None,
        eyebrow_movement_range=float(np.ptp(np.percentile(track.brow, [5, 95]))) if track else None,
        baseline_eyebrow_position=calibration.brow if calibration else None,
        head_movement_deg_per_s=_head_movement(track) if track else None,
        intervals=intervals,
        cheating_score=min(100.0, 100 * union_s(intervals) / whole_s) if seen else None,
        suspicious_frames=frames_inside(times_s, intervals) if seen else None,
        confidence_average=float(100 * track.score.mean()) if track else None,
        confidence_min=float(100 * track.score.min()) if track else None,
        confidence_max=float(100 * track.score.max()) if track else None,
        second_face_percentage=min(100.0, 100 * several_s / whole_s) if seen else None,
    )


def _share(flags: Flags) -> float | None:
    return float(flags.mean()) if len(flags) else None


def _percent(flags: Flags) -> float | None:
    return float(100 * flags.mean()) if len(flags) else None


def _frames_per_second(times_s: Series) -> float | None:
    if len(times_s) < 2 or times_s[-1] <= times_s[0]:
        return None
    return float((len(times_s) - 1) / (times_s[-1] - times_s[0]))


def _frame_ends_s(times_s: Series, duration_s: float) -> Series:
    """A frame stands until the next; the last one for as long as is usual, but not past the recording's
    end."""
    if len(times_s) < 2:
        return np.full(len(times_s), max(duration_s, 0.0))
    last = float(times_s[-1] + np.median(np.diff(times_s)))
    return np.append(times_s[1:], max(float(times_s[-1]), min(last, duration_s)))


def main_faces(frames: Sequence[FaceFrame]) -> list[tuple[int, Face]]:
    """The candidate's face and its frame's index, for the frames that show it.

    The largest face at first; then the one nearest to where it last was, so that a passer-by does not take
    over; the largest again when it has been gone for `MAIN_FACE_MEMORY_S`."""
    chosen: list[tuple[int, Face]] = []
    last: Face | None = None
    last_s = 0.0
    for index, frame in enumerate(frames):
        if last is not None and frame.t_s - last_s > c.MAIN_FACE_MEMORY_S:
            last = None
        face = (
            _nearest(frame.faces, last) if last else max(frame.faces, key=lambda one: one.area, default=None)
        )
        if face is not None:
            chosen.append((index, face))
            last, last_s = face, frame.t_s
    return chosen


def _nearest(faces: Sequence[Face], last: Face) -> Face | None:
    def distance(face: Face) -> float:
        across = face.x + face.width / 2 - last.x - last.width / 2
        return hypot(across, face.y + face.height / 2 - last.y - last.height / 2)

    near = [face for face in faces if distance(face) <= c.MAIN_FACE_REACH * max(face.width, last.width)]
    return min(near, key=distance, default=None)


def _track(frames: Sequence[FaceFrame]) -> _Track | None:
    chosen = main_faces(frames)
    if not chosen:
        return None
    faces = [face for _, face in chosen]
    index = np.array([place for place, _ in chosen], dtype=np.intp)
    times_s = np.array([frames[place].t_s for place in index], dtype=np.float64)
    head = np.array([(face.yaw_deg, face.pitch_deg) for face in faces])
    gaze = np.array([(face.gaze_yaw_deg, face.gaze_pitch_deg) for face in faces])
    lids = np.array([face.eyelids_closed for face in faces])
    closures = tuple(find_closures(times_s, lids))
    eyes_shut = _eyes_shut(times_s, lids)
    return _Track(
        index=index,
        times_s=times_s,
        head=head,
        roll_deg=np.array([face.roll_deg for face in faces]),
        sight=head + gaze,
        lids=lids,
        smile=np.array([face.smile for face in faces]),
        brow=np.array([face.brow_raise - face.brow_lower for face in faces]),
        score=np.array([1.0 if face.detection_score is None else face.detection_score for face in faces]),
        closures=closures,
        eyes_open=_eyes_open(len(faces), closures) & ~eyes_shut,
        eyes_shut=eyes_shut,
    )


def _eyes_open(frames: int, closures: Sequence[Closure]) -> Flags:
    """False during blinks and one frame to each side, where moving lids drag the gaze down. Longer closures
    stay: lids lowered for long are eyes that look down, or away, unless they are shut."""
    eyes_open = np.ones(frames, dtype=np.bool_)
    for closure in closures:
        if closure.duration_s <= c.MAX_BLINK_S:
            eyes_open[max(0, closure.first - 1) : closure.last + 2] = False
    return eyes_open


def _eyes_shut(times_s: Series, lids: Series) -> Flags:
    """Where the lids are shut for longer than a blink, with one frame to each side: closed eyes look nowhere."""
    shut = np.zeros(len(lids), dtype=np.bool_)
    runs = find_runs(
        times_s,
        times_s + frame_lengths_s(times_s),
        lids >= c.SHUT_LIDS,
        max_gap_s=c.MAX_SHUT_GAP_S,
        min_s=c.MAX_BLINK_S,
    )
    for run in runs:
        shut[max(0, run.first - 1) : run.last + 2] = True
    return shut


def _calibrate(track: _Track) -> Calibration:
    lengths_s = frame_lengths_s(track.times_s)
    first = np.cumsum(lengths_s) <= c.CALIBRATION_S + 1e-6
    used = first & track.eyes_open
    face_s = float(lengths_s[used].sum())
    if face_s < c.MIN_CALIBRATION_S - 1e-6:
        return Calibration(False, face_s, 0.0, 0.0, 0.0, 0.0, None, None)
    sight, head = np.median(track.sight[used], axis=0), np.median(track.head[used], axis=0)
    smile, brow = float(np.median(track.smile[first])), float(np.median(track.brow[first]))
    spread = np.median(np.abs(track.sight[used] - sight), axis=0)
    if spread.max() > c.MAX_CALIBRATION_SPREAD_DEG:
        return Calibration(False, face_s, 0.0, 0.0, 0.0, 0.0, smile, brow)
    return Calibration(
        applied=True,
        face_s=face_s,
        sight_yaw_deg=float(sight[0]),
        sight_pitch_deg=float(sight[1]),
        head_yaw_deg=float(head[0]),
        head_pitch_deg=float(head[1]),
        smile=smile,
        brow=brow,
    )


def _from_baseline(track: _Track, calibration: Calibration) -> tuple[Series, Series]:
    """Head and line of sight relative to the baseline, each of shape (frames, 2)."""
    head = track.head - (calibration.head_yaw_deg, calibration.head_pitch_deg)
    return head, track.sight - (calibration.sight_yaw_deg, calibration.sight_pitch_deg)


def _eye_contact(track: _Track | None, calibration: Calibration | None) -> float | None:
    if track is None or calibration is None:
        return None
    _, sight = _from_baseline(track, calibration)
    return _percent((np.hypot(sight[:, 0], sight[:, 1]) <= c.DIRECT_CONE_DEG)[track.eyes_open])


def _gaze_stability_deg(track: _Track | None) -> float | None:
    """Root of the summed variances of yaw and pitch of the line of sight."""
    if track is None or track.eyes_open.sum() < 2:
        return None
    return float(np.sqrt(track.sight[track.eyes_open].var(axis=0).sum()))


def _blinks(track: _Track | None, fps: float | None) -> tuple[int | None, float | None]:
    if track is None or fps is None or fps < c.MIN_BLINK_FPS - c.BLINK_FPS_TOLERANCE:
        return None, None
    blinks = sum(closure.is_blink for closure in track.closures)
    face_s = track.face_s
    return blinks, 60 * blinks / face_s if face_s >= c.MIN_BLINK_FACE_S else None


def _head_movement(track: _Track) -> float | None:
    """Mean speed of the head's rotation, degrees a second, over steps of about `HEAD_STEP_S`."""
    pose = np.column_stack([track.head, track.roll_deg])
    nexts = np.searchsorted(track.times_s, track.times_s + c.HEAD_STEP_S - 1e-6)
    turned = taken = 0.0
    place = 0
    while place < len(nexts) and nexts[place] < len(nexts):
        step_s = track.times_s[nexts[place]] - track.times_s[place]
        if step_s <= c.MAX_STEP_S:
            turned += float(np.linalg.norm(pose[nexts[place]] - pose[place]))
            taken += float(step_s)
        place = int(nexts[place])
    return turned / taken if taken else None


def _intervals(
    times_s: Series,
    ends_s: Series,
    counts: npt.NDArray[np.int64],
    track: _Track | None,
    calibration: Calibration | None,
) -> tuple[AttentionInterval, ...]:
    gone = find_runs(times_s, ends_s, counts == 0, max_gap_s=c.MAX_NO_FACE_GAP_S, min_s=c.MIN_NO_FACE_S)
    crowd = find_runs(
        times_s, ends_s, counts > 1, max_gap_s=c.MAX_SEVERAL_FACES_GAP_S, min_s=c.MIN_SEVERAL_FACES_S
    )
    found = [AttentionInterval("no_face", run.start_s, run.end_s, "not_in_view", None) for run in gone]
    for run in crowd:
        most = float(counts[run.first : run.last + 1].max())
        found.append(AttentionInterval("multiple_faces", run.start_s, run.end_s, "second_face", most))
    if track is not None and calibration is not None:
        found += _off_screen(track, ends_s[track.index], calibration)
    return tuple(sorted(found, key=lambda one: (one.start_s, one.end_s)))


def _off_screen(track: _Track, ends_s: Series, calibration: Calibration) -> list[AttentionInterval]:
    head, sight = _from_baseline(track, calibration)
    sight = np.where(track.eyes_shut[:, None], head, sight)
    flags = is_off_screen(sight[:, 0], sight[:, 1])
    told = track.eyes_open | track.eyes_shut
    for place in np.flatnonzero(~told):
        flags[place] = flags[place - 1] if place else False
    runs = find_runs(track.times_s, ends_s, flags, max_gap_s=c.MAX_OFF_SCREEN_GAP_S, min_s=c.MIN_OFF_SCREEN_S)
    intervals = []
    for run in runs:
        frames = np.arange(run.first, run.last + 1)
        frames = frames[flags[frames] & told[frames]]
        reason, angle = off_screen_reason(head[frames], sight[frames])
        intervals.append(AttentionInterval("off_screen", run.start_s, run.end_s, reason, angle))
    return intervals
