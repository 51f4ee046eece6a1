"""The state folder: made by commands, never on import of the settings."""

import os
import secrets
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent


def var_dir() -> Path:
    """Folder of all state (database, media, models, keys); ``VAR_DIR`` moves it."""
    return Path(os.environ.get("VAR_DIR") or BASE_DIR / "var").resolve()


def secret_key_file() -> Path:
    return var_dir() / "secret_key"


def queue_url_file() -> Path:
    """Where `serve` leaves the address of its embedded Valkey for other commands."""
    return var_dir() / "run" / "queue_url"


def read_private(path: Path) -> str | None:
    try:
        return path.read_text().strip() or None
    except FileNotFoundError:
        return None


def write_private(path: Path, text: str) -> None:
    """Write `text` so that only the owner reads it, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    draft.replace(path)


def prepare_state() -> None:
    """Make the state folders and, unless ``SECRET_KEY`` is set, a secret key of its own."""
    if not var_dir().exists():
        var_dir().mkdir(mode=0o700, parents=True)  # the database holds what people said
    for folder in ("uploads", "static"):
        (var_dir() / folder).mkdir(parents=True, exist_ok=True)
    if not os.environ.get("SECRET_KEY") and read_private(secret_key_file()) is None:
        write_private(secret_key_file(), secrets.token_urlsafe(50))
