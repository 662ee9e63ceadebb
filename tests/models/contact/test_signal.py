"""A signal's scores: the main one and the others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from keepline.models.contact.signal import Scored, number, scored, seen_by, values
from tests.models.contact.lives import REASONS, alive, clv, signal

SENT = signal(others={"p_alive": alive(0.25), "clv_bgnbd": clv(80.0)})
NOTHING = signal(value=None, reasons=())


def test_every_score_is_there_by_its_name() -> None:
    assert scored(SENT, "churn") == Scored(0.9, 2, REASONS, "churn", 2)
    assert scored(SENT, "clv_bgnbd") == clv(80.0)
    assert scored(SENT, "clv_formula") is None
    assert scored(NOTHING, "churn") is None
    assert values(SENT) == {"churn": 0.9, "clv_bgnbd": 80.0, "p_alive": 0.25}
    assert list(values(SENT)) == sorted(values(SENT))
    assert values(NOTHING) == {}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("score:churn", 0.9), ("score:p_alive", 0.25), ("score:clv_bgnbd", 80.0), ("score:clv_formula", None),
        ("feature:data_mb_30d", 500.0), ("feature:churn", None), ("score:data_mb_30d", None),
    ],
)  # fmt: skip
def test_a_source_is_a_score_or_a_feature(source: str, found: float | None) -> None:
    assert number(SENT, source) == found
    assert number(NOTHING, "score:churn") is None


def test_a_signal_seen_by_another_score_has_the_same_scores() -> None:
    seen = seen_by(SENT, "clv_bgnbd")
    assert (seen.score, seen.value, seen.band, seen.reasons, seen.model_id, seen.model_version) == (
        "clv_bgnbd", 80.0, 1, clv(80.0).reasons, "bgnbd", 4,
    )  # fmt: skip
    assert values(seen) == values(SENT)
    assert all(scored(seen, name) == scored(SENT, name) for name in values(SENT))
    assert seen_by(seen, "churn") == SENT
    for name in ("", "churn", "clv_formula"):
        assert seen_by(SENT, name) is SENT
    alone = seen_by(replace(NOTHING, others={"p_alive": alive(0.25)}), "p_alive")
    assert (alone.value, alone.others) == (0.25, {})
