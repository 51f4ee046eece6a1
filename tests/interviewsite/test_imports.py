"""Imports point one way: interviewsite → rooms → assessment → mlcore (DESIGN §1)."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from django.conf import settings

ORDER = ("interviewsite", "rooms", "assessment", "mlcore")


def imported(path: Path) -> set[str]:
    """The first part of every module that the file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


@pytest.mark.parametrize("app", ORDER[1:])
def test_imports_point_one_way(app: str) -> None:
    above = set(ORDER[: ORDER.index(app)])
    files = [path for path in Path(settings.BASE_DIR, app).rglob("*.py") if "migrations" not in path.parts]
    assert files
    assert {str(path): imported(path) & above for path in files if imported(path) & above} == {}


def test_mlcore_knows_nothing_of_http_the_orm_or_jobs() -> None:
    files = list(Path(settings.BASE_DIR, "mlcore").rglob("*.py"))
    allowed = ("apps.py", "management")
    strangers = {
        str(path): found
        for path in files
        if not any(part in path.parts for part in allowed)
        and (found := imported(path) & {"django", "channels", "rq", "ninja", "redis"})
    }
    assert strangers == {}
