"""The feature set `clv`: kernel against twin over random histories, and each feature's edges by hand."""

import dataclasses
import math
import random
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from feature_histories import histories, moments, order_days, shopping
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keepline.features import oracle, oracle_clv, plan
from keepline.features.churn import CHURN
from keepline.features.clv import BOUGHT, CLV, D7, D30, D90, REDEEMED, SENT
from keepline.features.layout import ORDER_WORDS, lay_out
from keepline.features.rows import EventBatch, compute_rows
from keepline.features.sets import feature_set
from keepline.features.single import Customer
from keepline.features.soundness import Rule, damage, state_rules
from keepline.features.spec import Buying, Feature, FeatureError, FeatureSet, Measure, Ratio, Sign, Windowed
from keepline.schemas.encode import Ok, encode
from keepline.schemas.programs import compile_programs
from keepline.schemas.status import INVALID_FIELD, OK, Reason

pytestmark = pytest.mark.timeout(300)
HOUR = 3_600_000
DAY = 24 * HOUR
T0 = 20_000 * DAY  # a midnight, UTC
MAX = 1.7976931348623157e308
PLAN = plan.compile(CLV)
fuzz = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
shoppers = histories(own=shopping)


def check(got: Mapping[str, float], want: Mapping[str, float], where: str) -> None:
    """Equal to the contract's 1e-6, relative (absolute below 1); whole numbers exactly."""
    assert list(got) == list(CLV.names) == list(want)
    for name, expected in want.items():
        room = 0.0 if name in WHOLE else 1e-6 * max(1.0, abs(expected))
        assert math.isfinite(got[name]), f"{where}: {name} is {got[name]}"
        assert abs(got[name] - expected) <= room, f"{where}: {name} is {got[name]}, expected {expected}"


NAMES = [
    *("orders", "revenue", "frequency", "recency_days", "t_days", "monetary_value", "average_purchase_value", "purchase_frequency"),
    *("gross_margin", "orders_30d", "orders_90d", "revenue_30d", "revenue_90d", "refunds_90d", "page_views_7d", "page_views_30d"),
    *("promotions_sent_90d", "promotions_redeemed_90d", "promotion_redemption_rate_90d", "days_since_last_order"),
]
WHOLE = {"orders", "frequency", "recency_days", "t_days"} | {
    name for name in NAMES if name.startswith(("orders_", "refunds", "page", "promotions"))
}


def test_the_row() -> None:
    assert list(CLV.names) == NAMES
    assert feature_set("clv") is CLV
    assert (CLV.id, CLV.version, CLV.retention, CLV.lateness) == (2, 1, None, 90 * DAY)


def test_both_sets_take_six_kilobytes() -> None:
    assert lay_out(CLV).size <= 3072
    assert lay_out(CLV).size + lay_out(CHURN).size <= 6 * 1024


@fuzz
@given(shoppers)
def test_stream_rows(records: list[dict[str, Any]]) -> None:
    customer, seen = Customer(CLV), []
    for i, (record, want) in enumerate(zip(records, oracle_clv.stream_rows(records), strict=True)):
        seen.append(record)
        past = oracle.accept(seen, forgets=False)
        fate = Reason.DUPLICATE if i in past.duplicates else Reason.LATE if i in past.late else Reason.OK
        before = customer.state
        assert customer.apply(record) == fate, f"record {i}"
        if want is None:
            assert customer.state == before
        else:
            check(customer.row(), want, f"record {i}")


@fuzz
@given(shoppers, st.data())
def test_ticks_and_later_rows(records: list[dict[str, Any]], data: st.DataObject) -> None:
    """A tick moves `now` alone; a row later than that leaves every byte as it was, years later too."""
    customer, seen, now = Customer(CLV), [], None
    for record in records:
        customer.apply(record)
        seen.append(record)
        history = oracle.accept(seen, forgets=False)
        assert history.newest is not None
        now = history.newest if now is None else max(now, history.newest)
        if data.draw(st.booleans()):
            now += abs(data.draw(moments([{"event_time": 0}])))
            customer.tick(now)
        check(customer.row(), oracle_clv.row(history.accepted, now), f"at {now}")
        before, later = customer.state, now + abs(data.draw(moments([{"event_time": 0}])))
        check(customer.row(later), oracle_clv.row(history.accepted, later), f"row at {later}")
        assert customer.state == before


