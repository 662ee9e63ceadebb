"""docs/benchmarks.md: sections between markers, each written by its own command, so that none overwrites another's.

A page without markers, as older ones are, is taken as the section `parts` whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "benchmarks.md"
NOTES = ROOT / "docs" / "benchmarks-notes.md"
SECTIONS = ("peers", "curves", "notes", "parts")
"""In this order: Keepline beside its peers, its curves where they were measured in a session without the peers, what people say to both
(benchmarks-notes.md), the job's parts."""
HEAD = """# Benchmarks

Written by the commands that measured; what people say to the figures is in [notes](benchmarks-notes.md), which is included here.
Ratios travel between machines better than figures do.
"""


WHERE = ("--json", "--journal")
"""Flags that say where results go."""


def measured_with(flags: Sequence[str]) -> str:
    """The flags that decide what is measured: the page names no file of the machine it was written on."""
    kept = [flag for before, flag in zip(("", *flags), flags, strict=False) if before not in WHERE]
    return " ".join(flag for flag in kept if flag.partition("=")[0] not in WHERE)


def _marks(name: str) -> tuple[str, str]:
    return f"<!-- {name}: begin -->", f"<!-- {name}: end -->"


def sections(text: str) -> dict[str, str]:
    """The sections of a page."""
    found = {}
    for name in SECTIONS:
        begin, end = _marks(name)
        if begin in text and end in text:
            found[name] = text.split(begin, 1)[1].split(end, 1)[0].strip()
    if not found and text.strip():
        found["parts"] = text.removeprefix("# Benchmarks").strip()
    return found


def joined(found: dict[str, str]) -> str:
    """The page of these sections."""
    blocks = [HEAD]
    for name in SECTIONS:
        if found.get(name):
            begin, end = _marks(name)
            blocks.append(f"{begin}\n\n{found[name].strip()}\n\n{end}\n")
    return "\n".join(blocks)


def put(name: str, text: str, page: Path = PAGE, notes: Path = NOTES) -> None:
    """Replaces one section of the page, and brings the notes up to date."""
    found = sections(page.read_text()) if page.exists() else {}
    found[name] = text
    if notes.exists():
        found["notes"] = notes.read_text()
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(joined(found))
