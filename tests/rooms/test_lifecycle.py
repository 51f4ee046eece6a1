"""From knocking to the end."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest

from assessment.errors import RequestError
from rooms import consent, lifecycle, links, recording
from rooms.models import Participant, Reading, Room, Segment
from tests.rooms.records import EVERYTHING, Scope, enter, let_in, make_room

pytestmark = pytest.mark.django_db


def test_a_knock_opens_the_lobby_and_admission_makes_it_live() -> None:
    room = make_room()
    place, _key = enter(room)
    assert lifecycle.knock(place)
    room.refresh_from_db()
    assert room.status == Room.Status.LOBBY
    admission = lifecycle.admit(room, place.peer)
    assert admission.admitted == place
    assert admission.put_out == ()
    assert room.status == Room.Status.LIVE
    assert room.admitted_at is not None


def test_another_browser_puts_the_first_out_only_once_it_is_let_in() -> None:
    room = make_room()
    first, _ = let_in(room)
    second, _ = enter(room)
    assert second != first
    assert lifecycle.knock(second)
    first.refresh_from_db()
    assert first.state == Participant.State.ADMITTED
    started = room.admitted_at
    assert lifecycle.admit(room, second.peer).put_out == (first,)
    first.refresh_from_db()
    assert first.state == Participant.State.PUT_OUT
    assert room.admitted_at == started


def test_the_same_browser_keeps_its_place() -> None:
    room = make_room()
    place, key = let_in(room)
    again, same_key = enter(room, key=key)
    assert (again.pk, same_key) == (place.pk, key)
    assert again.state == Participant.State.ADMITTED


def test_nobody_is_let_in_twice_or_after_the_end() -> None:
    room = make_room()
    place, _ = let_in(room)
    with pytest.raises(RequestError, match="waits"):
        lifecycle.admit(room, place.peer)
    assert lifecycle.end(room, room.owner)
    assert not lifecycle.end(room, room.owner)
    with pytest.raises(RequestError):
        enter(room)


def test_a_place_of_another_room_is_not_in_this_one() -> None:
    room, other = make_room(), make_room()
    place, _ = let_in(other)
    assert lifecycle.in_room(room, place.peer) is None
    assert lifecycle.in_room(other, place.peer) == place
    assert lifecycle.in_room(room, "not a name") is None


def test_withdrawing_deletes_what_that_part_took_part_in() -> None:
    room = make_room()
    place, _ = let_in(room)
    Reading.objects.create(room=room, t_s=1, from_face=True)
    Reading.objects.create(room=room, t_s=2, from_voice=True)
    now = consent.answer(place, {Scope.FACE: False})
    assert now == consent.Granted(call=True, recording=True, face=False, voice=True)
    assert [reading.t_s for reading in Reading.objects.all()] == [2.0]
    may = consent.may_analyse(room, place)
    assert (may.face, may.voice, may.emotion) == (False, True, True)


def test_who_was_never_let_in_deletes_nothing_by_their_answers() -> None:
    """A link that was passed on: whoever opens it may say yes and no, but about nobody else's interview."""
    room = make_room(recording=True)
    place, _ = let_in(room)
    Reading.objects.create(room=room, t_s=1, from_face=True, from_voice=True)
    assert recording.started(room, place, str(uuid.uuid4()), "video/webm")
    other, key = enter(room)
    assert lifecycle.knock(other)
    consent.answer(other, {Scope.RECORDING: False, Scope.FACE: False, Scope.VOICE: False})
    enter(room, EVERYTHING, key)
    enter(room, {Scope.CALL: True, Scope.RECORDING: False, Scope.FACE: False, Scope.VOICE: False}, key)
    assert Reading.objects.count() == 1
    assert recording.status(room)["active"]
    assert Segment.objects.count() == 1


def test_a_withdrawal_is_seen_though_it_was_given_again() -> None:
    room = make_room()
    place, _ = let_in(room)
    before = consent.may_analyse(room, place)
    consent.answer(place, {Scope.FACE: False})
    consent.answer(place, {Scope.FACE: True})
    after = consent.may_analyse(room, place)
    assert after.face
    assert after.withdrawals == before.withdrawals + 1


def test_what_may_be_analysed_is_one_query_and_about_this_room_alone(django_assert_num_queries) -> None:
    room, other = make_room(), make_room()
    place, _ = let_in(room)
    with django_assert_num_queries(1):
        assert consent.may_analyse(room, place).anything
    assert consent.may_analyse(other, place) == consent.NO_ANALYSIS
    Participant.objects.filter(pk=place.pk).update(state=Participant.State.PUT_OUT)
    assert consent.may_analyse(room, place) == consent.NO_ANALYSIS


@pytest.mark.parametrize(("country", "emotion"), [("ID", True), ("DE", False), ("", False)])
def test_the_policy_is_kept_with_the_room(country: str, emotion: bool) -> None:
    room = make_room(country=country)
    place, _ = let_in(room)
    assert consent.may_analyse(room, place).emotion is emotion


def test_nothing_may_be_analysed_before_admission_or_after_the_end() -> None:
    room = make_room()
    place, _ = enter(room)
    assert not consent.may_analyse(room, place).anything
    lifecycle.knock(place)
    lifecycle.admit(room, place.peer)
    assert consent.may_analyse(room, place).anything
    lifecycle.end(room, None)
    assert not consent.may_analyse(room, place).anything


def test_links_open_their_room_until_they_are_renewed_revoked_or_too_old() -> None:
    room = make_room()
    token = links.token_of(room)
    assert links.room_of(token) == room
    with pytest.raises(RequestError) as unknown:
        links.room_of(token[:-1] + ("A" if token[-1] != "A" else "B"))
    assert unknown.value.code == "link_unknown"
    links.renew(room)
    with pytest.raises(RequestError) as old:
        links.room_of(token)
    assert old.value.code == "link_revoked"
    links.revoke(room)
    with pytest.raises(RequestError) as revoked:
        links.room_of(links.token_of(room))
    assert revoked.value.code == "link_revoked"
    links.renew(room)
    Room.objects.filter(pk=room.pk).update(link_expires_at=room.created_at)
    with pytest.raises(RequestError) as expired:
        links.room_of(links.token_of(room))
    assert expired.value.code == "link_expired"


def test_every_answer_is_kept_with_the_text_that_was_read() -> None:
    room = make_room(recording=True)
    place, _ = enter(room, EVERYTHING)
    rows = list(place.consents.all())
    assert {row.scope for row in rows} == set(Scope.values)
    assert {len(row.text_hash) for row in rows} == {64}
    assert {row.text_hash for row in rows} == {row.text_hash for row in rows[:1]}


def test_a_room_is_kept_for_as_long_after_the_interview_as_the_candidate_reads(settings: Any) -> None:
    """Also where records are kept for fewer days than links are open: nothing goes before its interview."""
    settings.RECORD_RETENTION_DAYS, settings.LINK_DAYS = 3, 14
    room = make_room()
    assert room.erase_at == room.link_expires_at + timedelta(days=3)
    before = room.erase_at
    links.renew(room)
    assert room.erase_at == room.link_expires_at + timedelta(days=3) > before
    lifecycle.end(room, None)
    assert room.ended_at is not None
    assert room.erase_at == room.ended_at + timedelta(days=3)
    settings.RECORD_RETENTION_DAYS = 0
    assert make_room().erase_at is None
