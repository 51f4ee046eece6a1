"""The summary of an interview as PDF."""

from __future__ import annotations

from django.template.loader import render_to_string
from django.utils import translation

from rooms import summary_story
from rooms.summary import Document


def render_pdf(document: Document, *, language: str = "en") -> bytes:
    """The summary `document` (`rooms.summary`) on paper, in `language`, "en" or "id"."""
    from assessment.report import write_pdf

    with translation.override(language):
        story = summary_story.tell(document)
        return write_pdf(
            render_to_string("rooms/report.html", {"story": story, "language": translation.get_language()})
        )
