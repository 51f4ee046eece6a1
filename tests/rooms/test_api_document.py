"""docs/api.md and the OpenAPI document against what the rooms' calls answer."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as site_settings
from pydantic import BaseModel, TypeAdapter

from rooms.api.analyze import PictureOut
from rooms.models import Room
from rooms.schemas import RoomCreated, RoomEnded, RoomOut
from rooms.summary_schema import AlertsOut, SummaryOut
from tests.rooms.records import make_room, make_user
from tests.rooms.test_api_rooms import bearer
from tests.rooms.test_summary import interview

pytestmark = pytest.mark.django_db
PAGE = (Path(site_settings.BASE_DIR) / "docs" / "api.md").read_text(encoding="utf-8")
__all__ = ["interview"]


def example(having: str) -> Any:
    """The JSON block of the page with `having` in it; its "as above" is left out."""
    [block] = [one for one in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL) if having in one]
    return json.loads(re.sub(r'\{"…": "as above"\}', "null", block.replace('"…": 0.19', '"sad": 0.19')))


@pytest.mark.parametrize(
    ("having", "schema"),
    [
        ('"participantCount"', list[RoomOut]),
        ('"candidate_link"', RoomCreated),
        ('"ended", "ended_at"', RoomEnded),
        ('"timeline": [{"t":', SummaryOut),
        ('"filename"', PictureOut),
    ],
)
def test_the_pages_examples_are_of_the_schema(having: str, schema: Any) -> None:
    found = TypeAdapter(schema).validate_python(example(having))
    dumped = TypeAdapter(schema).dump_python(found, mode="json")
    assert _keys(dumped) == _keys(example(having)), "nothing is left out or added"


def _keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _keys(inner) for name, inner in value.items()}
    return [_keys(one) for one in value[:1]] if isinstance(value, list) else None


def test_the_answers_are_of_the_schema(interview: Room) -> None:
    client = bearer(interview.owner)
    other = make_room()
    for room in (interview, other):
        SummaryOut.model_validate_json(client.get(f"/api/rooms/{room.code}/summary").content)
        AlertsOut.model_validate_json(client.get(f"/api/rooms/{room.code}/alerts").content)
    assert TypeAdapter(list[RoomOut]).validate_json(client.get("/api/rooms").content)
    RoomEnded.model_validate_json(client.post(f"/api/rooms/{other.code}/end").content)


def test_the_description_has_their_shape() -> None:
    document = bearer(make_user()).get("/api/openapi.json").json()
    models: dict[str, type[BaseModel]] = {"summary": SummaryOut, "alerts": AlertsOut}
    for tail, model in models.items():
        answer = document["paths"][f"/api/rooms/{{code}}/{tail}"]["get"]["responses"]["200"]
        assert answer["content"]["application/json"]["schema"]["$ref"].endswith(f"/{model.__name__}")
        assert set(document["components"]["schemas"][model.__name__]["properties"]) == set(model.model_fields)


def test_every_call_of_the_rooms_says_how_it_refuses() -> None:
    paths = bearer(make_user()).get("/api/openapi.json").json()["paths"]
    for path, calls in paths.items():
        if "rooms" not in path and "analyze" not in path:
            continue
        for method, call in calls.items():
            assert "401" in call["responses"], path
            assert "{code}" not in path or "404" in call["responses"], path
            names = [one["name"] for one in call.get("parameters", [])]
            assert (method == "post") == ("Idempotency-Key" in names), path
