"""What a policy file may name that only the model knows: features, scores, the threshold and the bands."""

from __future__ import annotations

from dataclasses import dataclass

from keepline.models.manifest import Model


@dataclass(frozen=True, slots=True)
class ModelNames:
    """The names and limits that a policy file is read with."""

    features: tuple[str, ...]
    threshold: float
    """What `threshold` stands for: the score from which the model calls a customer at risk."""
    bands: tuple[float, float]
    """(low, high): LOW < low ≤ MEDIUM < high ≤ HIGH."""
    scores: tuple[str, ...] = ("churn",)
    """The scores that there are."""

    @property
    def words(self) -> dict[str, float]:
        """The words that may stand for a score's limit, each with the number that it is."""
        return {"threshold": self.threshold, "MEDIUM": self.bands[0], "HIGH": self.bands[1]}


def names_of(model: Model) -> ModelNames:
    """The names and limits of a loaded model."""
    return ModelNames(model.names, model.threshold, model.bands)
