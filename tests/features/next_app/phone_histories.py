"""Histories of phones that hunt: few apps and times at the edges of hours, days and the 90-day rule; and so many apps that some must go."""

import random
from typing import Any

from hypothesis import strategies as st

HOUR = 3_600_000
DAY = 24 * HOUR
FEW = ["mail", "maps", "chat", "ü" * 5, "a"]
LONG = [f"com.example.app{i}" + "x" * (i * 7 % 90) for i in range(90)]
SHORT = [f"app{i}" for i in range(90)]
ODD = ["", "y" * 127, "y" * 128, "ü" * 64, "z" * 127]

origins = st.sampled_from([0, -400 * DAY - 7, 1_750_032_000_000, 1_750_000_123_456])
edges = st.sampled_from([-1, 0, 0, 1, 17])
apps = st.sampled_from([FEW] * 4 + [SHORT, LONG, ODD]).flatmap(st.sampled_from)


@st.composite
def steps(draw: st.DrawFn) -> int:
    """Milliseconds from one event to the next in order of arrival: mostly forward and short, at times back, or years on."""
    kind = draw(st.integers(0, 19))
    if kind == 0:
        return draw(st.sampled_from([-91, -90, -89, -8, -7, 7, 8, 89, 400, 3650, 20_000])) * DAY + draw(edges)
    unit, most = draw(st.sampled_from([(1, 3), (1000, 300), (HOUR, 3), (HOUR, 26), (DAY, 9)]))
    return draw(st.integers(-most if kind < 6 else 0, most)) * unit + draw(edges)


@st.composite
def circumstances(draw: st.DrawFn) -> dict[str, Any]:
    """What an Unlock or AppOpen says of the phone; fields may be absent."""
    out: dict[str, Any] = {}
    if draw(st.booleans()):
        out["battery_percent"] = draw(st.sampled_from([None, -5, 0, 19, 20, 50, 51, 100, 250]))
    if draw(st.integers(0, 3)) == 0:
        out["charging"] = draw(st.booleans())
    if draw(st.booleans()):
        out["network"] = draw(st.sampled_from(["UNKNOWN", "WIFI", "G2", "G3", "G4", "G5"]))
    if draw(st.booleans()):
        out["city_hash"] = draw(st.sampled_from([None, "", "c1", "c1", "c2", "c3", "c4", "c5", "c6"]))
    if draw(st.booleans()):
        out["utc_offset_minutes"] = draw(st.sampled_from([0, 60, -480, 345, 840, 2**31 - 1, -(2**31)]))
    return out


@st.composite
def histories(draw: st.DrawFn, most: int = 60) -> list[dict[str, Any]]:
    """Records of one user in order of arrival; times wander, ids repeat, now and then many apps in a row."""
    t = draw(origins)
    out: list[dict[str, Any]] = []

    def put(own: dict[str, Any]) -> None:
        event_id = f"n{len(out)}"
        if out and draw(st.integers(0, 9)) == 0:
            event_id = out[max(len(out) - draw(st.sampled_from([1, 2, 31, 32, 33])), 0)]["event_id"]
        out.append({"customer_id": "c", "event_id": event_id, "event_time": t} | own)

    for _ in range(draw(st.integers(0, most))):
        t += draw(steps())
        kind = draw(st.integers(0, 29))
        if kind < 2:
            put({"type": "Unlock"} | draw(circumstances()))
        elif kind == 2:
            put({"type": "Call", "duration_s": 1.0})
        elif kind == 3:  # the table is filled
            for name in draw(st.permutations(draw(st.sampled_from([SHORT, LONG]))))[: draw(st.sampled_from([90, 60, 10]))]:
                t += 1000
                out.append({"customer_id": "c", "event_id": f"n{len(out)}", "event_time": t, "type": "AppOpen", "app": name})
        elif kind == 5:  # one app is followed by many
            for name in draw(st.lists(st.sampled_from(SHORT[:14]), max_size=20)):
                for app in (FEW[0], name):
                    t += 13
                    out.append({"customer_id": "c", "event_id": f"n{len(out)}", "event_time": t, "type": "AppOpen", "app": app})
        elif kind == 4:  # a counter is filled
            pair = draw(st.sampled_from([FEW[:2], FEW[1:3], [FEW[0], ODD[2]]]))
            for i in range(draw(st.sampled_from([3, 40, 600]))):
                t += 7
                out.append({"customer_id": "c", "event_id": f"n{len(out)}", "event_time": t, "type": "AppOpen", "app": pair[i % 2]})
        else:
            put({"type": "AppOpen", "app": draw(apps)} | draw(circumstances()))
    return out


def long_history(seed: int, n: int) -> list[dict[str, Any]]:
    """A life with a phone: some 120 apps of very unequal use and habits, five cities, disorder, repeats, silences."""
    chance = random.Random(seed)
    names = [f"org.app{i:03}" + "n" * chance.randrange(15) for i in range(120)]
    weights = [1 / (1 + i) for i in range(len(names))]
    t, out = 1_740_000_000_000 + chance.randrange(DAY), list[dict[str, Any]]()
    for i in range(n):
        t += chance.choice([500, 5_000, 60_000, HOUR]) if chance.random() < 0.995 else chance.choice([2, 9, 40, 500]) * DAY
        event: dict[str, Any] = {"customer_id": "c", "event_id": f"n{i}", "event_time": t, "utc_offset_minutes": chance.choice([60, 120])}
        if chance.random() < 0.05:
            event["event_time"] -= chance.choice([1_000, HOUR, 5 * HOUR, 3 * DAY, 30 * DAY, 95 * DAY])
        if chance.random() < 0.03 and out:
            event["event_id"] = out[-min(chance.randrange(1, 40), len(out))]["event_id"]
        event["battery_percent"] = chance.randrange(101)
        event["charging"] = chance.random() < 0.2
        event["network"] = chance.choice(["WIFI", "G4", "G5"])
        event["city_hash"] = chance.choice(["home", "home", "work", "c3", "c4", "c5", None])
        if chance.random() < 0.2:
            event["type"] = "Unlock"
        else:
            event |= {
                "type": "AppOpen",
                "app": out[-1].get("app", names[0]) if out and chance.random() < 0.1 else chance.choices(names, weights)[0],
            }
        out.append(event)
    return out
