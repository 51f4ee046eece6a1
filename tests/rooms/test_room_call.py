"""The interviewer's call page: who gets it, and what its scripts are given."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from rooms import lifecycle, links
from rooms.interviewer_page import interviewer_strings, shared_strings
from rooms.models import Room
from tests.rooms.records import let_in, make_room, make_user

pytestmark = pytest.mark.django_db
SCRIPTS = Path(__file__).parents[2] / "static" / "js" / "rooms"
SHARED = ("controls", "chat", "tiles", "toasts", "dialogs")


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def page(room: Room, user: User) -> Any:
    return client_of(user).get(f"/rooms/{room.code}/call/")


def told(answer: Any) -> str:
    """What the page says, without the address asked for and the form's token, which differ each time."""
    return re.sub(r'value="[^"]*"', "", answer.content.decode())


def embedded(html: str, name: str) -> Any:
    found = re.search(rf'<script id="{name}" type="application/json">(.*?)</script>', html, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


# -- Who gets it ------------------------------------------------------------------------------


def test_strangers_sign_in_first() -> None:
    room = make_room()
    answer = Client().get(f"/rooms/{room.code}/call/")
    assert (answer.status_code, answer["Location"]) == (302, f"/login/?next=/rooms/{room.code}/call/")


def test_owner_and_panel_get_the_page() -> None:
    colleague = make_user("colleague")
    room = make_room(panel=(colleague,))
    assert [page(room, user).status_code for user in (room.owner, colleague)] == [200, 200]


def test_who_opens_the_call_stays_signed_in_while_it_lasts() -> None:
    """A session ends two weeks after signing in, and the socket with it."""
    room = make_room()
    client = client_of(room.owner)
    soon = timezone.now() + timedelta(minutes=5)
    Session.objects.update(expire_date=soon)
    answer = client.get(f"/rooms/{room.code}/call/")
    assert Session.objects.get().expire_date > soon + timedelta(days=1)
    assert "sessionid" in answer.cookies


def test_foreign_and_unknown_rooms_look_the_same() -> None:
    stranger = make_user("stranger")
    foreign = page(make_room(), stranger)
    unknown = client_of(stranger).get("/rooms/bcd-fghj-kmn/call/")
    malformed = client_of(stranger).get("/rooms/BCD'--/call/")
    assert {foreign.status_code, unknown.status_code, malformed.status_code} == {404}
    assert told(foreign) == told(unknown)


def test_hr_without_a_seat_is_told_so() -> None:
    hr = make_user("hr")
    hr.user_permissions.add(Permission.objects.get(codename="view_every_room"))
    room = make_room()
    answer = page(room, User.objects.get(pk=hr.pk))
    assert answer.status_code == 403
    assert "only its owner and its panel join the call" in answer.content.decode()
    assert links.token_of(room) not in answer.content.decode()


def test_the_candidates_cookie_opens_nothing_here() -> None:
    room = make_room()
    _place, key = let_in(room)
    client = Client()
    client.cookies[links.cookie_name(room)] = key
    assert client.get(f"/rooms/{room.code}/call/").status_code == 302


def test_after_the_end_it_leads_to_the_summary() -> None:
    room = make_room()
    lifecycle.end(room, room.owner)
    answer = page(room, room.owner)
    assert (answer.status_code, answer["Location"]) == (302, f"/rooms/{room.code}/summary/")


def test_it_is_not_kept_and_takes_no_post() -> None:
    room = make_room()
    assert "no-store" in page(room, room.owner)["Cache-Control"]
    assert client_of(room.owner).post(f"/rooms/{room.code}/call/").status_code == 405


# -- What it holds ----------------------------------------------------------------------------


def test_the_link_is_there_to_be_sent() -> None:
    room = make_room()
    assert f'value="http://testserver/join/{links.token_of(room)}"' in page(room, room.owner).content.decode()


def test_a_withdrawn_link_is_not_offered() -> None:
    room = make_room()
    links.revoke(room)
    html = page(room, room.owner).content.decode()
    assert "/join/" not in html and "does not open the room any more" in html


def test_names_cannot_break_out_of_the_page() -> None:
    room = make_room(candidate_name='</script><b id="x">', title="<i>&")
    html = page(room, room.owner).content.decode()
    assert '<b id="x">' not in html and "<i>&" not in html
    assert embedded(html, "call-data")["candidate"] == '</script><b id="x">'


def test_scripts_are_told_where_things_are() -> None:
    room = make_room()
    data = embedded(page(room, room.owner).content.decode(), "call-data")
    assert data["socket"] == f"/ws/rooms/{room.code}/?as=interviewer"
    assert data["urls"]["summary"] == f"/rooms/{room.code}/summary/"
    assert data["urls"]["end"] == f"/rooms/{room.code}/end/"


def test_nothing_runs_or_styles_within_the_page() -> None:
    room = make_room()
    html = page(room, room.owner).content.decode()
    scripts = re.findall(r"<script(?![^>]*(?: src=|application/json))[^>]*>", html)
    assert scripts == [] and "<style" not in html
    assert re.search(r"\s(style|on[a-z]+)=", html) is None


def used_texts(name: str) -> set[str]:
    source = (SCRIPTS / f"{name}.js").read_text()
    taken = set(re.findall(r"\b(?:strings|say)\.(\w+)", source))
    for names in re.findall(r"const \{([^}]*)\} = (?:this\.)?strings", source):
        taken |= {one.split(":")[0].strip() for one in names.split(",")}
    return taken


@pytest.mark.parametrize("name", SHARED)
def test_texts_of_shared_scripts_are_given_to_both_sides(name: str) -> None:
    assert used_texts(name) <= set(shared_strings())


@pytest.mark.parametrize("name", ["interviewer", "waiting"])
def test_texts_of_the_interviewers_scripts_are_given(name: str) -> None:
    used = used_texts(name)
    assert len(used) > 4
    assert used <= set(interviewer_strings())


def test_every_problem_of_a_device_has_its_guidance() -> None:
    codes = re.search(r'@returns \{Promise<("denied".*?)>\}', (SCRIPTS / "devices.js").read_text())
    assert codes is not None
    wanted = {f"{kind}_{code}" for kind in ("microphone", "camera") for code in re.findall(r"\w+", codes[1])}
    assert len(wanted) == 12
    assert wanted <= set(shared_strings())
