"""The mapping file as a document: its error class, and what its messages say. Reading it is schemas/document.py's."""

from __future__ import annotations

from typing import ClassVar

from keepline.schemas import document
from keepline.schemas.document import Entry, kind, literal, nearest, scalar, tag, text_of

__all__ = ["Document", "Entry", "MappingError", "kind", "literal", "nearest", "scalar", "tag", "text_of"]


class MappingError(document.DocumentError):
    """A mapping file with errors: one a line, each `file:line:column: what, expected, what to do`."""


class Document(document.Document):
    """A mapping file's root node, and its errors so far."""

    error: ClassVar[type[document.DocumentError]] = MappingError
    called: ClassVar[str] = "a mapping"
    brackets: ClassVar[str] = "put a path with [ ] in quotes"
    empty: ClassVar[str] = "expected version: 1 and sources:; see docs/mapping.md"
    merge: ClassVar[str] = "write what the events of a source share under its fields:"
