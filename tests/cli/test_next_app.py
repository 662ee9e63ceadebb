"""`keepline next-app evaluate`, as a user runs it."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.cli.conftest import Command, write_lines

START = 1_767_225_600_000
RANKERS = ["popularity", "MFU", "MRU", "Markov-1", "logistic"]


@pytest.fixture
def events(tmp_path: Path) -> Path:
    """Three users with apps of their own and one that all use; one line is no event."""
    dice = random.Random(4)
    made: list[object] = [
        {"type": "AppOpen", "customer_id": f"user-{n % 3}", "event_id": str(n), "event_time": START + 60_000 * n}
        | {"app": dice.choice(["secret.all", f"secret.{n % 3}", f"secret.{n % 3}.{dice.randrange(4)}"])}
        for n in range(300)
    ]
    return write_lines(tmp_path / "e.jsonl", [*made, "{nonsense"])


def test_table_json_and_plot(keepline: Command, events: Path, tmp_path: Path) -> None:
    done = keepline("next-app", "evaluate", "--events", events, "--plot", "p.svg")
    assert done.code == 0, done.err
    assert "301 rows: 300 opens, 0 unlocks, 1 dropped" in done.out
    assert all(name in done.out for name in RANKERS)
    drawn = (tmp_path / "p.svg").read_text(encoding="utf-8")
    assert all(name in drawn for name in RANKERS)
    found = keepline("next-app", "evaluate", "--events", events, "--json", "--collapse", "--exclude-current", "--plot", "p.png")
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
    assert list(found.json["rankers"]) == RANKERS
    assert found.json["read"]["dropped"] == {"MALFORMED": 1}
    assert found.json["users"] == 3
    assert 0 < found.json["scored"] <= 90
    for metrics in found.json["rankers"].values():
        assert metrics["HR@1"]["value"] <= metrics["MRR"]["value"] <= metrics["HR@5"]["value"] + 0.2
    # The same command writes the same bytes.
    assert keepline("next-app", "evaluate", "--events", events, "--plot", "q.svg").code == 0
    assert (tmp_path / "q.svg").read_text(encoding="utf-8") == drawn
    assert not any(word in text for text in (done.out, done.err, drawn, found.out) for word in ("secret", "user-"))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--plot", "p.bmp"], "--plot is p.bmp, expected a name that ends in .svg, .png, .pdf"),
        (["--seed", "-1"], "--seed"),
        (["--families", "logistic,forest"], "--families has 'forest', expected logistic, trees, ensemble with commas, or none"),
        (["--model", "absent"], "No model at absent"),
    ],
)
def test_mistakes_are_told_before_the_work(keepline: Command, events: Path, arguments: list[str], told: str) -> None:
    done = keepline("next-app", "evaluate", "--events", events, *arguments)
    assert (done.code, done.out) == (2, "")
    assert told in done.err


def test_a_file_without_opens(keepline: Command, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "e.jsonl", [{"type": "Unlock", "customer_id": "user-0", "event_id": "1", "event_time": START}])
    done = keepline("next-app", "evaluate", "--events", path)
    assert (done.code, done.out) == (2, "")
    assert "holds no app open in 1 rows" in done.err


def test_train_and_judge(keepline: Command, events: Path, tmp_path: Path) -> None:
    """A trained model, its report, and its place among the rankers, where it is said that it may know the answers."""
    trained = keepline("train", "next-app", "--events", events, "--out", "m", "--model-id", "mine", "--version", "2")
    assert trained.code == 0, trained.err
    assert "wrote m/manifest.json and report.json, report.md, metrics.svg" in trained.out
    assert "fitted on fit and validation: the first 85 %" in trained.out
    assert {path.name for path in (tmp_path / "m").iterdir()} == {"manifest.json", "report.json", "report.md", "metrics.svg"}
    again = keepline("train", "next-app", "--events", events, "--out", "n", "--model-id", "mine", "--version", "2", "--json")
    assert again.json["read"]["dropped"] == {"MALFORMED": 1}
    assert list(again.json["metrics"]) == RANKERS
    assert "prior" not in again.json
    assert (tmp_path / "m" / "manifest.json").read_bytes() == (tmp_path / "n" / "manifest.json").read_bytes()
    shown = keepline("next-app", "evaluate", "--events", events, "--model", "m", "--families", "none", "--collapse", "--exclude-current")
    assert shown.code == 0, shown.err
    assert "mine 2" in shown.out
    assert "note: mine 2 was trained elsewhere, and may have seen the opens that it is judged by" in shown.out
    several = keepline("next-app", "evaluate", "--events", events, "--families", "trees,logistic", "--model", "m", "--json")
    assert list(several.json["rankers"]) == [*RANKERS[:4], "trees", "logistic", "mine 2"]
    assert not any(word in text for text in (trained.out, shown.out, several.out, again.out) for word in ("secret", "user-"))


def test_training_says_what_is_wrong(keepline: Command, events: Path) -> None:
    done = keepline("train", "next-app", "--events", events, "--out", "m", "--family", "forest")
    assert (done.code, done.out) == (2, "")
    assert "--family is 'forest', expected logistic, trees or ensemble" in done.err
    assert keepline("train", "next-app", "--events", events, "--out", "m", "--at", "night").code == 2
