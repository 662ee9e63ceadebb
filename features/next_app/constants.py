"""What the contract leaves open of `next_app`: half-life and smoothing, as one table that a manifest may carry.

Sizes (64 apps, 8 successors, the widths of counters) are of the state's layout instead, and fixed with its version.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keepline.features.spec import DAY, FeatureError

C_HALF_LIFE, C_FREQUENCY, C_TRANSITION, C_HOUR, C_CONTEXT = range(5)
"""Places in `Constants.array`; the half-life in milliseconds."""


@dataclass(frozen=True, slots=True)
class Constants:
    """All positive and finite. The smoothing constants are pseudo-counts: so many opens' worth of the prior."""

    half_life_days: float = 7.0
    """An open of so many days ago weighs half in the decayed frequency, which also decides who is evicted."""
    frequency_smoothing: float = 0.1
    """Opens added to each kept app before its share of all opens is taken."""
    transition_smoothing: float = 1.0
    """Opens by share of frequency that are added to the successors of the app on screen: the back-off of the transition probability."""
    hour_smoothing: float = 2.0
    """Opens, spread evenly over the 24 hours, added to the hour profile of an app."""
    context_smoothing: float = 2.0
    """Opens, spread evenly over the categories, added to the weekend, battery, network and city counters of an app."""

    def __post_init__(self) -> None:
        """FeatureError unless all are positive and finite numbers."""
        for name, value in asdict(self).items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value <= 0:
                msg = f"The constant {name!r} of next_app is {value!r}: expected a number above 0. Correct it where it is set."
                raise FeatureError(msg)

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Constants:
        """From the mapping that `asdict` makes; what is absent keeps its default, an unknown name is a FeatureError."""
        known = [field.name for field in fields(cls)]
        for name in raw:
            if name not in known:
                near = difflib.get_close_matches(str(name), known, 1)
                advice = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(known)}"
                msg = f"Unknown constant {name!r} of next_app: {advice}"
                raise FeatureError(msg)
        return cls(**raw)

    def array(self) -> NDArray[np.float64]:
        """As the kernel takes them: half-life in ms, smoothing of frequency, transition, hour and context."""
        half_life = self.half_life_days * DAY
        smoothing = self.frequency_smoothing, self.transition_smoothing, self.hour_smoothing, self.context_smoothing
        return np.array([half_life, *smoothing], np.float64)