@settings(fuzz, max_examples=400)
@given(order_days())
def test_days_with_an_order(records: list[dict[str, Any]]) -> None:
    """Days come in any order that is not late, over gaps as long as the words of the day bits and longer."""
    customer = Customer(CLV)
    for record, want in zip(records, oracle_clv.stream_rows(records), strict=True):
        customer.apply(record)
        if want is not None:
            check(customer.row(), want, str(record))


def framed(records: list[dict[str, Any]]) -> EventBatch:
    events = [encode(record) for record in records]
    assert all(isinstance(event, Ok) for event in events)
    return EventBatch.of([event.value for event in events if isinstance(event, Ok)])


@fuzz
@given(st.data())
def test_training_rows(data: st.DataObject) -> None:
    """Customers interleaved, questions at any moment and of strangers, through real bytes; and asked one by one, bit-equal."""
    parts = {name: [record | {"customer_id": name} for record in data.draw(histories(20, shopping))] for name in ("a", "b")}
    turns = data.draw(st.permutations([name for name, own in parts.items() for _ in own]))
    left = {name: iter(own) for name, own in parts.items()}
    records = [next(left[name]) for name in turns]
    questions = [(name, data.draw(moments(own))) for name, own in parts.items() for _ in range(4)] + [("stranger", T0)]
    bounds = (-(2**55), 2**55)

    def rows(records: list[dict[str, Any]], asked: list[tuple[str, int]]) -> list[list[float]]:
        found = compute_rows(PLAN, framed(records), [q[0] for q in asked], np.array([q[1] for q in asked]), bounds=bounds)
        assert found.rejected == 0
        return found.x.tolist()

    together = rows(records, questions)
    for (name, at), row in zip(questions, together, strict=True):
        check(dict(zip(CLV.names, row, strict=True)), oracle_clv.training_row(parts.get(name, []), at), f"{name} at {at}")
        assert row == rows([record for record in records if record["event_time"] <= at], [(name, at)])[0]


def test_years_of_refunds_leave_no_trace() -> None:
    """Four years of orders, then four in which all but 80 cents come back: sums as exact at the end as at the beginning."""
    customer, chance, t = Customer(CLV), random.Random(1), T0
    amounts = [0.01 if i % 100 == 0 else 10.0 ** chance.randrange(8) * (1 + chance.random()) for i in range(1, 8001)]
    records = [(amount, None if i % 3 else 0.6 * amount) for i, amount in enumerate(amounts)]
    records += [(-amount, None) for i, amount in enumerate(amounts, 1) if i % 100]
    made = []
    for i, (amount, cost) in enumerate(records):
        t += chance.randrange(10 * HOUR) - (DAY if i % 13 == 0 else 0)
        made.append(buy(t, amount, cost=cost) | {"event_id": str(i)})
        assert customer.apply(made[-1]) == Reason.OK
        if i % 4000 == 3999:
            check(customer.row(), oracle_clv.row(made, customer.now), f"record {i}")
    assert t - T0 > 5 * 365 * DAY
    assert sum(amounts) > 1e10
    assert customer.row()["revenue"] == pytest.approx(0.8)


def test_nothing_is_forgotten_in_any_mode() -> None:
    """Thirty years of silence: row, tick, event and training row all know the first order."""
    record = buy(T0, 20.0) | {"event_id": "a", "customer_id": "c"}
    customer, later = Customer(CLV), T0 + 11_000 * DAY
    customer.apply(record)
    want = oracle_clv.training_row([record], later)
    assert (want["orders"], want["t_days"], want["days_since_last_order"]) == (1, 11_000, 365)
    assert customer.row(later) == want
    at = np.array([later])
    assert compute_rows(PLAN, framed([record]), ["c"], at).x[0].tolist() == list(want.values())
    customer.tick(later)
    assert customer.apply(event("PageView", later + 1, page="/") | {"event_id": "b"}) == Reason.OK
    assert (customer.row()["orders"], customer.row()["page_views_7d"]) == (1, 1)
    assert customer.apply(record | {"event_id": "a"}) == Reason.DUPLICATE


