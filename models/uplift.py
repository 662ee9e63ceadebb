"""What the contact policy changed: churn of the customers it contacted against the control group's, with an interval. Pure computation.

The control group is drawn by a hash before anything is known of a customer, so the difference of the churn rates is the effect of the
programme, within the interval. Intention to treat: the treatment arm is everyone it was decided to contact, also those whom the message
did not reach or who refused; to leave them out would compare people who can be reached with people of all kinds.

Sources: E. B. Wilson (1927), Probable inference, the law of succession, and statistical inference, Journal of the American Statistical
Association 22:209-212. R. G. Newcombe (1998), Interval estimation for the difference between independent proportions: comparison of
eleven methods, Statistics in Medicine 17:873-890, method 10 (hybrid score, without continuity correction). W. G. Cochran (1954), Some
methods for strengthening the common chi-square tests, Biometrics 10:417-451, for the least expected count of the test.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import erfc, sqrt
from typing import NamedTuple

Z95 = 1.959963984540054
"""The 0.975 quantile of the normal distribution."""
FEW_CUSTOMERS = 30
FEW_EXPECTED = 5.0
"""Below this expected count in a cell of the 2 × 2 table the test's p value is rough (Cochran 1954)."""


class Interval(NamedTuple):
    """A 95 % confidence interval."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm of a group: counts of customers. A customer counts once, by the first decision."""

    customers: int = 0
    churned: int = 0
    failed: int = 0
    """Whom the message did not reach; they count like the others."""
    declined: int = 0
    """Who refused or complained; they count like the others."""

    @property
    def rate(self) -> float | None:
        """Share that churned; None without customers."""
        return self.churned / self.customers if self.customers else None


class Group(NamedTuple):
    """What is compared. Kind and trigger "" are all of the programme's."""

    programme: str
    kind: str = ""
    trigger: str = ""


@dataclass(frozen=True, slots=True)
class Effect:
    """Control against treatment in one group. What cannot be told is None, never NaN; `warnings` say why and what is rough."""

    group: Group
    control: Arm
    treatment: Arm
    difference: float | None
    """Churn rate of control − treatment: above 0, the programme kept customers."""
    interval: Interval | None
    relative: float | None
    """The difference as a share of the control's rate; None where nobody of the control churned."""
    p_value: float | None
    """Two-sided two-proportion z-test with the pooled rate."""
    warnings: tuple[str, ...]


def wilson(events: int, total: int, z: float = Z95) -> Interval:
    """The score interval of one proportion (Wilson 1927). `total` is at least 1."""
    square = z * z
    centre = events + square / 2
    half = z * sqrt(events * (total - events) / total + square / 4)
    # At the ends of the range the two terms are equal, and rounding must not tell them apart.
    low = 0.0 if events == 0 else (centre - half) / (total + square)
    high = 1.0 if events == total else (centre + half) / (total + square)
    return Interval(low, high)


def newcombe(events1: int, total1: int, events2: int, total2: int, z: float = Z95) -> Interval:
    """The hybrid score interval of p1 − p2 (Newcombe 1998, method 10). Both totals are at least 1.

    >>> low, high = newcombe(56, 70, 48, 80)
    >>> f"{low:.4f} to {high:.4f}"
    '0.0524 to 0.3339'
    """
    p1, p2 = events1 / total1, events2 / total2
    (low1, high1), (low2, high2) = wilson(events1, total1, z), wilson(events2, total2, z)
    low = p1 - p2 - sqrt((p1 - low1) ** 2 + (high2 - p2) ** 2)
    high = p1 - p2 + sqrt((high1 - p1) ** 2 + (p2 - low2) ** 2)
    return Interval(max(low, -1.0), min(high, 1.0))


def z_test(events1: int, total1: int, events2: int, total2: int) -> float:
    """Two-sided p value of p1 = p2 by the z-test with the pooled rate (the root of Pearson's χ²). Both totals are at least 1."""
    pooled = (events1 + events2) / (total1 + total2)
    variance = pooled * (1 - pooled) * (1 / total1 + 1 / total2)
    if variance == 0:  # all churned or none did, in both arms
        return 1.0
    return erfc(abs(events1 / total1 - events2 / total2) / sqrt(2 * variance))


def effect(group: Group, control: Arm, treatment: Arm) -> Effect:
    """Compares the arms of a group."""
    if control.rate is None or treatment.rate is None:
        return Effect(group, control, treatment, None, None, None, None, _missing(control, treatment))
    counts = control.churned, control.customers, treatment.churned, treatment.customers
    difference = control.rate - treatment.rate
    relative = difference / control.rate if control.churned else None
    return Effect(group, control, treatment, difference, newcombe(*counts), relative, z_test(*counts), _warnings(control, treatment))


def _missing(control: Arm, treatment: Arm) -> tuple[str, ...]:
    if control.customers == treatment.customers == 0:
        return ("no customers in either arm",)
    if control.customers:
        return ("no treatment arm: nobody of this group was contacted",)
    return ("no control arm: without a holdout, what the contact changed cannot be told",)


def _warnings(control: Arm, treatment: Arm) -> tuple[str, ...]:
    found = []
    for name, arm in (("control", control), ("treatment", treatment)):
        if arm.customers < FEW_CUSTOMERS:
            found.append(f"only {arm.customers} customers in the {name} arm")
    total, churned = control.customers + treatment.customers, control.churned + treatment.churned
    least = min(control.customers, treatment.customers) * min(churned, total - churned) / total
    if least < FEW_EXPECTED:
        found.append(f"the p value is rough: a cell of the table expects {least:.1f}, fewer than {FEW_EXPECTED:g}; go by the interval")
    return tuple(found)
