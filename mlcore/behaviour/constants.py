"""Limits and norms behind the measures of `docs/measures.md`; each with its source or the word
*assumption*."""

CALIBRATION_S = 5.0
"""DESIGN §5: the candidate's own first 5 s of face."""

MIN_CALIBRATION_S = 1.0
"""With less face than this in those seconds no baseline is taken. *Assumption*."""

MAX_CALIBRATION_SPREAD_DEG = 6.0
"""With a larger median deviation of the line of sight from its median the person was looking about, and no
baseline is taken. *Assumption*: three times what people show who look into the camera (2°)."""

DIRECT_CONE_DEG = 10.0
"""Half the angle of the cone of direct gaze. Onlookers feel looked at within about 2.6° to each side (Horstmann &
Linke 2021, "Examining gaze cone shape and size"); the rest is for eyes on the screen beside the camera and for the
estimate's own error (95 % of frames within 6° on people who talk into the camera). *Assumption*."""

OFF_SCREEN_SIDE_DEG = 15.0
"""Half the width of a 14-inch laptop's screen seen from 60 cm: atan(15.5 / 60) = 14.5°. *Assumption* on the
distance."""

OFF_SCREEN_UP_DEG = 15.0
"""The camera stands on the screen's upper edge. Same margin as sideways: *assumption*."""

OFF_SCREEN_DOWN_DEG = 20.0
"""The screen's lower edge, 19 cm below the camera, seen from 60 cm: atan(19 / 60) = 17.6°; vertical gaze is
the less certain one. *Assumption*."""

MIN_OFF_SCREEN_S = 1.0
"""DESIGN §5."""

MAX_OFF_SCREEN_GAP_S = 0.3
"""A look back that is shorter than this does not end an interval: about one fixation. *Assumption*."""

MIN_NO_FACE_S = 1.0
MAX_NO_FACE_GAP_S = 0.3
"""Shorter losses are a hand before the face or a missed frame. *Assumption*."""

MIN_SEVERAL_FACES_S = 0.5
MAX_SEVERAL_FACES_GAP_S = 0.5
"""Two looks of the detector (`mlcore.faces.OTHERS_INTERVAL_S`) have to agree. *Assumption*."""

MIN_BLINK_S, MAX_BLINK_S = 0.05, 0.5
"""DESIGN §5."""

MIN_BLINK_FPS = 15.0
BLINK_FPS_TOLERANCE = 0.5
"""DESIGN §5; the tolerance is for time stamps and for 14.985 frames a second (half of 29.97)."""

MIN_BLINK_FACE_S = 3.0
"""A rate from less face than this says nothing. *Assumption*: one blink comes every 3 to 4 s."""

LID_WINDOW_S = 2.0
"""The lids' own level is the median over this time: four times the longest blink, so that a blink does not
move it, and short enough to follow lids that are lowered to read. *Assumption*."""

MIN_CLOSURE, MAX_CLOSURE = 0.2, 0.25
"""Rise of the eyeBlink blendshape above the lids' own level that begins a closure; between these the
person's own strongest closures decide. Read off the clips: open eyes waver by 0.1, closures rise by 0.3 to
0.7."""

CLOSURE_SHARE = 0.5
"""... namely at this share of the person's strong closures (98th percentile of the rise). *Assumption*."""

MIN_REOPENING = 0.1
"""Between two closures the lids open by this much; less is one slow opening. *Assumption*."""

SHUT_LIDS, MAX_SHUT_GAP_S = 0.7, 0.1
"""Lids above this, for longer than a blink, are shut, and where the eyes point is unknown: the head alone then
says whether somebody looks away. Read off the clips: eyes that look down come to 0.70 at most for a frame,
closed ones to 0.7 to 0.8. Shorter dips are the estimate's jitter."""

HEAD_STEP_S = 0.2
"""Head speed is taken over steps of this length: from frame to frame the landmarks' jitter would dominate.
*Assumption*."""

MAX_STEP_S = 0.5
"""Frames further apart than this are not compared. *Assumption*."""

MAIN_FACE_REACH = 0.75
MAIN_FACE_MEMORY_S = 1.0
"""The main face of the next frame lies within this many face widths of the last one, for this long; else
the largest face is taken. *Assumption*."""

MEDIUM_RISK_PERCENT = 5.0
HIGH_RISK_PERCENT = 20.0
SECOND_FACE_PERCENT = 1.0
"""DESIGN §5."""