def event(kind: str, t: int, **fields: Any) -> dict[str, Any]:
    return {"type": kind, "event_time": t} | fields


def buy(t: int, amount: float, **fields: Any) -> dict[str, Any]:
    return event("Purchase", t, order_id="o", amount=amount, **fields)


def response(t: int, what: str) -> dict[str, Any]:
    return event("PromotionResponse", t, promotion_id="p", response=what)


TWO_DAYS = [buy(T0, 10.0), buy(T0 + DAY, 30.0)]


@pytest.mark.parametrize(
    ("history", "at", "expected"),
    [
        ([], T0, dict.fromkeys(NAMES, 0) | {"gross_margin": 0.3, "days_since_last_order": 365}),
        # An order a day however many; the last millisecond of a day is its own, before 1970 too.
        ([buy(T0, 10.0), buy(T0 + DAY - 1, 5.0)], T0 + DAY - 1, {"orders": 2, "frequency": 0, "recency_days": 0, "t_days": 0}),
        ([buy(T0, 10.0), buy(T0 + DAY, 5.0)], T0 + DAY, {"orders": 2, "frequency": 1, "recency_days": 1, "t_days": 1}),
        ([buy(-1, 10.0), buy(0, 5.0)], 0, {"frequency": 1, "recency_days": 1, "monetary_value": 5}),
        ([buy(T0 + 23 * HOUR, 1.0)], T0 + DAY, {"t_days": 1, "days_since_last_order": 1 / 24}),
        # The days after the first, whichever day that is: an earlier order makes its own the first.
        (TWO_DAYS, T0 + DAY, {"monetary_value": 30, "average_purchase_value": 20}),
        ([*TWO_DAYS, buy(T0 + 5, 2.0)], T0 + DAY, {"monetary_value": 30, "frequency": 1}),
        ([*TWO_DAYS, buy(T0 + DAY + 5, 2.0)], T0 + DAY + 5, {"monetary_value": 32, "frequency": 1}),
        ([*TWO_DAYS, buy(T0 - 5 * DAY, 1.0)], T0 + DAY, {"monetary_value": 20, "frequency": 2, "recency_days": 6, "t_days": 6}),
        ([*TWO_DAYS, buy(T0 - 5 * DAY, 1.0), buy(T0, 4.0)], T0 + DAY, {"monetary_value": 22, "frequency": 2}),
        # An order as old as may be, and one later still.
        ([buy(T0, 1.0), buy(T0 - 90 * DAY, 2.0)], T0, {"frequency": 1, "recency_days": 90, "monetary_value": 1}),
        ([buy(T0, 1.0), buy(T0 - 90 * DAY - 1, 2.0)], T0, {"frequency": 0, "orders": 1, "revenue": 1}),
        # A day had an order before a gap of any length, and has one more after it.
        ([buy(T0 - 80 * DAY, 1.0), buy(T0, 1.0), buy(T0 - 80 * DAY, 1.0)], T0, {"frequency": 1, "orders": 3}),
        ([buy(T0 - 80 * DAY, 1.0), buy(T0, 1.0), buy(T0 - 79 * DAY, 1.0)], T0, {"frequency": 2, "orders": 3}),
        ([buy(T0 - 999 * DAY, 1.0), buy(T0, 1.0), buy(T0 - 90 * DAY, 1.0)], T0, {"frequency": 2, "recency_days": 999}),
        # Refunds are no orders, and no days of orders, but they are in the revenue.
        ([buy(T0, -5.0)], T0 + DAY, {"orders": 0, "revenue": -5, "t_days": 0, "refunds_90d": 1, "days_since_last_order": 365}),
        ([*TWO_DAYS, buy(T0 + 3 * DAY, -30.0)], T0 + 3 * DAY, {"revenue": 10, "revenue_30d": 10, "monetary_value": 30, "frequency": 1}),
        ([*TWO_DAYS, buy(T0 + 3 * DAY, -30.0)], T0 + 3 * DAY, {"orders_30d": 2, "days_since_last_order": 2, "average_purchase_value": 20}),
        # Nothing to pay is an order, of either sign.
        ([buy(T0, 0.0), buy(T0 + DAY, -0.0)], T0 + DAY, {"orders": 2, "frequency": 1, "refunds_90d": 0, "monetary_value": 0}),
        ([buy(T0, 0.0)], T0 + 9 * DAY, {"average_purchase_value": 0, "gross_margin": 0.3, "days_since_last_order": 9}),
        ([buy(T0, 0.0, cost=4.0)], T0, {"gross_margin": 0.3}),
        # Margins are of the orders that say a cost.
        ([buy(T0, 10.0, cost=4.0)], T0, {"gross_margin": 0.6}),
        ([buy(T0, 10.0, cost=4.0), buy(T0, 1000.0)], T0, {"gross_margin": 0.6}),
        ([buy(T0, 10.0, cost=0.0)], T0, {"gross_margin": 1}),
        ([buy(T0, 10.0, cost=25.0)], T0, {"gross_margin": -1.5}),
        ([buy(T0, 10.0, cost=4.0), buy(T0, -10.0, cost=-4.0)], T0, {"gross_margin": 0.6}),
        ([buy(T0, 10.0, cost=4.0), buy(T0 + 700 * DAY, 30.0, cost=6.0)], T0 + 700 * DAY, {"gross_margin": 0.75}),
        # A rate over 30 days at least.
        (TWO_DAYS, T0 + 10 * DAY, {"purchase_frequency": 2}),
        (TWO_DAYS, T0 + 60 * DAY, {"purchase_frequency": 1}),
        ([buy(T0, 1.0)], T0 + 364 * DAY + 12 * HOUR, {"days_since_last_order": 364.5}),
        ([buy(T0, 1.0), buy(T0 - HOUR, 1.0)], T0 + DAY, {"days_since_last_order": 1}),
        # Windows end with their day's first millisecond.
        ([buy(T0, 2.0)], T0 + 31 * DAY - 1, {"orders_30d": 1, "revenue_30d": 2}),
        ([buy(T0, 2.0)], T0 + 31 * DAY, {"orders_30d": 0, "revenue_30d": 0, "orders_90d": 1, "revenue_90d": 2, "revenue": 2}),
        ([buy(T0, -2.0)], T0 + 91 * DAY - 1, {"refunds_90d": 1, "revenue_90d": -2}),
        ([buy(T0, -2.0)], T0 + 91 * DAY, {"refunds_90d": 0, "revenue_90d": 0, "revenue": -2}),
        ([event("PageView", T0, page="/")], T0 + 8 * DAY - 1, {"page_views_7d": 1, "page_views_30d": 1}),
        ([event("PageView", T0, page="/")], T0 + 8 * DAY, {"page_views_7d": 0, "page_views_30d": 1}),
        ([event("PageView", T0, page="/"), event("PageView", T0 - 30 * DAY, page="/")], T0, {"page_views_30d": 2}),
        ([event("PageView", T0, page="/"), event("PageView", T0 - 31 * DAY, page="/")], T0, {"page_views_30d": 1}),
        ([response(T0, "SENT")] * 2 + [response(T0, "REDEEMED")], T0, {"promotions_sent_90d": 2, "promotion_redemption_rate_90d": 0.5}),
        ([response(T0, "SENT")] + [response(T0, "REDEEMED")] * 2, T0, {"promotions_redeemed_90d": 2, "promotion_redemption_rate_90d": 2}),
        ([response(T0, "REDEEMED")], T0, {"promotions_redeemed_90d": 1, "promotion_redemption_rate_90d": 0}),
        ([response(T0, "OPENED"), response(T0, "CLICKED"), response(T0, "DECLINED")], T0, {"promotions_sent_90d": 0}),
        # What is too large for a double is the largest one.
        ([buy(T0, MAX), buy(T0 + DAY, MAX), buy(T0 + DAY, MAX)], T0 + DAY, {"revenue": MAX, "revenue_90d": MAX, "monetary_value": MAX}),
        ([buy(T0, 5e-324, cost=MAX)], T0, {"gross_margin": -MAX}),
    ],
)  # fmt: skip
def test_by_hand(history: list[dict[str, Any]], at: int, expected: dict[str, float]) -> None:
    """Kernel and twin both give what is expected."""
    records = [record | {"event_id": str(i)} for i, record in enumerate(history)]
    customer = Customer(CLV)
    for record in records:
        customer.apply(record)
    for row in (customer.row(at), oracle_clv.row(oracle.accept(records, forgets=False).accepted, at)):
        assert {name: row[name] for name in expected} == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_the_margin_is_configured() -> None:
    dear = buy(T0, 10.0, cost=1.0) | {"event_id": "a"}
    for margin in (-2.0, 0.0, 0.45, 1.0):
        customer = Customer(CLV, margin=margin)
        assert customer.row(T0)["gross_margin"] == margin
        customer.apply(buy(T0, 10.0) | {"event_id": "b"})
        check(customer.row(), oracle_clv.row([buy(T0, 10.0)], T0, margin), f"margin {margin}")
        customer.apply(dear)
        assert customer.row()["gross_margin"] == 0.9
    for margin in (1.01, math.nan, math.inf, -math.inf):
        with pytest.raises(FeatureError, match="a finite number, at most 1"):
            plan.compile(CLV, margin=margin)
    with pytest.raises(FeatureError, match="'churn' has no orders"):
        plan.compile(CHURN, margin=0.3)


