"""Limits, weights and norms of the live analysis; each with its source or the word *Assumption*."""

from __future__ import annotations

# -- Consent ----------------------------------------------------------------------------------

READ_EVERY_S = 0.7
"""Consent and policy are read anew this often while media comes. The read itself and the next tick fit into the
second that a withdrawal has (DESIGN §6)."""
IDLE_READ_EVERY_S = 5.0
"""... and this often while none comes."""
READ_COUNTS_S = 2.0
"""Without a successful read for longer, nothing is analysed."""
ASKED_COUNTS_S = 0.9
"""... and for longer than this after word came that consent changed."""
LAST_READ_WITHIN_S = 2.0
"""For so long an analysis that ends waits to know whether consent was taken back. *Assumption*."""

# -- Media and pace ---------------------------------------------------------------------------

TICK_S = 0.2
RESULT_EVERY_S = 1.0
RESULTS_PER_S, RESULTS_AT_ONCE = 1.05, 2.0
"""A frame's result goes out as soon as it is there, one a second on average: after a late one the next is in time
again. *Assumption*."""
SPEECH_EVERY_S = 3.0
STATUS_EVERY_S = 5.0
"""docs/protocol.md and issue 4."""
MESSAGES_PER_S, MESSAGES_AT_ONCE = 40.0, 80.0
"""One frame and a handful of pieces of sound come in a second; after a stall they come at once. *Assumption*."""
EXCESS_PER_S, EXCESS_AT_ONCE = 20.0, 500.0
"""So many messages more are dropped before the socket is closed. *Assumption*."""
BAD_PER_S, BAD_AT_ONCE = 1.0, 30.0
"""So many that cannot be read. *Assumption*: a broken client is told, a hostile one is put out soon."""
FRAMES_PER_S, FRAMES_AT_ONCE = 2.0, 3.0
SOUND_S_PER_S, SOUND_S_AT_ONCE = 1.5, 12.0
"""Twice and one and a half times what is asked for, and a stall's worth at once. *Assumption*."""
SOUND_DRIFT_S = 1.0
"""By how much the time counted in samples may differ from the server's before it is set anew. *Assumption*."""
WINDOWS_WAITING = 3
FRAME_LATE_S, SOUND_LATE_S = 3.0, 5.0
"""What comes later than so much after the quickest is not looked at: a reading would show then as now. *Assumption*:
above the hiccups of a line that works; speech over a slow line is worth more patience."""
QUICKEST_FORGOTTEN_S_PER_S = 0.05
"""*Assumption*: ten seconds of a laptop's sleep are made up for in three minutes."""
NO_MEDIA_S = 3.0
"""Three frames missed in a row are a pause."""
RING_S = 10.0
WINDOW_S, STEP_S, LEAST_WINDOW_S = 3.0, 2.0, 2.0
"""3 s of sound every 2 s (DESIGN §7); the voice model takes 2 s at least."""
LATE_STEP_S = 3.0
"""While results come late: windows that do not overlap. All that is said is still heard once, for two thirds of the
work, before any frame is given up."""
LATE_MS = 400.0
"""A median latency above this, of the last three results, is late. *Assumption*: above the 300 ms of DESIGN §7, far
below the second at which frames become fewer."""
SOUND_GAP_S = 2.0
"""Sound that comes this much after the last is not joined to it. *Assumption*: a phone's uplink stalls for a second."""
SILENT_DBFS = -60.0
"""Windows below this are not sent to be read: a quiet room through a laptop's microphone lies at −65 to −50 dBFS,
speech at −35 to −15. *Assumption*."""
FACE_KEPT_S = 4.0
"""How long the last frame goes on counting; above the longest interval of frames."""
VOICE_KEPT_S = 5.0
"""As `mlcore.stress.live.VOICE_KEPT_S`."""

FRAME_INTERVAL_MS = 1000
FRAME_INTERVALS_MS = (1000, 2000, 3000)
SLOW_MS = 1000.0
"""A median latency above this slows the frames down (issue 4)."""
QUICK_MS = 500.0
SLOWER_AFTER_S, QUICKER_AFTER_S = 5.0, 15.0
"""How long one pace is kept before it changes. *Assumption*: slow down soon, speed up late, and it does not swing."""
LATENCIES = 10
DELAYED_MS = 1500.0
"""A median latency above this is said to the interviewer. *Assumption*: a second and a half behind a face is seen."""

# -- Speech -----------------------------------------------------------------------------------

