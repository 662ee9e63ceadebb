"""What came of the demo of the next app: all figures as plain data, and as text for people, a part at a time."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from keepline.jobs.demo.next_app_board import ORDERS, Board
from keepline.jobs.demo.next_app_drive import HISTORY_DAYS, LIVE_DAYS, NEW, NextAppDrive
from keepline.jobs.demo.next_app_judge import EXACT, is_prior
from keepline.jobs.demo.next_app_tables import rates
from keepline.jobs.demo.report import Lines, panel

ON = "your own log: keepline next-app evaluate --events PATH, then keepline train next-app --events PATH --out DIR; docs/next-app.md"


def figures(drive: NextAppDrive, seconds: float) -> dict[str, Any]:
    """All figures of the end, as `--out` writes them. Times in ms but for `seconds`."""
    board, latency, verdict = drive.board, drive.latency, drive.verdict
    new = first_of(board, NEW)
    found: dict[str, Any] = {
        "people": drive.people + 1,
        "events": len(drive.events),
        "unlocks": verdict.unlocks,
        "predictions": verdict.predictions,
        "lost": verdict.lost,
        "doubled": verdict.doubled,
        "of_no_unlock": verdict.foreign,
        "each_unlock_predicted_once": verdict.once,
        "dead_letters_and_late_events": drive.outputs.refused,
        "other_apps_than_python": verdict.others,
        "largest_difference_to_python": verdict.difference,
        "equal_to_python": verdict.equal,
        "new_user_first_prediction": [{"app": app, "probability": probability} for app, probability in new],
        "new_user_gets_the_prior": bool(new) and is_prior(new, drive.model),
        "users_with_a_prediction": len(board.newest),
        "newest_predictions_in_redis": drive.in_view,
        "unlocks_counted": len(board.ranks[ORDERS[0]]),
        "hit_rates": board.figures(),
        "live_predictions_measured": int(latency.get("count", 0)),
        "unlock_to_redis_ms": {name: latency.get(f"{name}_ms") for name in ("p50", "p99", "max")},
        "model": {"model_id": drive.model.model_id, "version": drive.model.version, "family": drive.model.manifest.family},
        "seconds": round(seconds, 1),
    }
    in_view = found["newest_predictions_in_redis"] == found["users_with_a_prediction"] == found["people"]
    measured = found["live_predictions_measured"] > 0
    found["all_comparisons_hold"] = (
        verdict.once and verdict.equal and found["new_user_gets_the_prior"] and in_view and measured and not drive.outputs.refused
    )
    return found


def first_of(board: Board, user: str) -> list[tuple[str, float]]:
    """What was predicted at a user's first unlock; empty if nothing was."""
    first = next((each.event_id for each in board.asked.values() if each.user == user), "")
    return board.made.get(first, [])


def show(console: Console, found: dict[str, Any]) -> None:
    """Prints them, a part at a time."""
    console.print(rates("Opened next, among the five predicted at the unlock; live part", found["hit_rates"], found["unlocks_counted"]))
    console.print()
    console.print(panel("What was compared", compared(found)))


def compared(found: dict[str, Any]) -> Lines:
    """What was compared with what, and what came of it."""
    ms = found["unlock_to_redis_ms"]
    lost = f"NOT each once: {found['lost']:,} lost, {found['doubled']:,} doubled, {found['of_no_unlock']:,} of no unlock"
    once = "one for each, none lost, none doubled" if found["each_unlock_predicted_once"] else lost
    equal = "equal" if found["equal_to_python"] else f"NOT EQUAL ({found['other_apps_than_python']:,} with other apps)"
    prior = "the model's prior" if found["new_user_gets_the_prior"] else "NOT the model's prior"
    shown = ", ".join(f"{each['app']} {100 * each['probability']:.0f} %" for each in found["new_user_first_prediction"]) or "none"
    view = "" if found["newest_predictions_in_redis"] == found["people"] else "NOT all: "
    refused = ": there should be NONE" if found["dead_letters_and_late_events"] else ""
    return [
        ("people", f"{found['people']:,}, MADE UP like their apps and habits (jobs/demo/phones.py); {found['events']:,} events"),
        ("predictions", f"{found['predictions']:,} committed of {found['unlocks']:,} unlocks: {once}"),
        (
            "in Python",
            f"{equal} to models.next_app.predict on the same events: apps, order, probabilities (largest difference "
            f"{found['largest_difference_to_python']:.1e}, allowed {EXACT:.0e})",
        ),
        ("new user", f"{NEW}, first unlock: {prior}: {shown}"),
        ("latency", _latency(found["live_predictions_measured"], ms)),
        ("Redis", f"{view}{found['newest_predictions_in_redis']:,} of {found['people']:,} users' newest predictions are the live view's"),
        ("refused", f"{found['dead_letters_and_late_events']:,} dead letters and late events{refused}"),
        ("hit rates", f"of the last {LIVE_DAYS} days, after {HISTORY_DAYS} days of history; the model was trained on other made-up people"),
        ("this took", f"{found['seconds']:.0f} s"),
        ("go on with", ON),
    ]


def _latency(count: int, ms: dict[str, float | None]) -> str:
    if not count:
        return "NOT measured: the sink told nothing"
    return f"unlock → Redis p50 {ms['p50'] or 0:.0f} ms, p99 {ms['p99'] or 0:.0f} ms (live part, {count:,} predictions)"