def test_another_currency_is_no_order() -> None:
    """As for bills: "" and the configured currency count, any other is refused where events are validated."""
    records = [buy(T0, 10.0, currency=code) | {"customer_id": "c", "event_id": code or "none"} for code in ("", "EUR", "USD", "eur")]
    for currency, status in (("EUR", [OK, OK, INVALID_FIELD, INVALID_FIELD]), ("", [OK] + [INVALID_FIELD] * 3)):
        programs = compile_programs(currency=currency)
        found = compute_rows(PLAN, framed(records), ["c"], np.array([T0]), programs=programs)
        assert found.status.tolist() == status
        assert found.x[0, :2].tolist() == [status.count(OK), 10.0 * status.count(OK)]


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ([Buying("a", BOUGHT, "orders"), Buying("b", BOUGHT, "orders")], "repeats the figure 'orders'"),
        ([Buying("a", BOUGHT, "orders"), Buying("b", dataclasses.replace(BOUGHT, cap=9), "since")], "2 different Orders"),
        ([Buying("a", dataclasses.replace(BOUGHT, event="Order"), "orders")], "'Order', which is unknown"),
        ([Buying("a", dataclasses.replace(BOUGHT, amount="currency"), "orders")], "Purchase.currency, which is string"),
        ([Buying("a", dataclasses.replace(BOUGHT, amount="cost"), "orders")], "double or null"),
        ([Buying("a", dataclasses.replace(BOUGHT, cost="price"), "orders")], "Purchase.price, which is unknown"),
        ([Buying("a", dataclasses.replace(BOUGHT, period=0), "rate")], "period above 0"),
        ([Buying("a", dataclasses.replace(BOUGHT, margin=3.0), "rate")], "gross margin is 3.0"),
        ([Windowed("a", Measure("Purchase", where=Sign("order_id", negative=True)), D7)], "Purchase.order_id, which is string"),
        ([Ratio("a", REDEEMED, SENT, D90)], "two sums that are no features"),
    ],
)
def test_declarations_that_do_not_compile(features: list[Feature], message: str) -> None:
    with pytest.raises(FeatureError, match=message):
        plan.compile(dataclasses.replace(CLV, features=tuple(features)))


