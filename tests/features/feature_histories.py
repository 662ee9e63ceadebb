"""Histories that hunt: few ids, times at the edges of hours, days, windows, the 90-day and the 400-day rule."""

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

HOUR = 3_600_000
DAY = 24 * HOUR

# Near 1970 (negative times too), near today.
origins = st.sampled_from([0, -400 * DAY - 7, 1_750_032_000_000, 1_750_000_123_456])
edges = st.sampled_from([-1, 0, 0, 1, 17])


@st.composite
def spans(draw: st.DrawFn) -> int:
    """Milliseconds from one moment to another, mostly near a boundary."""
    unit, most = draw(st.sampled_from([(1, 5), (HOUR, 3), (HOUR, 26), (DAY, 3), (DAY, 9), (DAY, 33)]))
    return draw(st.integers(-most, most)) * unit + draw(edges)


@st.composite
def jumps(draw: st.DrawFn) -> int:
    """A rarer, long step: around 30, 90 and 400 days, and years."""
    days = draw(st.sampled_from([7, 14, 30, 31, 89, 90, 91, 365, 399, 400, 401, 3650]))
    return draw(st.sampled_from([1, 1, 1, -1])) * days * DAY + draw(edges)


amounts = st.one_of(
    st.sampled_from([0.0, 0.1, 1.0, 1e-3, 12.34]),
    st.floats(0, 1e6, allow_nan=False),
    st.sampled_from([5e-324, 1e300, 1.7e308]),
)
money = st.one_of(st.floats(-1e4, 1e4, allow_nan=False), st.sampled_from([0.0, 19.99, 1.7e308, -1.7e308]))
bill_ids = st.sampled_from([f"b{i}" for i in range(12)] + [""])
symbols = st.sampled_from
KINDS = ["Call", "DataSession", "Message", "SupportContact", "Bill", "Bill", "Payment", "Payment", "Subscription", "Purchase"]


@st.composite
def fields(draw: st.DrawFn, t: int) -> dict[str, Any]:
    """The type and its own fields."""
    kind = draw(symbols(KINDS))
    out: dict[str, Any] = {"type": kind}
    match kind:
        case "Call":
            out |= {"duration_s": draw(amounts), "outcome": draw(symbols(["COMPLETED", "DROPPED", "FAILED"]))}
        case "DataSession":
            out |= {"megabytes": draw(amounts)}
        case "SupportContact":
            out |= {"topic": draw(symbols(["QUESTION", "COMPLAINT", "CANCELLATION", "OTHER"]))}
        case "Bill":
            due = draw(symbols([0, 0, DAY, 14 * DAY, -DAY])) + draw(edges)
            far = draw(symbols([None] * 9 + [-(2**63), 2**63 - 1]))
            out |= {"bill_id": draw(bill_ids), "amount": draw(money), "due_time": t + due if far is None else far}
        case "Payment":
            out |= {"bill_id": draw(st.one_of(st.none(), bill_ids)), "amount": draw(money)}
        case "Subscription":
            out |= {
                "plan": "p",
                "started_time": t + draw(symbols([-1000 * DAY, -DAY - 1, 0, DAY])),
                "contract_months": draw(symbols([0, 1, 12])),
                "monthly_charge": draw(money),
                "internet": draw(symbols(["NONE", "DSL", "FIBER", "MOBILE"])),
                "autopay": draw(st.booleans()),
                "paperless": draw(st.booleans()),
                "ended": draw(st.booleans()),
            }
        case "Purchase":
            out |= {"order_id": "o", "amount": 1.0}
    return out


cents = st.one_of(st.integers(-(10**7), 10**7).map(lambda n: n / 100), st.sampled_from([0.0, 0.01, -0.01, 19.99, -19.99]))


@st.composite
def shopping(draw: st.DrawFn, t: int) -> dict[str, Any]:
    """What a shopper does: orders, refunds, zeros of both signs, costs or none, visits, promotions, and now and then a call."""
    match draw(symbols(["order", "order", "order", "free", "PageView", "PromotionResponse", "Call"])):
        case "order":
            cost = draw(st.one_of(st.none(), cents))
            return {"type": "Purchase", "order_id": "o", "amount": draw(cents)} | ({} if cost is None else {"cost": cost})
        case "free":
            return {"type": "Purchase", "order_id": "o", "amount": draw(symbols([0.0, -0.0, 5e-324])), "cost": None}
        case "PageView":
            return {"type": "PageView", "page": "/"}
        case "PromotionResponse":
            response = draw(symbols(["SENT", "SENT", "OPENED", "CLICKED", "REDEEMED", "DECLINED"]))
            return {"type": "PromotionResponse", "promotion_id": "p", "response": response}
        case _:
            return {"type": "Call", "duration_s": 1.0}


@st.composite
def order_days(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Orders alone, by steps of days around the words of the day bits and the 90 days in which an order may still come."""
    day, out = 0, []
    for i in range(draw(st.integers(1, 25))):
        day += draw(symbols([0, 1, -1, 2, -7, -31, 62, 63, 64, 65, -63, -64, 89, -89, 90, -90, 126, 127, 128, 129, 1000]))
        out.append({"event_id": f"n{i}", "event_time": day * DAY + draw(symbols([0, HOUR, DAY - 1])), "type": "Purchase", "order_id": "o"})
        out[-1]["amount"] = float(2**i)  # every set of orders has a sum of its own
    return out


@st.composite
def histories(draw: st.DrawFn, most: int = 40, own: Callable[[int], st.SearchStrategy[dict[str, Any]]] = fields) -> list[dict[str, Any]]:
    """Records of one customer in order of arrival; times wander, ids repeat, now and then years pass."""
    t = draw(origins)
    ids = draw(symbols([3, 40, 10_000]))
    out: list[dict[str, Any]] = []
    for i in range(draw(st.integers(0, most))):
        step = draw(st.integers(0, 19))
        if step == 0 and out:  # exactly at the rules that look at the newest event
            t = max(record["event_time"] for record in out) + draw(symbols([-90, -31, -30, 0, 400])) * DAY + draw(edges)
        else:
            t += draw(jumps()) if step == 1 else draw(spans())
        event_id = f"e{draw(st.integers(0, ids))}" if draw(st.integers(0, 3)) == 0 else f"n{i}"
        out.append({"customer_id": "c", "event_id": event_id, "event_time": t} | draw(own(t)))
    return out


@st.composite
def ledgers(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Bills and payments alone, with few times and few ids, so that ties, corrections and a full ledger are common."""
    out: list[dict[str, Any]] = []
    moment = st.integers(0, 6).map(lambda day: day * DAY)
    for i in range(draw(st.integers(0, 30))):
        record = {"customer_id": "c", "event_id": f"n{i}", "event_time": draw(moment)}
        if draw(st.integers(0, 2)):
            own = {"type": "Bill", "bill_id": draw(bill_ids), "amount": float(i), "due_time": draw(moment)}
        else:
            own = {"type": "Payment", "bill_id": draw(st.one_of(st.none(), bill_ids)), "amount": 1.0}
        out.append(record | own)
    return out


@st.composite
def moments(draw: st.DrawFn, records: list[dict[str, Any]]) -> int:
    """A time to ask for: at, just around, and between event times, and long after."""
    times = [record["event_time"] for record in records] or [0]
    return draw(symbols(times)) + draw(st.one_of(edges, spans(), jumps()))
