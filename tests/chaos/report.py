"""What the rounds found: rounds.json, report.md and junit.xml, and the table of figures in docs/faults.md."""

from __future__ import annotations

import json
import statistics
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.chaos.fault import Fault
from tests.chaos.rounds import Result

BEGIN, END = "<!-- figures: make chaos -->", "<!-- end of figures -->"
COLUMNS = ("Fault", "Rounds", "First new score, s (min / median / max)", "Lost", "Duplicated", "Changed", "View differs")


def load(path: Path) -> list[Result]:
    """The rounds of an earlier run."""
    return [Result(**each) for each in json.loads(path.read_text(encoding="utf-8"))["rounds"]]


def table(results: Sequence[Result]) -> str:
    """Figures by fault, in Markdown; the numbers on the right."""
    rows = []
    for name in dict.fromkeys(sorted(each.fault for each in results)):
        mine = [each for each in results if each.fault == name]
        times = [each.first_score for each in mine if each.first_score is not None]
        first = f"{min(times):.1f} / {statistics.median(times):.1f} / {max(times):.1f}" if times else "none"
        failed = sum(bool(each.failed) for each in mine)
        rounds = f"{len(mine)}" + (f" ({failed} failed)" if failed else "")
        rows.append(
            (name, rounds, first, *(str(sum(getattr(each, kind) for each in mine)) for kind in ("lost", "duplicated", "changed", "view")))
        )
    total = (
        f"all {len(rows)} faults",
        str(len(results)),
        "",
        *(str(sum(getattr(each, kind) for each in results)) for kind in ("lost", "duplicated", "changed", "view")),
    )
    lines = [COLUMNS, ("---", "---:", "---:", "---:", "---:", "---:", "---:"), *rows, total]
    return "\n".join("| " + " | ".join(row) + " |" for row in lines) + "\n"


def setting(facts: Mapping[str, str], results: Sequence[Result]) -> str:
    """A sentence on where the figures come from."""
    minutes = sum(each.seconds for each in results) / 60
    backends = ", ".join(sorted({f"{each.backend} at parallelism {each.parallelism}" for each in results}))
    records = sum(each.records for each in results)
    return (
        f"{len(results)} rounds in {minutes:.0f} minutes at commit {facts['Commit']}, from {facts['Installation']}; {backends}; "
        f"{records:,} comparisons of a live record with replay's. {facts['Processor']}, {facts['Cores']} cores, {facts['Memory']}, shared; "
        f"Flink {facts['apache-flink']}, Kafka {facts['Kafka broker']}, {facts['Java']}. "
        f"The checkpoint folder was {facts['Checkpoint folder']}."
    )


def write(folder: Path, results: Sequence[Result], faults: Mapping[str, Fault], facts: Mapping[str, str]) -> None:
    """All three files."""
    folder.mkdir(parents=True, exist_ok=True)
    plain = {"facts": dict(facts), "rounds": [each.plain() for each in results]}
    (folder / "rounds.json").write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")
    (folder / "report.md").write_text(markdown(results, faults, facts), encoding="utf-8")
    ElementTree.ElementTree(junit(results)).write(folder / "junit.xml", encoding="utf-8", xml_declaration=True)


def markdown(results: Sequence[Result], faults: Mapping[str, Fault], facts: Mapping[str, str]) -> str:
    """For people: figures, what faults may cost, what each round saw, and what was wrong."""
    parts = ["# Faults", setting(facts, results), table(results)]
    costs = [f"- **{name}**: {faults[name].costs}." for name in sorted({each.fault for each in results}) if faults[name].costs]
    parts += ["## What a fault may cost, besides time", "\n".join(costs)] if costs else []
    limits = [f"- **{name}**: {faults[name].impossible}." for name in sorted({each.fault for each in results}) if faults[name].impossible]
    parts += ["## Where Flink, Kafka or PyFlink make it impossible", "\n".join(limits)] if limits else []
    wrong = [each for each in results if not each.sound]
    parts += (
        [f"## {len(wrong)} rounds were wrong", *(f"### {repeat(each)}\n\n```\n{each.failed}\n{_notes(each)}\n```" for each in wrong)]
        if wrong
        else []
    )
    parts += [
        "## What was seen",
        "\n".join(f"- {each.seed} {each.fault}, {each.backend}, {each.seconds:.0f} s: {each.saw}" for each in results),
    ]
    return "\n\n".join(parts) + "\n"


def _notes(result: Result) -> str:
    return "\n".join(result.notes)[:8000]


def junit(results: Sequence[Result]) -> ElementTree.Element:
    """One test case a round, as continuous integration reads it."""
    wrong = sum(not each.sound for each in results)
    suite = ElementTree.Element(
        "testsuite", name="chaos", tests=str(len(results)), failures=str(wrong), errors="0", time=f"{sum(r.seconds for r in results):.1f}"
    )
    for each in results:
        case = ElementTree.SubElement(
            suite, "testcase", classname=f"chaos.{each.fault}", name=f"seed-{each.seed}", time=f"{each.seconds:.1f}"
        )
        properties = ElementTree.SubElement(case, "properties")
        for name in ("backend", "parallelism", "first_score", "records", "lost", "duplicated", "changed", "view"):
            ElementTree.SubElement(properties, "property", name=name, value=str(getattr(each, name)))
        if not each.sound:
            said = (
                each.failed
                or f"{each.lost} lost, {each.duplicated} duplicated, {each.changed} changed, {each.view} keys of the view differ"
            )
            failure = ElementTree.SubElement(case, "failure", message=_printable(said[:300]))
            failure.text = _printable(f"{repeat(each)}\n{each.failed}\n{_notes(each)}")
        ElementTree.SubElement(case, "system-out").text = _printable(each.saw)
    return suite


def _printable(text: str) -> str:
    """XML has no place for control characters."""
    return "".join(letter for letter in text if letter.isprintable() or letter in "\n\t")


def repeat(result: Result) -> str:
    """The command that runs a round again, alone."""
    return f"make chaos ROUNDS=1 SEED={result.seed} ONLY={result.fault} BACKEND={result.backend} PARALLELISM={result.parallelism}"


def into_page(page: Path, results: Sequence[Result], facts: Mapping[str, str]) -> None:
    """The figures between the markers of a page. Raises ValueError where it has none."""
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        msg = f"{page} has no place for figures: expected a line {BEGIN} and behind it one {END}"
        raise ValueError(msg)
    page.write_text(f"{before}{BEGIN}\n{setting(facts, results)}\n\n{table(results)}{END}{after}", encoding="utf-8")
