"""A committed savepoint and what it leads to, for the test that restores each and for the suite of faults.

Scores, late events and dead letters go on as in an uninterrupted replay, to the record. So does everything else where the folder has a
policy. States of before (0.1.0 and its like) know of the contacts only until when a customer is left alone: here that is 30 days from the
last intervention, whatever the policy says now.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keepline.jobs.settings import RetentionSettings
from keepline.operators.spec import CHANNELS, HOUR_MS
from tests.jobs import policy_files
from tests.whole.history import DAY, Sent, sent
from tests.whole.policies import by_time
from tests.whole.support import Outputs, Record, assert_equal, by_customer, flat, replayed

SAVEPOINTS = sorted(Path(__file__).parent.glob("churn-v*"))
POLICY = "policy.yaml"
CLV_MODEL = "clv.json"
HOT = ("scores", "late-events", "dead-letters")
"""What the customer operator makes alone."""
QUIET = 30 * DAY


def settings_of(folder: Path, policy: Path) -> RetentionSettings:
    """Of the job of a folder: with lifetime value if the folder has its model."""
    scores = ("churn", "clv") if (folder / CLV_MODEL).exists() else ("churn",)
    return RetentionSettings(scores=scores, model=folder, clv_model=folder / CLV_MODEL, emit="every", policy=policy)


class Savepoint:
    """One folder. `place` is where its replays and, for those of before policies, a policy of today are put."""

    def __init__(self, folder: Path, place: Path) -> None:
        """Reads what is there."""
        self.folder, self._place = folder, place
        self.facts: dict[str, Any] = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
        self.records: list[Sent] = [sent(json.loads(line), 1, partition=0) for line in (folder / "events.jsonl").open()]
        self.contacts = (folder / POLICY).exists()
        place.mkdir(parents=True, exist_ok=True)
        self.policy = folder / POLICY if self.contacts else policy_files.policy_file(place, cooldown="1d", more="")
        files = {channel: folder / f"{channel}.jsonl" for channel in CHANNELS}
        self.known: Outputs = {
            channel: by_customer(map(json.loads, path.open())) if path.exists() else {} for channel, path in files.items()
        }

    def assert_goes_on(self, found: Outputs) -> int:
        """Whether that is what a job made that began from the savepoint and read the rest; how many records it was."""
        settings = settings_of(self.folder, self.policy)
        whole = replayed(settings, self.records, self._place / "whole")
        first = replayed(settings, self.records[: self.facts["before"]], self._place / "first")
        channels = CHANNELS if self.contacts else HOT
        if self.contacts:
            assert_equal(whole, self.known)
        else:
            # What came after the savepoint may be other than then: a control record runs the ticks that are due at its time.
            first = self._without_last_ticks(first)
            assert_equal(first, _begun(self.known, first), HOT)
            self._assert_quiet(found)
        rest = {channel: _left(whole[channel], first[channel]) for channel in channels}
        for channel in ("interventions", "decisions"):  # a budget's come by another way
            if channel in channels:
                rest[channel], found = by_time(rest[channel]), found | {channel: by_time(found[channel])}
        assert_equal(found, rest, channels)
        return sum(len(flat(made)) for made in rest.values())

    def _without_last_ticks(self, first: Outputs) -> Outputs:
        """As that version's job had put it out at the savepoint: its ticks came an hour (the bound of disorder) later."""
        told = self._newest() - 2 * HOUR_MS - 1
        return first | {"scores": {customer: _until(made, told) for customer, made in first["scores"].items()}}

    def _newest(self) -> int:
        """The newest event time that is in the savepoint."""
        return max(record.event["event_time"] for record in self.records[: self.facts["before"]] if record.event)

    def _assert_quiet(self, found: Outputs) -> None:
        """Nobody is contacted within 30 days of what the version before did, and it is said why."""
        contacted = {customer: made[0]["decided_at"] for customer, made in self.known["interventions"].items()}
        until = {customer: at + QUIET for customer, at in contacted.items() if at <= self._newest()}
        assert len(until) > 3
        early = [each for each in flat(found["interventions"]) if each["decided_at"] < until.get(each["customer_id"], 0)]
        assert not early, early
        said = {
            (each["customer_id"], json.loads(each["made_from"]).get("cooldown_until"))
            for each in flat(found["decisions"])
            if each["reason"] == "COOLDOWN" and each["decided_at"] < until.get(each["customer_id"], 0)
        }
        assert said
        assert said <= set(until.items())


def _left(whole: Mapping[str, list[Record]], first: Mapping[str, list[Record]]) -> dict[str, list[Record]]:
    """Each customer's records behind those of the first part."""
    left = {customer: made[len(first.get(customer, [])) :] for customer, made in whole.items()}
    return {customer: made for customer, made in left.items() if made}


def _begun(known: Outputs, first: Outputs) -> Outputs:
    """As many of each customer's records as the first part has."""
    return {channel: {customer: known[channel][customer][: len(made)] for customer, made in first[channel].items()} for channel in HOT}


def _until(scores: list[Record], moment: int) -> list[Record]:
    """Without the ticks at the end that are later."""
    end = len(scores)
    while end and not scores[end - 1]["event_id"] and scores[end - 1]["as_of"] > moment:
        end -= 1
    return scores[:end]
