"""What the comparison says follows from its runs: medians and ranges, ratios within rounds, targets, the page and the plots."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks import page
from tests.benchmarks.peers import plots, report, table
from tests.benchmarks.peers.journal import Journal
from tests.benchmarks.peers.options import parse, sizes
from tests.benchmarks.peers.ratios import Range, figure, over, paired
from tests.benchmarks.peers.scaling import VARIANTS
from tests.benchmarks.peers.system import System, discover
from tests.benchmarks.peers.targets import targets

MACHINE = {"Processor": "a processor", "Cores": "2", "Commit": "0123abc"}


def run(system: str, number: int, rate: float, cpu: float = 4.0, void: str = "", **more: Any) -> dict[str, Any]:
    return {
        "part": "throughput", "scenario": "20000/1", "round": number, "system": system, "backend": "", "processes": 1, "customers": 20_000,
        "checkpoint_s": 1.0, "events": 8_000_000, "void": void, "events_s": rate, "cpu_us": cpu, "broker_cpu_us": 1.0, "pause_ms": 30.0,
        **more,
    }  # fmt: skip


def journal(folder: Path, rows: list[dict[str, Any]]) -> Journal:
    made = Journal(folder / "runs.jsonl")
    made.begin(MACHINE, "--quick")
    for row in rows:
        made.add(row)
    return made


def whole(folder: Path) -> Journal:
    """Every part, with a void run, a system whose range touches ours, and one that failed altogether."""
    rows = []
    for number in (1, 2, 3):
        drift = 1 + number / 10  # the machine gets faster: ratios within rounds do not
        for scenario, customers in (("20000/1", 20_000), ("200000/5", 200_000)):
            here = {"scenario": scenario, "customers": customers}
            rows += [
                run("keepline", number, 300_000 * drift, 3.9, backend="heap", **here),
                run("keepline", number, 200_000 * drift, 5.5, backend="rocksdb", **here),
                run("expert", number, 150_000 * drift, 5.0, **here),
                run("limit_flink", number, 310_000 * drift, 1.0, **here),
            ]
        rows.append(run("limit_loop", number, math.nan, void="void: limit_loop ended after 0 of 8 records.\nTraceback"))
        rows += [run("kernel", number, 2e6, 0.5, part="kernel", scenario=None, customers=c) for c in (1_000, 20_000)]
        for rate, variant in zip((200_000, 320_000, 350_000, 360_000), VARIANTS, strict=True):
            rows.append(run("keepline", number, rate * drift / 1.3 + number, part="scaling", variant=variant.name, backend="heap"))
    rows[0]["void"], rows[0]["events_s"] = "void: of 8 records 1 missing", 9e9
    quantiles = {"p50": 5.0, "p90": 9.0, "p99": 40.0, "p99.9": 60.0, "max": 80.0}
    for rate, share in ((5_000, 0), (20_000, 0), (30_000, 0.1), (240_000, 0.8)):
        ends = {"redis_ms": quantiles, "committed_ms": {name: 600 + value for name, value in quantiles.items()}}
        rows.append({"part": "latency", "system": "keepline", "variant": f"{rate}", "rate": rate, "share": share, "void": "", **ends})
    for backend, points in (("heap", (1e3, 1e4, 1e5, 1e6)), ("rocksdb", (1e3, 1e4, 1e5, 1e6, 5e6))):
        for place, customers in enumerate(points):
            cost = (3 + 2 * place) * (2 if backend == "rocksdb" else 1)
            more = {"checkpoint_ms": {"avg": 300}, "part": "customers", "backend": backend}
            rows.append(run("keepline", 1, 1e6 / cost, cost, **more) | {"customers": int(customers)})
    return journal(folder, rows)


def test_a_range_is_of_what_is_there() -> None:
    assert over([3.0, None, 1.0, math.nan, 2.0]) == Range(2.0, 1.0, 3.0, 3)
    assert over([None, math.nan]) is None
    assert Range(2.0, 1.0, 3.0, 3).text() == "2 (1–3)"
    assert Range(2.0, 2.0, 2.0, 1).text(1) == "2.0"


def test_void_runs_count_nowhere() -> None:
    assert figure([run("a", 1, 10.0), run("a", 2, 99.0, void="void: …")], "events_s") == Range(10.0, 10.0, 10.0, 1)
    assert figure([run("a", 1, 10.0, void="void: …")], "events_s") is None


def test_ratios_are_taken_within_rounds() -> None:
    ours, theirs = [run("a", k, 30.0 + 3 * k) for k in (1, 2, 3)], [run("b", k, 10.0 + k) for k in (1, 2, 3)]
    found = paired(ours, theirs)
    assert found is not None
    assert found == pytest.approx((3.0, 3.0, 3.0, 3))
    assert paired(ours, [run("b", 9, 10.0)]) is None  # no round has both


@pytest.mark.parametrize(("theirs", "quoted"), [((9.0, 9.9), True), ((9.0, 10.0), False), ((9.0, 15.0), False), ((30.0, 40.0), True)])
def test_no_ratio_where_ranges_touch(theirs: tuple[float, ...], quoted: bool) -> None:
    ours = [run("a", 1, 10.0), run("a", 2, 20.0)]
    assert (paired(ours, [run("b", k, rate) for k, rate in enumerate(theirs, 1)]) is not None) is quoted


def test_a_journal_goes_on_and_forgets_a_torn_line(tmp_path: Path) -> None:
    made = journal(tmp_path, [run("a", 1, 10.0)])
    path = tmp_path / "runs.jsonl"
    path.write_text(path.read_text() + '{"part": "throughput", "sys')
    again = Journal(path)
    assert again.rows == made.rows
    assert again.find(run("a", 1, 0.0)) == made.rows[0]  # its figures are not its identity
    assert again.find(run("a", 2, 10.0)) is None


def test_a_line_after_a_torn_one_stands_alone(tmp_path: Path) -> None:
    journal(tmp_path, [run("a", 1, 10.0)])
    path = tmp_path / "runs.jsonl"
    path.write_text(path.read_text() + '{"torn')
    Journal(path).add(run("a", 2, 11.0))
    assert [row["round"] for row in Journal(path).rows] == [1, 2]


def test_a_new_session_begins_anew(tmp_path: Path) -> None:
    journal(tmp_path, [run("a", 1, 10.0)])
    assert journal(tmp_path, [run("b", 1, 10.0)]).rows == Journal(tmp_path / "runs.jsonl").rows
    assert [row["system"] for row in Journal(tmp_path / "runs.jsonl").rows] == ["b"]


def test_rows_stand_by_guarantee_and_name_what_is_void(tmp_path: Path) -> None:
    made, systems = whole(tmp_path), discover()
    rates = [*made.of("throughput"), *made.of("kernel")]
    found = table.table(rates, "20000/1", systems)
    first = [row[0] for row in found.rows]
    assert first[:3] == ["**exactly once**", "Keepline, heap", "Keepline, RocksDB"]
    assert first.index("**limits**") == len(first) - 4
    by_name = {row[0]: row for row in found.rows}
    assert "1 of 3 runs void: of 8 records 1 missing" in by_name["Keepline, heap"][3]
    assert "390,000" in by_name["Keepline, heap"][3]  # the void run's 9e9 is in no figure
    assert by_name[systems["expert"].label][-1] == "2.00 (2.00–2.00)×"
    assert by_name[systems["limit_flink"].label][-1] == "ranges touch"
    assert "Traceback" not in "".join("".join(row) for row in found.rows)


def test_targets_are_met_missed_or_not_measured(tmp_path: Path) -> None:
    found = {target.text: target for target in targets(whole(tmp_path))}
    verdicts = {text.partition(": ")[2] or text: target.verdict for text, target in found.items() if text.startswith("20 k")}
    assert verdicts["at least 250,000 events/s"] == "met"
    assert verdicts["at least 1.5 × the expert's loop"] == "met"
    assert verdicts["at least 12 × quixstreams"] == "not measured"
    assert verdicts["less CPU per event than any of them"] == "met"
    assert next(t for t in found.values() if t.text.startswith("the kernel, 1,000")).verdict == "met"
    assert next(t for t in found.values() if "20,000 events/s" in t.text).found == "40 ms"
    assert next(t for t in found.values() if t.text.startswith("two cores")).found.startswith("1.80")


def test_a_target_whose_ranges_touch_is_missed(tmp_path: Path) -> None:
    rows = [run("keepline", k, 100.0 * k, backend="heap") for k in (1, 2)] + [
        run("java_flink", k, 90.0 * k, backend="heap") for k in (1, 2)
    ]
    found = {target.text: target for target in targets(journal(tmp_path, rows))}
    java = found["20 k customers, 1 s checkpoints: at least 1.2 × hand-written Java"]
    assert (java.found, java.verdict) == ("the ranges touch", "missed")


def test_the_page_keeps_what_other_commands_wrote(tmp_path: Path) -> None:
    file, notes = tmp_path / "benchmarks.md", tmp_path / "notes.md"
    file.write_text("# Benchmarks\n\nAn older page.\n")
    page.put("peers", "## Side by side\n\nfirst", file, notes)
    notes.write_text("## What stands in the way\n")
    page.put("peers", "## Side by side\n\nsecond", file, notes)
    page.put("parts", "The parts.", file, notes)
    text = file.read_text()
    assert page.sections(text) == {"peers": "## Side by side\n\nsecond", "notes": "## What stands in the way", "parts": "The parts."}
    assert "first" not in text
    page.put("parts", "The parts.", file, notes)
    assert file.read_text() == text


def test_the_section_holds_every_part_and_explains_how(tmp_path: Path) -> None:
    made, systems = whole(tmp_path), discover()
    drawn = plots.draw(made, systems, tmp_path / "plots")
    text = report.section(made, systems, [(title, f"plots/{path.name}") for title, path in drawn], "0,1")
    for title in (
        "### Targets",
        "### Side by side: 20,000",
        "### Side by side: 200,000",
        "### Latency",
        "### An event's cost",
        "### One core",
    ):
        assert title in text
    assert {path.name for _, path in drawn} == {
        "throughput-20000-1.svg", "throughput-200000-5.svg", "latency.svg", "customers.svg", "scaling.svg"
    }  # fmt: skip


def test_plots_are_the_same_bytes_from_the_same_figures(tmp_path: Path) -> None:
    made, systems = whole(tmp_path), discover()
    first, second = plots.draw(made, systems, tmp_path / "a"), plots.draw(made, systems, tmp_path / "b")
    assert [path.read_bytes() for _, path in first] == [path.read_bytes() for _, path in second]
    assert all(MACHINE["Commit"] in path.read_text() for _, path in first)


def test_the_systems_are_sound() -> None:
    systems = discover()
    assert {"keepline", "expert", "limit_loop", "limit_flink"} <= systems.keys()
    with pytest.raises(ValueError, match="share"):
        System(name="x", label="x", guarantee="none", start=lambda run: None, share=0)  # type: ignore[arg-type,return-value]


def test_flags() -> None:
    assert sizes(parse([])).events == 8_000_000
    assert sizes(parse(["--quick"])).rounds == 3
    (scenario,) = sizes(parse(["--customers", "50", "--checkpoint", "2"])).scenarios
    assert (scenario.customers, scenario.checkpoint_s) == (50, 2.0)
    assert parse(["--only", "keepline,expert"]).parts == ["throughput"]
    with pytest.raises(SystemExit):
        parse(["--parts", "speed"])


@pytest.mark.parametrize("flags", [["--rounds", "5", "--json", "/home/me/o.json"], ["--journal=j", "--rounds", "5"], ["--rounds", "5"]])
def test_the_page_names_no_file_of_the_machine(flags: list[str]) -> None:
    assert page.measured_with(flags) == "--rounds 5"


def test_a_session_without_the_peers_leaves_their_section_alone(tmp_path: Path) -> None:
    alone = journal(tmp_path, [row for row in whole(tmp_path).rows if row["part"] in ("latency", "scaling")])
    assert (report.name_of(whole(tmp_path)), report.name_of(alone)) == ("peers", "curves")
    text = report.section(alone, discover(), [], "0,1")
    assert "not measured" not in text
    assert text.startswith("## Latency, customers, cores")
    where = tmp_path / "page.md"
    page.put("peers", "as it was", where, tmp_path / "none")
    page.put("curves", text, where, tmp_path / "none")
    assert page.sections(where.read_text()) == {"peers": "as it was", "curves": text.strip()}
