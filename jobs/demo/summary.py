"""What became of the demo's decisions, counted from the committed records. Pure; `show.py` prints it, and `--out` writes it as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from keepline.models.contact.arms import CONTROL, TREATMENT, arm_of
from keepline.models.contact.records import CANCELLED, EMITTED, HELD, LANDED, SUPPRESSED
from keepline.models.contact.rules import Policy

Record = Mapping[str, Any]
TELLING = ("NO_PROFILING_CONSENT", "NO_MARKETING_CONSENT", "CAP", "BUDGET", CONTROL)
"""Why a customer may have got nothing: what says most about the policy comes first."""


def counted(values: Iterable[str]) -> dict[str, int]:
    """How often each occurs, the most frequent first."""
    return dict(sorted(Counter(values).items(), key=lambda pair: (-pair[1], pair[0])))


def summary(
    policy: Policy, customers: Sequence[str], interventions: Sequence[Record], decisions: Sequence[Record], labelled: Sequence[Record]
) -> dict[str, Any]:
    """All counts. `customers` are all of the demo, contacted or not."""
    tickets = [made for made in interventions if made["escalation_of"]]
    control = [each for each in decisions if each["reason"] == CONTROL]
    return {
        "interventions": len(interventions),
        "customers_contacted": len({made["customer_id"] for made in interventions}),
        "interventions_by_kind": counted(made["kind"] for made in interventions),
        "decisions": len(decisions),
        "decisions_by_result": counted(each["result"] for each in decisions),
        "holds": holds(decisions),
        "suppressed_by_reason": counted(each["reason"] for each in decisions if each["result"] == SUPPRESSED),
        "tickets": len(tickets),
        "tickets_by_reason": counted(_reasons(decisions, {made["intervention_id"] for made in tickets})),
        "control_group": {
            "customers": sum(arm_of(customer, policy.holdout) == CONTROL for customer in customers),
            "share_of_policy": policy.holdout.share if policy.holdout else 0.0,
            "decisions": len(control),
            "customers_with_decisions": len({each["customer_id"] for each in control}),
        },
        "labelled": outcomes(labelled),
    }


def holds(decisions: Sequence[Record]) -> dict[str, Any]:
    """What became of the offers and tickets that were held."""
    held = {each["intervention_id"] for each in decisions if each["result"] == HELD}
    after = [each for each in decisions if each["intervention_id"] in held and each["result"] != HELD]
    ended = {each["intervention_id"] for each in after}
    return {
        "held": len(held),
        "released": sum(each["result"] == EMITTED for each in after),
        "cancelled_by_reason": counted(each["reason"] for each in after if each["result"] == CANCELLED),
        "refused_by_budget": sum(each["result"] == SUPPRESSED for each in after),
        "still_held": len(held - ended),
    }


def outcomes(labelled: Sequence[Record]) -> dict[str, Any]:
    """The labelled rows. By arm only those of marketing offers, for tickets and service messages have no control.

    A customer may have several rows. `keepline uplift` compares the arms as it should be done, by customers.
    """
    landed = [row for row in labelled if row["status"] == LANDED]
    compared = [row for row in landed if row["programme"] and not row["escalation"]]
    return {
        "rows": len(labelled),
        "by_status": counted(row["status"] for row in labelled),
        "landed_by_label": counted(row["label"] for row in landed),
        "outcomes_joined": counted(each["outcome"] for row in landed for each in row["outcomes"]),
        "offers_by_arm": {arm: counted(row["label"] for row in compared if row["arm"] == arm) for arm in (CONTROL, TREATMENT)},
    }


def _reasons(decisions: Sequence[Record], made: set[str]) -> list[str]:
    return [each["reason"] for each in decisions if each["result"] == EMITTED and each["intervention_id"] in made]


def got_nothing(interventions: Sequence[Record], decisions: Sequence[Record], but: str = "") -> str:
    """A customer to explain: with decisions and no intervention, the newest for one of `TELLING` if there is such; "" for none at all."""
    contacted = {made["customer_id"] for made in interventions} | {but}
    newest = {each["customer_id"]: each["reason"] for each in decisions if each["customer_id"] not in contacted}
    rank = {reason: place for place, reason in enumerate(TELLING)}
    return min(newest, key=lambda customer: (rank.get(newest[customer], len(rank)), customer), default="")
