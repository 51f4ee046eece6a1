"""Something on every page of a running site: rooms in each state, assessments, somebody who has none of them.

`furnish()` runs within the site (`manage.py shell`), on its own state folder; `furnished_by` has that done."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

from django.utils import timezone

from assessment.models import Review
from rooms import lifecycle, links
from rooms.models import Alert, Note, QuestionMark, Reading, Room
from tests.assessment import documents
from tests.assessment.records import make_assessment
from tests.interviewsite.processes import ROOT, clean_environment
from tests.rooms.records import let_in, make_room, make_user

MARK = "furnished: "
QUESTIONS = (
    "Tell us about a project that you are proud of. What was your own part in it?",
    "What went wrong, and what did you do then?",
    "How do you decide that something is good enough?",
)
Furniture = dict[str, str]
"""Codes of rooms, tokens of their links, session ids of assessments, keys of a candidate's browser; by name."""


def furnished_by(state: Path) -> Furniture:
    """Furnish the site whose state folder is `state`."""
    command = [sys.executable, str(ROOT / "manage.py"), "shell", "-c"]
    command.append("from tests.browser.furnished import furnish; furnish()")
    environment = clean_environment(VAR_DIR=str(state))
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    line = next(line for line in done.stdout.splitlines() if line.startswith(MARK))
    found: Furniture = json.loads(line.removeprefix(MARK))
    return found


def furnish() -> None:
    """Within the site: make the records, and print where they are."""
    sys.stdout.write(f"{MARK}{json.dumps({**_rooms(), **_assessments()})}\n")


def _rooms() -> Furniture:
    owner = make_user()
    make_user("newcomer")
    soon = timezone.now() + timedelta(hours=30)
    call = make_room(owner, questions=QUESTIONS, recording=True, planned_at=soon)
    withdrawn = make_room(owner, candidate_name="Budi Santoso", country="DE", title="Data analyst")
    links.revoke(withdrawn)
    expired = make_room(owner, candidate_name="Ayu Lestari", country="")
    Room.objects.filter(pk=expired.pk).update(link_expires_at=timezone.now() - timedelta(hours=1))
    return {
        "call": call.code,
        "link": links.token_of(call),
        "withdrawn": withdrawn.code,
        "expired": expired.code,
        "expired_link": links.token_of(expired),
        **_ended(),
    }


def _ended() -> Furniture:
    """An interview of twelve minutes that is over, and the key of the candidate's browser."""
    room = make_room(make_user(), questions=QUESTIONS, candidate_name="Rina Hartati")
    _place, key = let_in(room)
    began = timezone.now() - timedelta(minutes=15)
    Room.objects.filter(pk=room.pk).update(admitted_at=began)
    room.refresh_from_db()
    Reading.objects.bulk_create(_reading(room, second) for second in range(720) if not 300 <= second < 340)
    for number in range(len(QUESTIONS)):
        QuestionMark.objects.create(room=room, number=number, t_s=20 + 230 * number)
    Alert.objects.create(room=room, t_s=305, kind="no_face", severity="attention", value=5.0, from_face=True)
    Alert.objects.create(
        room=room, t_s=470, kind="high_stress", severity="important", value=31, from_face=True
    )
    Note.objects.create(room=room, t_s=64, author=room.owner, text="Clear example, names her own part.")
    Note.objects.create(
        room=room, t_s=512, author=room.owner, text="Ask about the tests again\nand about the team."
    )
    lifecycle.end(room, room.owner)
    Room.objects.filter(pk=room.pk).update(ended_at=began + timedelta(minutes=12))
    return {"ended": room.code, "ended_key": key}


def _reading(room: Room, second: int) -> Reading:
    level, shares = next(
        (level, shares)
        for until, level, shares in (
            (280, "low", (0.78, 0.12, 0.1)),
            (440, "medium", (0.22, 0.6, 0.18)),
            (500, "high", (0.14, 0.16, 0.7)),
            (720, "low", (0.66, 0.2, 0.14)),
        )
        if second < until
    )
    low, medium, high = shares
    speech = {
        "rate": 4.1,
        "rate_unit": "syllables/s",
        "words_per_minute": 152,
        "speech_share": 0.64,
        "longest_pause_s": 2.4,
    }
    return Reading(
        room=room,
        t_s=float(second),
        level=level,
        low=low,
        medium=medium,
        high=high,
        model_confidence=max(shares),
        confidence=70.0 - 30 * high + second % 7,
        from_face=True,
        from_voice=second % 3 == 0,
        parts={"face": {"detected": True, "count": 1, "eye_contact": second % 5 > 0}},
        speech=speech if second % 3 == 0 else None,
    )


def _assessments() -> Furniture:
    owner = make_user()
    results = documents.store(documents.difficult_document(), owner=owner)
    under_way = make_assessment(answers=2, media=None, owner=owner, status="processing")
    under_way.answers.update(status="processing", heartbeat_at=timezone.now())  # so that no worker takes them
    Review.objects.create(
        assessment=results,
        reviewer=owner,
        decision=Review.Decision.choices[0][0],
        reason="Talked it over with her.",
    )
    return {"results": results.session_id, "under_way": under_way.session_id}
