"""The parts of a decision alone: consents, caps, arms, shards, codes."""

from __future__ import annotations

from dataclasses import replace
from hashlib import blake2b

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keepline.models.contact import caps
from keepline.models.contact.arms import CONTROL, TREATMENT, arm_of, identifier, shard_of
from keepline.models.contact.compiled import UnknownZoneError, code, compiled
from keepline.models.contact.consent import BIT, Consent, permitted, with_consent
from keepline.models.contact.rules import CHANNELS, Cap, Holdout, Policy
from tests.models.contact.lives import POLICY

STRICT = replace(POLICY, marketing_required=True, profiling_required=True)
LAX = replace(POLICY, marketing_required=False, profiling_required=False)


def channels(mask: int) -> set[str]:
    return {channel for channel, bit in BIT.items() if mask & bit}


def said(*consents: tuple[str, str, int]) -> tuple[Consent, ...]:
    found: tuple[Consent, ...] = ()
    for channel, status, at in consents:
        found = with_consent(found, Consent("MARKETING", channel, status, at))
    return found


@pytest.mark.parametrize(
    ("consents", "strict", "lax"),
    [
        ([], set(), set(CHANNELS)),
        ([("ALL", "GRANTED", 5)], set(CHANNELS), set(CHANNELS)),
        ([("ALL", "DENIED", 5)], set(), set()),
        ([("ALL", "REVOKED", 5)], set(), set()),
        ([("SMS", "GRANTED", 5)], {"SMS"}, set(CHANNELS)),
        ([("SMS", "DENIED", 5)], set(), set(CHANNELS) - {"SMS"}),
        # The newer of the channel's own and ALL.
        ([("ALL", "GRANTED", 5), ("SMS", "REVOKED", 6)], set(CHANNELS) - {"SMS"}, set(CHANNELS) - {"SMS"}),
        ([("SMS", "REVOKED", 6), ("ALL", "GRANTED", 5)], set(CHANNELS) - {"SMS"}, set(CHANNELS) - {"SMS"}),
        ([("SMS", "REVOKED", 5), ("ALL", "GRANTED", 6)], set(CHANNELS), set(CHANNELS)),
        ([("ALL", "REVOKED", 6), ("CALL", "GRANTED", 7)], {"CALL"}, {"CALL"}),
        # Of the same time the one that came later.
        ([("ALL", "GRANTED", 5), ("SMS", "REVOKED", 5)], set(CHANNELS) - {"SMS"}, set(CHANNELS) - {"SMS"}),
        ([("SMS", "REVOKED", 5), ("ALL", "GRANTED", 5)], set(CHANNELS), set(CHANNELS)),
        ([("ALL", "GRANTED", 5), ("ALL", "REVOKED", 5)], set(), set()),
        # What comes late does not count against what is newer.
        ([("ALL", "REVOKED", 6), ("ALL", "GRANTED", 5)], set(), set()),
        ([("ALL", "GRANTED", 6), ("SMS", "GRANTED", 4), ("SMS", "DENIED", 3)], set(CHANNELS), set(CHANNELS)),
        # An older record that changes nothing does not become the later arrival.
        ([("SMS", "GRANTED", 5), ("ALL", "REVOKED", 5), ("SMS", "DENIED", 4)], set(), set()),
    ],
)
def test_the_newest_consent_counts(consents: list[tuple[str, str, int]], strict: set[str], lax: set[str]) -> None:
    found = said(*consents)
    assert channels(permitted(found, STRICT).marketing) == strict
    assert channels(permitted(found, LAX).marketing) == lax
    assert channels(permitted(found, STRICT).profiling) == set()
    assert channels(permitted(found, LAX).profiling) == set(CHANNELS)


def test_purposes_are_apart() -> None:
    found = with_consent(said(("ALL", "GRANTED", 5)), Consent("PROFILING", "SMS", "GRANTED", 1))
    assert channels(permitted(found, STRICT).profiling) == {"SMS"}
    assert channels(permitted(found, STRICT).marketing) == set(CHANNELS)


@given(st.lists(st.tuples(st.sampled_from(("ALL", "SMS", "CALL")), st.sampled_from(("GRANTED", "DENIED")), st.integers(0, 4)), max_size=12))
def test_consents_equal_a_search_of_all_that_was_said(records: list[tuple[str, str, int]]) -> None:
    for channel in ("SMS", "CALL", "PUSH"):
        newest = max(
            ((at, place, status) for place, (of, status, at) in enumerate(records) if of in ("ALL", channel)), default=(0, 0, "GRANTED")
        )
        assert (channel in channels(permitted(said(*records), LAX).marketing)) == (newest[2] == "GRANTED")
    assert len(said(*records)) <= 3


WEEK = 1000


