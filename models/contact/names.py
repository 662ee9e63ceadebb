"""What a policy file may name that only the models know: features, scores, and the words that stand for their limits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from keepline.models.manifest import Model

PROBABILITIES = ("churn", "p_alive")
"""Scores between 0 and 1; the others are amounts of money."""


@dataclass(frozen=True, slots=True)
class ScoreNames:
    """A score, and what its words stand for."""

    name: str
    threshold: float | None
    """The score from which the model calls a customer at risk; None where the model has none."""
    bands: tuple[float, float]
    """(low, high): LOW < low ≤ MEDIUM < high ≤ HIGH."""
    deciles: tuple[float, ...] = ()
    """The 10th to 90th percentile of the training scores; () where the model has none."""

    @property
    def words(self) -> dict[str, float]:
        """The words that may stand for a limit, each with the number that it is."""
        threshold = {} if self.threshold is None else {"threshold": self.threshold}
        deciles = {f"D{place}": limit for place, limit in enumerate(self.deciles, 1)}
        return {**threshold, "MEDIUM": self.bands[0], "HIGH": self.bands[1], **deciles}

    @property
    def probability(self) -> bool:
        """Whether it is a probability; else it is an amount of money."""
        return self.name in PROBABILITIES


@dataclass(frozen=True, slots=True)
class ModelNames:
    """The names and limits that a policy file is read with."""

    features: tuple[str, ...]
    """Of all feature sets."""
    scores: tuple[ScoreNames, ...]
    """The scores that are computed, the main one first."""

    def score(self, name: str) -> ScoreNames | None:
        """The score of this name, if it is computed."""
        return next((each for each in self.scores if each.name == name), None)


def names_of(model: Model) -> ModelNames:
    """The names and limits of a loaded churn model."""
    return names_of_all([("churn", model.threshold, model.bands, ())], model.names)


def names_of_all(scores: Iterable[tuple[str, float | None, tuple[float, float], Sequence[float]]], features: Iterable[str]) -> ModelNames:
    """The names and limits of several scores, each (name, threshold or None, bands, deciles), the main one first; and all features."""
    found = (ScoreNames(name, threshold, bands, tuple(deciles)) for name, threshold, bands, deciles in scores)
    return ModelNames(tuple(features), tuple(found))