def test_a_ratio_may_divide_sums_of_any_size() -> None:
    large = Measure("Purchase", "amount")
    tiny = Measure("DataSession", "megabytes")
    ratio = dataclasses.replace(CLV, features=(Windowed("large", large, D30), Ratio("ratio", large, tiny, D30)))
    customer = Customer(ratio)
    assert customer.row(T0) == {"large": 0, "ratio": 0}
    customer.apply(buy(T0, MAX) | {"event_id": "a"})
    assert customer.row()["ratio"] == 0
    customer.apply(event("DataSession", T0, megabytes=5e-324) | {"event_id": "b"})
    assert customer.row()["ratio"] == MAX


@fuzz
@given(shoppers)
def test_rings_of_their_own_change_no_row(records: list[dict[str, Any]]) -> None:
    shared: FeatureSet = dataclasses.replace(CLV, split_rings=False)
    assert [ring.buckets for ring in lay_out(shared).rings] == [91]
    assert [ring.buckets for ring in lay_out(CLV).rings] == [31, 91]
    one, other = Customer(CLV), Customer(shared)
    for record in records:
        assert one.apply(record) == other.apply(record)
        assert one.row() == other.row()
        assert one.row(one.now + 40 * DAY) == other.row(one.now + 40 * DAY)


def test_other_lateness_has_as_many_day_bits() -> None:
    """A day more than 90 fits two words up to 127 days behind; a year takes six."""
    for days, words in ((0, 1), (1, 1), (63, 1), (64, 2), (127, 2), (128, 3), (365, 6)):
        longer = dataclasses.replace(CLV, lateness=days * DAY)
        assert lay_out(longer).orders == dataclasses.replace(lay_out(CLV).orders, bits=words)  # type: ignore[type-var]
        customer = Customer(longer)
        for number, (t, frequency) in enumerate(((T0, 0), (T0 - days * DAY, min(days, 1)), (T0 - days * DAY, min(days, 1)))):
            assert customer.apply(buy(t, 1.0) | {"event_id": str(number)}) == Reason.OK
            assert customer.row()["frequency"] == frequency