@pytest.mark.parametrize(
    ("cap", "taken", "at", "fits"),
    [
        (Cap(2, WEEK), [], 5000, True),
        (Cap(2, WEEK), [(4500, "SMS")], 5000, True),
        (Cap(2, WEEK), [(4500, "SMS"), (4600, "EMAIL")], 5000, False),
        # (t − per, t]: what is a whole week old has left the window.
        (Cap(1, WEEK), [(4000, "SMS")], 5000, True),
        (Cap(1, WEEK), [(4001, "SMS")], 5000, False),
        (Cap(1, WEEK), [(5000, "SMS")], 5000, False),
        # A held contact later on: its window must not hold both either.
        (Cap(1, WEEK), [(5999, "SMS")], 5000, False),
        (Cap(1, WEEK), [(6000, "SMS")], 5000, True),
        (Cap(2, WEEK), [(4500, "SMS"), (5600, "SMS")], 5000, True),
        (Cap(2, WEEK), [(4700, "SMS"), (5600, "SMS")], 5000, False),
        (Cap(2, WEEK), [(4601, "SMS"), (5600, "SMS")], 5000, False),
        (Cap(2, WEEK), [(4600, "SMS"), (5600, "SMS")], 5000, True),
        # Of a channel.
        (Cap(1, WEEK, "SMS"), [(4500, "SMS")], 5000, False),
        (Cap(1, WEEK, "SMS"), [(4500, "EMAIL")], 5000, True),
        (Cap(1, WEEK, "EMAIL"), [(4500, "EMAIL")], 5000, True),
        (Cap(0, WEEK), [], 5000, False),
    ],
)
def test_caps_slide_to_the_millisecond(cap: Cap, taken: list[tuple[int, str]], at: int, fits: bool) -> None:
    assert caps.full((cap,), taken, at, "SMS") == (None if fits else cap)


@given(
    st.lists(st.builds(Cap, st.integers(1, 3), st.integers(1, 30), st.sampled_from(("", "SMS", "CALL"))), max_size=3),
    st.lists(st.tuples(st.integers(0, 60), st.sampled_from(("SMS", "CALL", "PUSH"))), max_size=8),
    st.integers(0, 60),
    st.sampled_from(("SMS", "CALL", "PUSH")),
)
@settings(max_examples=1000)
def test_a_contact_fits_if_no_window_at_all_is_overfull(limits: list[Cap], taken: list[tuple[int, str]], at: int, channel: str) -> None:
    def overfull(cap: Cap, contacts: list[tuple[int, str]]) -> bool:
        counted = [time for time, by in contacts if cap.channel in ("", by)]
        return any(sum(end - cap.per_ms < time <= end for time in counted) > cap.most for end in range(100))

    before = [contact for contact in taken if not any(overfull(cap, taken) for cap in limits)]
    expected = any(overfull(cap, [*before, (at, channel)]) for cap in limits)
    assert (caps.full(limits, before, at, channel) is not None) == expected


def test_what_no_cap_asks_for_is_not_kept() -> None:
    limits = (Cap(1, 5, "SMS"), Cap(1, 9, "SMS"), Cap(1, 7, "PUSH"))
    assert [caps.longest(limits, channel) for channel in CHANNELS] == [9, 0, 7, 0]
    assert [caps.longest((*limits, Cap(1, 8)), channel) for channel in CHANNELS] == [9, 8, 8, 8]


def test_identifiers_are_those_of_every_release() -> None:
    assert identifier("c1", "sms_discount", "event", "e1", 1) == "1f5424c03cf22c32de5efbb1a7780145"
    assert identifier("c1", "sms_discount", "event", "e1", "1") == "1f5424c03cf22c32de5efbb1a7780145"
    assert identifier("ab", "c") != identifier("a", "bc")


def test_the_arm_is_the_hash_that_is_promised() -> None:
    for customer in ("c1", "c2", "Ωμέγα", ""):
        digest = blake2b(digest_size=16)
        for part in ("arm", "spring", customer):
            digest.update(len(part.encode()).to_bytes(4, "little") + part.encode())
        share = int.from_bytes(digest.digest()[:8], "big") / 2**64
        assert arm_of(customer, Holdout("spring", share - 1e-9)) == TREATMENT
        assert arm_of(customer, Holdout("spring", share + 1e-9)) == CONTROL
    assert arm_of("c1", None) == TREATMENT


def test_arms_have_their_shares_and_programmes_are_independent() -> None:
    customers = [f"customer-{i}" for i in range(4000)]
    spring = {c for c in customers if arm_of(c, Holdout("spring", 0.2)) == CONTROL}
    autumn = {c for c in customers if arm_of(c, Holdout("autumn", 0.2)) == CONTROL}
    assert 680 < len(spring) < 920  # 800 ± 5 standard deviations of 25
    assert 80 < len(spring & autumn) < 240  # 160
    assert spring < {c for c in customers if arm_of(c, Holdout("spring", 0.3)) == CONTROL}
    assert all(arm_of(c, Holdout("spring", 1.0)) == CONTROL for c in customers)
    assert all(arm_of(c, Holdout("spring", 0.0)) == TREATMENT for c in customers)


def test_shards_are_all_used() -> None:
    counts = [0] * 8
    for i in range(4000):
        counts[shard_of(f"customer-{i}", 8)] += 1
    assert all(390 < count < 610 for count in counts)
    assert shard_of("anyone", 1) == 0


@pytest.mark.parametrize(("name", "expected"), [("at_risk", "AT_RISK"), ("bill-shock 2", "BILL_SHOCK_2"), ("X", "X")])
def test_codes(name: str, expected: str) -> None:
    assert code(name) == expected


def test_a_policy_in_no_zone_is_refused() -> None:
    with pytest.raises(UnknownZoneError, match="retention has the time zone 'Mars/Olympus': expected an IANA name, such as Europe/Athens"):
        compiled(replace(POLICY, time_zone="Mars/Olympus"))


def test_tables_are_made_once_a_policy() -> None:
    one, same = replace(POLICY), replace(POLICY)
    assert compiled(one) is compiled(one)
    assert compiled(one) is not compiled(same)
    assert compiled(one).print == compiled(same).print
    assert compiled(one).print == compiled(replace(POLICY, source="the file")).print
    others = [Policy("a", 1, (), ()), replace(POLICY, version=4), replace(POLICY, caps=(Cap(1, 5),))]
    assert len({compiled(each).print for each in (one, *others)}) == 4
