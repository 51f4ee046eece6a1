"""The results document: its schema, and how it is built from the records."""

from typing import Any

from assessment.models import Assessment
from assessment.results.schema import ResultsDocument

__all__ = ["ResultsDocument", "build_document"]


def build_document(assessment: Assessment) -> dict[str, Any]:
    """See `builder.build_document`, which is imported here when called: it brings the analysis along (700 MB), and the
    web server, which needs the schema alone, must stay small."""
    from assessment.results import builder

    return builder.build_document(assessment)
