"""Typed reading of the environment; a bad value stops the start with its name."""

from collections.abc import Callable
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import environ
from django.core.exceptions import ImproperlyConfigured

from assessment.countries import ISO_ALPHA2

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


def url(name: str, schemes: tuple[str, ...] = ("http", "https"), default: str = "") -> str:
    """An address with a host; empty when it is not set."""
    return _read(name, lambda raw: _checked_url(raw, schemes), default)


def _checked_url(raw: str, schemes: tuple[str, ...]) -> str:
    parts = urlsplit(raw)
    if parts.scheme not in schemes or not (parts.hostname or parts.scheme == "unix"):
        raise ValueError(f"an address starts with {' or '.join(f'{scheme}://' for scheme in schemes)}")
    return raw


def _checked_origin(raw: str) -> str:
    parts = urlsplit(_checked_url(raw, ("http", "https")))
    if parts.path or parts.query or parts.fragment:
        raise ValueError("an origin is scheme://host or scheme://host:port, without a path")
    return raw


def origins(name: str, default: tuple[str, ...] = (), wildcard: bool = False) -> list[str]:
    """A comma-separated list of origins, such as ``https://front.example``; with `wildcard` also ``*``."""
    listed = words(name, default)
    try:
        return [one if wildcard and one == "*" else _checked_origin(one) for one in listed]
    except ValueError as error:
        raise ImproperlyConfigured(f"{name}: {error}.") from error


def origin(name: str) -> str:
    """One origin, as browsers write it; empty when it is not set."""
    return _read(name, lambda raw: _checked_origin(raw.rstrip("/").lower()), "")


def networks(name: str, default: tuple[str, ...]) -> list[str]:
    """A comma-separated list of addresses and networks, such as ``127.0.0.1,10.0.0.0/8``."""
    listed = words(name, default)
    try:
        return [str(ip_network(one)) if "/" in one else str(ip_address(one)) for one in listed]
    except ValueError as error:
        raise ImproperlyConfigured(f"{name}: {error}.") from error


def hosts(name: str) -> list[str]:
    """A comma-separated list of ``host`` or ``host:port``."""
    listed = words(name)
    if any("/" in one for one in listed):
        raise ImproperlyConfigured(f"{name}: list host or host:port, not addresses.")
    return listed


def time_zone(name: str, default: str) -> str:
    value = text(name, default)
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ImproperlyConfigured(f"{name}: {value!r} is not a time zone such as Asia/Jakarta.") from error
    return value


def country(name: str, default: str) -> str:
    value = text(name, default).upper()
    if value not in ISO_ALPHA2:
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
