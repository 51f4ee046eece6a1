"""Google Drive links: every form that people paste, turned into the address of the file itself."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from urllib.parse import SplitResult, parse_qs, urlencode, urljoin, urlsplit, urlunsplit

from mlcore.errors import AnalysisError

PAGES = ("drive.google.com", "docs.google.com")
FILES = "drive.usercontent.google.com"
SIGN_IN = "accounts.google.com"
_FILE_PATH = re.compile(r"/file/(?:u/\d+/)?d/(?P<id>[\w-]{10,})")
_FILE_ID = re.compile(r"[\w-]{10,}")
_FOLDER = re.compile(r"/(?:folders|folderview|drive/(?:u/\d+/)?folders)(?:/|$)")
_DOCUMENT = re.compile(r"/(?:document|spreadsheets|presentation|forms)/")


def is_drive(host: str) -> bool:
    return host in PAGES or host == FILES


def direct_url(url: str) -> str:
    """The address of the file that a Drive link shows; any other address as it is.

    Keeps the resource key, without which older shared files are not found. Raises
    AnalysisError('url_refused') for folders and documents, and for links that name no file.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    if host not in PAGES:
        return url
    if _FOLDER.search(parts.path):
        raise AnalysisError(
            "url_refused", "The link leads to a Google Drive folder. Give the link of one video in it."
        )
    if _DOCUMENT.search(parts.path):
        raise AnalysisError("url_refused", "The link leads to a Google document, not to a video.")
    query = parse_qs(parts.query)
    file_id = _file_id(parts, query)
    if file_id is None:
        raise AnalysisError(
            "url_refused", "The Google Drive link names no file. Use the link that Share › Copy link gives."
        )
    wanted = {"id": file_id, "export": "download", "confirm": "t"}
    for key in ("resourcekey", "authuser"):
        if key in query:
            wanted[key] = query[key][0]
    return f"https://{FILES}/download?{urlencode(wanted)}"


def _file_id(parts: SplitResult, query: dict[str, list[str]]) -> str | None:
    in_path = _FILE_PATH.search(parts.path)
    if in_path:
        return in_path["id"]
    for value in query.get("id", []):
        if _FILE_ID.fullmatch(value):
            return value
    return None


class _DownloadForm(HTMLParser):
    """Takes up the form of the page "can't scan this file for viruses: download anyway"."""

    def __init__(self) -> None:
        super().__init__()
        self.action: str | None = None
        self.fields: dict[str, str] = {}
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form" and self.action is None:
            self._inside = given.get("id") in ("download-form", "downloadForm")
            if self._inside:
                self.action = given.get("action", "")
        elif tag == "input" and self._inside and given.get("type") == "hidden" and "name" in given:
            self.fields[given["name"]] = given.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False


def confirmed_url(page: str, page_url: str) -> str | None:
    """Where the "download anyway" form of a Drive page leads, with its confirm and uuid fields; None without
    one."""
    form = _DownloadForm()
    form.feed(page)
    if form.action is None or not form.fields:
        return None
    target = urlsplit(urljoin(page_url, form.action))
    kept = {name: values[0] for name, values in parse_qs(target.query).items()}
    return urlunsplit(target._replace(query=urlencode(kept | form.fields), fragment=""))
