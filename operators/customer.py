"""The customer operator's Python half: what the parts of a customer's state are, with their models and what the policy watches.

The rest is every batched operator's (operators/batched.py); the hot path is operators/customer_kernel.py.
"""

from __future__ import annotations

import numpy as np

from keepline.features.plan import P_RETENTION
from keepline.models.contact import carried
from keepline.models.contact.rules import Policy
from keepline.operators import context as k
from keepline.operators import customer_kernel as ck
from keepline.operators import states, stats
from keepline.operators.batched import BatchKernel
from keepline.operators.code import code_hash
from keepline.operators.frames import SCORE_ROOM, template
from keepline.operators.parts import TAIL_DAY, Part, parts_of
from keepline.operators.signals import SCORE_BYTES, SIGNAL_ROOM
from keepline.operators.spec import OperatorSpec
from keepline.operators.watch import Watch, watch, watched_events
from keepline.schemas.catalog import EVENT_TYPES

NOBODY = Policy("nobody", 0, triggers=(), offers=())
"""The policy of a spec that names none: it contacts nobody."""


class CustomerKernel(BatchKernel):
    """The kernel of a job's feature sets."""

    def __init__(self, spec: OperatorSpec, *, ask: bool = False) -> None:
        """Compiles the plans and loads the models; raises KeeplineError with what to do when they do not fit."""
        self.parts = parts_of(spec)
        rules = states.rules(self.parts, spec.min_time_ms, spec.max_time_ms)
        super().__init__(spec, [part.size for part in self.parts], rules, ask=ask)
        self.names = tuple(name for part in self.parts for name in part.names)
        self.state_version = self.parts[0].feature_set.state_version
        policy = carried.from_json(spec.policy) if spec.policy else NOBODY
        self._point(k.WATCH_EVENTS, watched_events(policy))
        scores = sum(len(part.scores) for part in self.parts)
        for word, value in (
            (k.SCORES, scores), (k.EMIT, ("band", "delta", "every").index(spec.emit)),
            (k.ROOM, SIGNAL_ROOM + scores * (SCORE_ROOM + SCORE_BYTES) + 8 * len(self.names)),
        ):  # fmt: skip
            self._contexts[:, word] = value
        at_byte = 0
        for number, part in enumerate(self.parts):
            last = number + 1 == len(self.parts)
            self._contexts[number, k.NEXT] = 0 if last else self._contexts[number + 1].ctypes.data
            self._contexts[number, k.AT] = at_byte
            at_byte += part.size
            self._part(number, part, watch(policy, part.names, part.scores))

    def _part(self, number: int, part: Part, watched: Watch) -> None:
        """Fills what is a part's own in its context."""
        width, scores = len(part.names), part.scores
        rules = np.zeros((len(scores), k.RULE_WORDS))
        names = [template(score.name, score.model_id, score.version, part.names) for score in scores]
        for row, score in zip(rules, scores, strict=True):
            row[[k.R_LOW, k.R_HIGH]] = score.bands
            row[[k.R_DELTA, k.R_DELTA_SHARE]] = self.spec.delta, not score.probability
        rules[:, [k.R_STEP, k.R_STEP_SHARE]] = watched.steps
        # Where nothing but the set's own events and a new day moves a score, no other event calls for one.
        own = np.array([not part.own or kind.name in part.own for kind in EVENT_TYPES] + [True] * (256 - len(EVENT_TYPES)), np.uint8)
        self._kept[number, k.WORDS] = names
        for word, array in (
            (k.PLAN_INTS, part.plan.ints), (k.PLAN_FLOATS, part.plan.floats), (k.X, np.zeros(width)),
            (k.CONTRIB, np.zeros((len(scores), width))), (k.TOP, np.zeros((len(scores), 3), np.int32)),
            (k.KIND, part.kind), (k.COEF, part.coef), (k.CENTER, part.center), (k.FLOATS, part.floats), (k.TABLE, part.table),
            (k.VALUES, np.zeros(len(scores))), (k.RULES, rules), (k.PLACES, part.places()), (k.OWN, own),
            (k.NAMES, np.array([[each.raw.ctypes.data, each.at.ctypes.data] for each in names], np.int64)),
            (k.WATCH_SOURCE, watched.source), (k.WATCH_NUMBERS, watched.numbers),
        ):  # fmt: skip
            self._point(word, array, number)
        for word, value in (
            (k.TAIL, part.tail), (k.FAMILY, part.family), (k.N_SCORES, len(scores)), (k.FEATURES, width),
            (k.RETENTION, int(part.plan.ints[P_RETENTION])), (k.WATCHES, len(watched.source)), (k.BAND_BIAS, int(part.tail > 0)),
            (k.DAY_AT, part.plan.size + TAIL_DAY if part.own else -1), (k.REGRESSION, int(part.regression)),
        ):  # fmt: skip
            self._contexts[number, word] = value

    def _compiled(self, n: int, watermark: int, wall: int) -> None:
        ck.run(self._address, n, watermark, wall)

    def describe(self) -> bytes:
        """What is counted, for the shell to export."""
        return stats.describe(((score.name, score.model_id, score.version) for part in self.parts for score in part.scores), code_hash())

    def migrate(self, state: bytes) -> bytes:
        """A stored state of another version, or of other parts, as one of this."""
        return states.migrated(state, self.parts, self.spec.min_time_ms, self.spec.max_time_ms)
