"""Typed reading of the environment; a bad value stops the start with its name."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import environ
from django.core.exceptions import ImproperlyConfigured

T = TypeVar("T")
_env = environ.Env()


def read_dotenv(path: Path) -> None:
    """Take in a `.env` file; what the environment already says wins."""
    if path.is_file():
        environ.Env.read_env(path)


def _read(name: str, parse: Callable[[str], T], default: T) -> T:
    raw = _env.str(name, default="").strip()
    if not raw:
        return default
    try:
        return parse(raw)
    except (ValueError, TypeError, KeyError) as error:
        raise ImproperlyConfigured(f"{name}: {raw!r} is not usable ({error}).") from error


def text(name: str, default: str = "") -> str:
    return _read(name, str, default)


def choice(name: str, default: str, allowed: tuple[str, ...]) -> str:
    value = text(name, default)
    if value not in allowed:
        raise ImproperlyConfigured(f"{name}: {value!r} is not one of {', '.join(allowed)}.")
    return value


def _in_range(value: T, low: T | None, high: T | None) -> T:
    if low is not None and value < low:  # type: ignore[operator]
        raise ValueError(f"the least is {low}")
    if high is not None and value > high:  # type: ignore[operator]
        raise ValueError(f"the most is {high}")
    return value


def integer(name: str, default: int, low: int | None = 0, high: int | None = None) -> int:
    return _read(name, lambda raw: _in_range(int(raw), low, high), default)


def number(name: str, default: float, low: float | None = 0.0, high: float | None = None) -> float:
    return _read(name, lambda raw: _in_range(float(raw), low, high), default)


def flag(name: str, default: bool = False) -> bool:
    words = {"1": True, "true": True, "yes": True, "on": True}
    words |= {"0": False, "false": False, "no": False, "off": False}
    return _read(name, lambda raw: words[raw.lower()], default)


def words(name: str, default: tuple[str, ...] = ()) -> list[str]:
    """A comma-separated list."""
    return _read(name, lambda raw: [w.strip() for w in raw.split(",") if w.strip()], list(default))


def country(name: str, default: str) -> str:
    value = text(name, default).upper()
    if len(value) != 2 or not value.isalpha():
        raise ImproperlyConfigured(f"{name}: {value!r} is not a two-letter ISO 3166 country code.")
    return value


def database(name: str, default: str) -> dict[str, object]:
    """A Django database entry from a URL such as ``postgres://user:password@host/name``."""
    raw = text(name, default)
    try:
        config = environ.Env.db_url_config(raw)
    except Exception as error:  # the parser raises whatever urllib does
        raise ImproperlyConfigured(f"{name}: not a database URL ({error}).") from error
    if not config.get("ENGINE"):
        raise ImproperlyConfigured(f"{name}: not a database URL.")
    return dict(config)
