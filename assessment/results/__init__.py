"""The results document: its schema, and how it is built from the records."""

from assessment.results.builder import build_document
from assessment.results.schema import ResultsDocument

__all__ = ["ResultsDocument", "build_document"]
