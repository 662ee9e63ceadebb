"""The policy file: readable YAML that marketing can review, to a `Policy`. All errors come at once, each with line and column.

`load` is the door. What each key means stands in models/policies/retention.yaml, the policy that is in force where no other is given.

    names        what only the model knows: features, scores, threshold, bands
    values       the kinds of values: numbers, durations, times of day, shares, names
    conditions   one trigger, one condition of an offer
    offers       the triggers and the offers, and how they fit together (reach)
    restraints   consent, quiet hours, caps, control group, escalation, budgets, outcomes
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from keepline.models.contact import offers, restraints
from keepline.models.contact.names import ModelNames
from keepline.models.contact.rules import Policy
from keepline.models.contact.values import LABEL, Part, PolicyDocument, PolicyError

DEFAULT = Path(__file__).resolve().parents[1] / "policies" / "retention.yaml"
"""The committed policy."""
TOP = (
    "policy", "version", "time_zone", "consent", "quiet_hours", "caps", "holdout",
    "triggers", "offers", "escalation", "budgets", "outcomes",
)  # fmt: skip


def load(source: Path | str, model: ModelNames, name: str = "policy.yaml") -> Policy:
    """The policy of a file (a Path) or of a text, which `name` stands for in messages.

    Raises PolicyError with everything that is wrong with it.
    """
    if isinstance(source, str):
        return _read(PolicyDocument(name, source), model, source)
    try:
        text = source.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        msg = f"{source}: the policy cannot be read: {reason}; check the path"
        raise PolicyError(msg) from None
    return _read(PolicyDocument(str(source), text), model, text)


def _read(doc: PolicyDocument, model: ModelNames, text: str) -> Policy:
    top = Part(doc, "the file", doc.root, doc.root, TOP)
    for section in ("triggers", "offers"):
        top.need(section, lambda node, _what: node, doc.root)
    triggers, offered = offers.read(doc, top, model)
    marketing, profiling = restraints.consent(doc, top)
    policy = Policy(
        name=top.need("policy", partial(doc.named, form=LABEL), ""),
        version=top.need("version", partial(doc.whole, least=1), 1),
        triggers=triggers,
        offers=offered,
        time_zone=top.get("time_zone", doc.time_zone, "UTC"),
        marketing_required=marketing,
        profiling_required=profiling,
        caps=restraints.caps(doc, top),
        quiet=restraints.quiet_hours(doc, top),
        holdout=restraints.holdout(doc, top),
        escalation=restraints.escalation(doc, top, offers.kinds(top)),
        budgets=restraints.budgets(doc, top, offers.campaigns(top)),
        landing_ms=restraints.landing(doc, top),
        source=text,
    )
    doc.finish()
    return policy
