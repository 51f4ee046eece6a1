"""The report of an assessment as PDF: the story of the results page on paper."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.contrib.staticfiles import finders
from django.template.loader import render_to_string
from django.utils import translation
from weasyprint import CSS, HTML
from weasyprint.text.fonts import FontConfiguration
from weasyprint.urls import URLFetcher

from assessment import story

STYLES = "css/report.css"


class NothingFetched(URLFetcher):
    """Lets through what is written into the page itself; a report never asks the network or the disk."""

    def __init__(self) -> None:
        super().__init__(allowed_protocols=("data",))


def _styles() -> str:
    path = finders.find(STYLES)
    if not isinstance(path, str):
        raise FileNotFoundError(f"static/{STYLES}")
    return Path(path).read_text(encoding="utf-8")


def write_pdf(page: str) -> bytes:
    """A page of ours on paper, with the report's style sheet; it fetches nothing."""
    fonts = FontConfiguration()
    fetcher = NothingFetched()
    styles = CSS(string=_styles(), font_config=fonts, url_fetcher=fetcher)
    pdf: bytes = HTML(string=page, url_fetcher=fetcher).write_pdf(stylesheets=[styles], font_config=fonts)
    return pdf


def render_pdf(document: dict[str, Any], *, language: str = "en") -> bytes:
    """The report of a results document (see results/schema.py) in `language`, "en" or "id".

    Raises pydantic's ValidationError where `document` has another shape.
    """
    with translation.override(language):
        told = {"story": story.tell(document), "language": translation.get_language()}
        return write_pdf(render_to_string("report/report.html", told))
