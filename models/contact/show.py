"""A policy in plain words, for those who decide on it: `keepline policy show`."""

from __future__ import annotations

import math
from collections.abc import Iterable

from keepline.models.contact.rules import CHANNELS, Condition, Fall, Level, Offer, Policy, QuietHours, Rise, When
from keepline.schemas.durations import shown


def show(policy: Policy) -> str:
    """The policy as text, a section for each kind of rule."""
    sections = [
        [f"Policy {policy.name}, version {policy.version}"],
        ["Triggers, the highest priority first:", *_triggers(policy)],
        [
            "Offers, of which the first that suits is taken:",
            *(line for i, offer in enumerate(policy.offers, 1) for line in _offer(i, offer)),
        ],
        ["Consent:", *_consent(policy)],
        ["Caps on marketing contacts:", *_caps(policy)],
        [f"Quiet hours, in the customer's time zone, else {policy.time_zone}:", *_quiet(policy)],
        ["Control group:", f"  {_holdout(policy)}"],
        ["Escalation:", *_escalation(policy)],
        ["Budgets:", *_budgets(policy)],
        ["Outcomes:", f"  are waited for {shown(policy.landing_ms)} after a decision"],
    ]
    return "\n\n".join("\n".join(lines) for lines in sections) + "\n"


def condition(asked: Condition) -> str:
    """What an offer asks of a customer, in words."""
    if asked.reasons:
        named = asked.reasons[0] if len(asked.reasons) == 1 else "one of " + ", ".join(asked.reasons)
        return f"{named} raises the score, among its three reasons"
    return _within(asked)


def when(asked: When) -> str:
    """When a trigger fires, in words."""
    if isinstance(asked, Level):
        return _within(asked)
    if isinstance(asked, Rise):
        return f"{_source(asked.source)} rises by {asked.by:.10g} within {shown(asked.within_ms)}"
    if isinstance(asked, Fall):
        return f"{_source(asked.source)} falls by {asked.by * 100:.6g}% within {shown(asked.within_ms)}"
    return f"a {asked.event} arrives" + (f" whose {asked.field} is {_or(asked.symbols)}" if asked.field else "")


def _within(asked: Level | Condition) -> str:
    low = f"at least {asked.at_least:.10g}" if asked.at_least > -math.inf else ""
    high = f"below {asked.below:.10g}" if asked.below < math.inf else ""
    return f"{_source(asked.source)} is {' and '.join(filter(None, (low, high)))}"


def _source(source: str) -> str:
    subject, _, name = source.partition(":")
    return f"the {name} score" if subject == "score" else name


def _or(words: Iterable[str]) -> str:
    listed = list(words)
    return " or ".join(filter(None, (", ".join(listed[:-1]), listed[-1])))


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))] if rows else []
    return ["  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _triggers(policy: Policy) -> list[str]:
    ordered = sorted(policy.triggers, key=lambda trigger: -trigger.priority)  # stable: of the same priority the first of the file
    return _table([(str(trigger.priority), trigger.name, when(trigger.when)) for trigger in ordered])


def _offer(place: int, offer: Offer) -> list[str]:
    kind = "a service message: needs no consent, counts in no cap, has no control group" if offer.service else "marketing"
    rows = [
        ("for", ", ".join(offer.triggers)),
        ("if", " and ".join(condition(one) for one in offer.conditions)),
        ("by", ", else ".join(offer.channels)),
        ("is", kind),
        ("again", f"after {shown(offer.cooldown_ms)} at the earliest"),
        ("valid", f"for {shown(offer.valid_ms)}"),
        ("campaign", offer.campaign),
    ]
    return [f"  {place}. {offer.kind}: {offer.offer}", *(f"     {name:<9}{text}" for name, text in rows if text)]


def _consent(policy: Policy) -> list[str]:
    words = {True: "only with the customer's consent", False: "unless the customer refuses"}
    return [
        f"  marketing: {words[policy.marketing_required]}",
        f"  offers because of a score (profiling): {words[policy.profiling_required]}",
    ]


def _caps(policy: Policy) -> list[str]:
    return [f"  at most {cap.most} in any {shown(cap.per_ms)}{f' by {cap.channel}' if cap.channel else ''}" for cap in policy.caps] or [
        "  none"
    ]


def _quiet(policy: Policy) -> list[str]:
    return [f"  {_time(hours.start)} to {_time(hours.end)}: {_channels(hours)}" for hours in policy.quiet] or ["  none"]


def _channels(hours: QuietHours) -> str:
    return "all channels" if set(hours.channels) == set(CHANNELS) else ", ".join(hours.channels)


def _time(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def _holdout(policy: Policy) -> str:
    if policy.holdout is None:
        return "none"
    return f"{policy.holdout.share * 100:.6g}% of all customers, by a hash of the programme {policy.holdout.programme} and the customer"


def _escalation(policy: Policy) -> list[str]:
    rule = policy.escalation
    if rule is None:
        return ["  none"]
    return [
        f"  {rule.kind} by {rule.channel}: {rule.offer}",
        f"  {shown(rule.after_ms)} after a marketing offer, if the customer is still at risk or has complained since;",
        f"  at once if the customer declines the offer or complains about it; valid for {shown(rule.valid_ms)}",
    ]


def _budgets(policy: Policy) -> list[str]:
    lines = [
        f"  {budget.campaign}: at most {budget.per_day} a day (UTC), counted in {budget.shards} part{'s' if budget.shards > 1 else ''}"
        for budget in policy.budgets
    ]
    return lines or ["  none"]