RULES = state_rules(PLAN.meta, 631_152_000_000, 4_102_444_800_000)


@fuzz
@given(shoppers)
def test_sound_states_keep_the_rules(records: list[dict[str, Any]]) -> None:
    customer = Customer(CLV)
    for record in records:
        customer.apply(record)
        state = bytearray(customer.state)
        state[8:16] = T0.to_bytes(8, "little")  # the wake is the operator's
        damage(bytes(state), RULES, "clv")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"byte {rule.offset}")
def test_a_damaged_state_is_told(rule: Rule) -> None:
    customer = Customer(CLV)
    customer.apply(buy(T0, 1.0) | {"event_id": "a"})
    state = bytearray(customer.state)
    state[8:16] = T0.to_bytes(8, "little")
    state[rule.offset + (7 if rule.offset else 4)] ^= 0x40  # of the first word, the version
    with pytest.raises(FeatureError, match=f"'clv' is damaged: byte {rule.offset} holds .* Start the job from an older"):
        damage(bytes(state), RULES, "clv")


def test_rules_look_at_the_orders() -> None:
    book = lay_out(CLV).orders
    assert book is not None
    assert {rule.offset for rule in RULES} >= {8 * (book.word + word) for word in (0, 2, 3, 4)}


SECTION = ORDER_WORDS + 2


@given(st.binary(min_size=8 * SECTION, max_size=8 * SECTION), st.integers(-(2**40), 2**40))
@settings(fuzz, max_examples=200)
def test_a_damaged_section_spoils_no_neighbour(section: bytes, t: int) -> None:
    """Whatever a section holds, an order writes inside it and a row is read; soundness finds only some of the damage."""
    book = lay_out(CLV).orders
    assert book is not None
    customer = Customer(CLV)
    customer.apply(event("PageView", t, page="/") | {"event_id": "a"})
    sound = Customer(CLV)
    sound.apply(event("PageView", t, page="/") | {"event_id": "a"})
    assert book.bits == 2
    begin, end = 8 * book.word, 8 * book.word + len(section)
    customer._bytes[begin:end] = np.frombuffer(section, np.uint8)
    for who in (customer, sound):
        who.apply(buy(t, 1.0) | {"event_id": "b"})
        who.row()
    state, other = customer.state, sound.state
    assert state[:begin] == other[:begin]
    assert state[end:] == other[end:]


def test_the_header_names_the_set() -> None:
    customer = Customer(CLV)
    customer.apply(buy(T0, 1.0) | {"event_id": "a"})
    assert struct.unpack_from("<2H", customer.state, 2) == (2, 1)