SPEECH_WINDOW_S = 30.0
PAUSE_S = 0.5
"""DESIGN §5."""
LONGEST_PAUSE_S = 5.0
"""A longer silence is not a pause within speech but somebody else's turn, which is silence in this microphone.
*Assumption*: in conversations gaps beyond 1 s are rare (Heldner & Edlund 2010), and people who think aloud stop for
longer; 5 s leaves room for that."""
LEAST_SPEECH_S = 3.0
"""A rate from less speech says nothing. *Assumption*: about twelve syllables."""
SYLLABLES_PER_WORD = {"en": 1.45, "id": 2.4}
"""For words a minute, which are an estimate only. *Assumption*: running English text has 1.4 to 1.5 syllables a word,
Indonesian about 2.4."""

# -- Confidence -------------------------------------------------------------------------------

EYE_CONTACT_S = 15.0
LEAST_LOOKS = 3
WEIGHTS = {"eye_contact": 0.35, "fluency": 0.35, "calm": 0.30}
"""*Assumption*: no data set labels confidence. Shown with the number; renormalised over the parts that are there."""
VOICE_WEIGHTS = {"fluency": 0.4, "loudness": 0.3, "pauses": 0.3}
"""*Assumption*."""
FLUENT_SPEECH_S = 5.0
"""Fluency needs this much speech in the last 30 s. *Assumption*."""
RATE_NONE, RATE_FULL_FROM, RATE_FULL_TO, RATE_OVER = 1.5, 3.5, 6.0, 8.5
"""Syllables a second: none of the score below the first, all of it between the middle two, none above the last.
Read speech in seven languages has 5.2 to 7.8 (Pellegrino, Coupé & Marsico 2011); syllable nuclei miss some, and free
speech is slower. The limits are an *Assumption*."""
PAUSE_SHARE_NONE = 0.5
"""With this share of pauses in speech and pauses together, nothing of that score is left. *Assumption*."""
BASELINE_SPEECH_S = 20.0
"""The person's own first speech, to which loudness is compared (DESIGN §5)."""
LOUDNESS_NONE_DB, LOUDNESS_FULL_DB = -9.0, 3.0
"""Relative to the person's own. *Assumption*: 10 dB less sounds half as loud (Stevens 1955)."""

# -- Alerts -----------------------------------------------------------------------------------

COOLDOWN_S = 60.0
HIGH_STRESS_S, LOW_CONFIDENCE_S, NO_FACE_S, SECOND_FACE_S = 30.0, 45.0, 5.0, 2.0
"""Issue 4."""
LOW_CONFIDENCE, LOW_VOICE_CONFIDENCE = 40.0, 35.0
LOW_VOICE_CONFIDENCE_S = 30.0
"""*Assumption*."""
SLOWEST, FASTEST = 2.0, 7.0
ALERT_SPEECH_S = 10.0
"""Syllables a second that are worth a hint, and how much speech of the last 30 s has to bear it out. *Assumption*, see
`RATE_NONE`."""
LONG_PAUSE_S, LONG_PAUSES = 3.0, 2
"""As `long_pause` of recorded answers (docs/measures.md), and so many in the last 30 s. *Assumption*."""
OTHER_VOICE = 0.40
OTHER_VOICE_WINDOWS, OTHER_VOICE_KEPT_S = 2, 20.0
"""Cosine distance from the voice heard so far. Read off windows of 3 s of six LibriSpeech readers and three other
voices, compared as `rooms.inference.voices` does: 1 of 138 of the same voice lies above, 94 % of 1248 of another one.
Nearly all of it is read, each voice by one microphone; voices that act or laugh stray further: *Assumption* that
interviews lie in between. Two compared windows in a row have to agree; every third is compared, so they lie 6 s apart
or more."""
MAX_STEP_S = 4.5
"""Observations further apart than this do not count as time in between; above the longest interval of frames."""
FORGOTTEN_AFTER_S = 10.0
"""Where nothing was observed for longer, a state begins anew. *Assumption*."""

# -- Recommendations --------------------------------------------------------------------------

RECOMMEND_EVERY_S = 60.0
POOR_PICTURE_S = 10.0
"""How long frames are too dark, too bright or blurred before it is said. *Assumption*."""
SHORT_ANSWERS_SHARE = 0.25
SHORT_ANSWERS_AFTER_S = 60.0
"""Less speech than this in the last 30 s, after a minute of conversation: perhaps answers are short. *Assumption*."""

# -- Storing ----------------------------------------------------------------------------------

WRITE_EVERY_S = 1.0
KEPT_S = 60.0
"""How long readings wait in memory for a database that is locked."""
ALERT_STORED_WITHIN_S = 1.5
"""An alert does not wait longer for its number before it is shown. *Assumption*."""
