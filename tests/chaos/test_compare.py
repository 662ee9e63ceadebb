"""The comparison sees what is lost, duplicated and changed; the report says it. Without servers."""

from __future__ import annotations

import copy
import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from keepline.operators.spec import CHANNELS
from tests.chaos import report
from tests.chaos.__main__ import order
from tests.chaos.compare import difference
from tests.chaos.dead import expected
from tests.chaos.faults import FAULTS
from tests.chaos.rounds import Result, take
from tests.whole.history import Sent


def score(customer: str, number: int, value: float = 0.5) -> dict[str, Any]:
    return {"customer_id": customer, "score": "churn", "role": "CHAMPION", "as_of": number, "event_id": f"e{number}", "value": value}


def outputs() -> Any:
    made = {channel: {} for channel in (*CHANNELS, "tombstones")}
    made["scores"] = {who: [score(who, number) for number in range(5)] for who in "ab"}
    made["interventions"] = {"a": [{"intervention_id": "i", "customer_id": "a", "value": 0.7}]}
    made["labelled-outcomes"] = {
        "a": [{"decision_id": "d", "intervention_id": None, "status": "LANDED", "closed_at": 9, "label": "CHURNED"}]
    }
    made["erasure-receipts"] = {"r": [{"request_id": "r", "erased_at": 5, "counts": {"held": 1}}]}
    made["dead-letters"] = {"k": [{"key": "k", "value_sha256": "x", "reason": "MALFORMED", "offset": 7, "message": "live says why"}]}
    return made


GONE = {"key": "a|churn|CHAMPION", "tombstone": True}


def counts(change: Any) -> tuple[int, int, int]:
    found = copy.deepcopy(outputs())
    change(found)
    told = difference(found, outputs())
    assert told.equal == (not told.examples)
    return told.lost, told.duplicated, told.changed


def test_equal() -> None:
    assert counts(lambda found: None) == (0, 0, 0)
    assert counts(lambda found: found["dead-letters"]["k"][0].update(offset=9, message="another")) == (0, 0, 0)
    assert difference(outputs(), outputs()).records == 14


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (lambda found: found["scores"]["a"].pop(), (1, 0, 0)),
        (lambda found: found["scores"].pop("a"), (5, 0, 0)),
        (lambda found: found["interventions"].clear(), (1, 0, 0)),
        (lambda found: found["scores"]["a"].append(score("a", 4)), (0, 1, 0)),
        (lambda found: found["interventions"]["a"].extend(found["interventions"]["a"] * 2), (0, 2, 0)),
        (lambda found: found["scores"]["b"][2].update(value=0.6), (0, 0, 1)),
        (lambda found: found["dead-letters"]["k"][0].update(reason="OVERSIZED"), (0, 0, 1)),
        (lambda found: found["labelled-outcomes"]["a"][0].update(label="RETAINED"), (0, 0, 1)),
        (lambda found: found["erasure-receipts"].clear(), (1, 0, 0)),
        (lambda found: found["scores"]["b"].append(score("b", 99)), (0, 0, 1)),
        (lambda found: found["scores"].update(c=[score("c", 1)]), (0, 0, 1)),
        (lambda found: found["scores"]["b"].reverse(), (0, 0, 4)),
        (lambda found: found["scores"]["b"].__setitem__(0, score("b", 4)), (1, 1, 0)),
    ],
)
def test_differences(change: Any, wanted: tuple[int, int, int]) -> None:
    assert counts(change) == wanted


def test_tombstones_are_counted_and_no_scores() -> None:
    wanted, found = outputs(), outputs()
    wanted["tombstones"]["a"] = [GONE]
    assert difference(found, wanted).lost == 1
    found["scores"]["a"].insert(2, GONE)
    assert difference(found, wanted).equal
    found["scores"]["a"].append(GONE)
    assert difference(found, wanted).duplicated == 1
    assert difference(found, outputs()).changed == 2


def test_letters_without_a_key_have_no_order() -> None:
    letters = [{"key": "", "value_sha256": name, "reason": "MALFORMED"} for name in "xyz"]
    wanted, found = outputs(), outputs()
    wanted["dead-letters"][""], found["dead-letters"][""] = letters, letters[::-1]
    assert difference(found, wanted).equal
    found["dead-letters"][""] = letters[1:]
    assert difference(found, wanted).lost == 1


def test_expected_dead_letters() -> None:
    sent = [Sent(0, b"a", b"x", None, "MALFORMED"), Sent(1, None, None, None, "MALFORMED"), Sent(0, b"a", b"y", {"event_time": 1})]
    told = expected(sent)
    assert {key: [each["value_length"] for each in letters] for key, letters in told.items()} == {"YQ==": [1], "": [0]}


def test_every_fault_has_its_turn() -> None:
    many = [name for name, fault in FAULTS.items() if not fault.once]
    once = [name for name in FAULTS if name not in many]
    names = order(3 * len(many) + len(once), 5, "")
    assert {name: names.count(name) for name in many} == dict.fromkeys(many, 3)
    assert {name: names.count(name) for name in once} == dict.fromkeys(once, 1)
    assert order(40, 5, "") == order(40, 5, ""), "seeded"
    assert order(40, 5, "") != order(40, 6, "")
    assert order(4, 5, "redis-full,rescale").count("rescale") == 2


def results() -> list[Result]:
    good = Result("redis-full", 7, "rocksdb", 1, 20.0, 1.5, records=900, saw="said: OOM")
    bad = Result("rescale", 8, "hashmap", 2, 30.0, None, lost=2, records=900, failed="AssertionError: \x00 no <score>")
    return [good, bad, Result("redis-full", 9, "rocksdb", 1, 20.0, 2.5, records=900)]


FACTS = dict.fromkeys(
    ("Commit", "Processor", "Cores", "Memory", "apache-flink", "Kafka broker", "Java", "Installation", "Checkpoint folder"), "x"
)


def test_report(tmp_path: Path) -> None:
    report.write(tmp_path, results(), FAULTS, FACTS)
    assert report.load(tmp_path / "rounds.json") == results()
    page = (tmp_path / "report.md").read_text()
    assert "| redis-full | 2 | 1.5 / 2.0 / 2.5 | 0 | 0 | 0 | 0 |" in page
    assert "| rescale | 1 (1 failed) | none | 2 | 0 | 0 | 0 |" in page
    assert "make chaos ROUNDS=1 SEED=8 ONLY=rescale BACKEND=hashmap PARALLELISM=2" in page
    suite = ElementTree.parse(tmp_path / "junit.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("3", "1")
    (failure,) = suite.iter("failure")
    assert "no <score>" in str(failure.get("message"))


def test_figures_go_into_the_page(tmp_path: Path) -> None:
    page = tmp_path / "faults.md"
    page.write_text(f"# Faults\n\nbefore\n\n{report.BEGIN}\nold\n{report.END}\n\nafter\n")
    report.into_page(page, results(), FACTS)
    report.into_page(page, results(), FACTS)
    text = page.read_text()
    assert "\nold\n" not in text
    assert text.count("| redis-full |") == 1
    assert text.startswith("# Faults\n\nbefore\n")
    assert text.endswith("\n\nafter\n")
    page.write_text("# nothing")
    with pytest.raises(ValueError, match="no place for figures"):
        report.into_page(page, results(), FACTS)


def test_counts_reach_the_result() -> None:
    found = outputs()
    found["scores"]["a"].pop()
    result = Result("rescale", 1, "hashmap", 1)
    take(result, difference(found, outputs()))
    assert (result.lost, result.sound) == (1, False)
    assert json.dumps(result.plain())
