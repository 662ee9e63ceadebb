"""docs/bad-input.md says what the tests show: every kind of bad record has its row, with its reason, and every test it names exists."""

from __future__ import annotations

import re

from keepline.jobs.stack.java import ROOT
from tests.hard.bad_records import bad_records

PAGE = (ROOT / "docs" / "bad-input.md").read_text(encoding="utf-8")
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line.startswith("| ")]


def test_every_kind_of_bad_record_has_its_row() -> None:
    rows = {row[0]: row[1] for row in ROWS}
    made: dict[str, set[str]] = {}
    for bad in bad_records():
        made.setdefault(bad.kind, set()).add(bad.reason)
    for kind, reasons in made.items():
        assert rows[kind] in reasons, kind
    reasons = {"MALFORMED", "INVALID_FIELD", "UNKNOWN_SCHEMA", "KEY_MISMATCH", "OVERSIZED", "OUT_OF_BOUNDS_TIME", "FUTURE_TIME"}
    assert {kind for kind, reason in rows.items() if reason in reasons} == set(made)


def test_every_test_on_the_page_exists() -> None:
    sources = [*(ROOT / "tests").rglob("test_*.py"), *(ROOT / "operators" / "jvm" / "src" / "test").rglob("*Test.java")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    defined = set(re.findall(r"(?:def|void) (\w+)\(", text))
    named = set(re.findall(r"`(test_\w+|a[A-Z]\w+)`", PAGE))
    assert len(named) > 15
    assert named <= defined, named - defined
    for row in ROWS:
        if row[0] not in ("Input", "") and not set(row[0]) <= {"-"}:
            assert "`" in row[-1], f"no test: {row[0]}"
