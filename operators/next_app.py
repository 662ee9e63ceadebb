"""The next-app operator's Python half: the model's table, the state's layout, and the receipts of erasures.

The rest is every batched operator's (operators/batched.py); the hot path is operators/next_app_kernel.py.
"""

from __future__ import annotations

import numpy as np

from keepline.features.next_app import layout
from keepline.features.soundness import damage
from keepline.features.spec import FeatureError
from keepline.models.next_app import manifest, scorer
from keepline.operators import context as k
from keepline.operators import next_app_kernel as nk
from keepline.operators import stats
from keepline.operators.batched import BatchKernel
from keepline.operators.code import code_hash
from keepline.operators.prediction_frames import room, texts
from keepline.operators.spec import OperatorSpec
from keepline.schemas import packed
from keepline.schemas.records import from_record


class NextAppKernel(BatchKernel):
    """The kernel of the feature set `next_app`."""

    state_version = layout.STATE_VERSION

    def __init__(self, spec: OperatorSpec, *, ask: bool = False) -> None:
        """Loads the model; KeeplineError with what to do when it does not fit."""
        rules = layout.rules(spec.min_time_ms, spec.max_time_ms)
        super().__init__(spec, [layout.SIZE], rules, k.NEXT_APP_WORDS, ask=ask)
        self.model = manifest.from_mapping(spec.next_app)
        constant = texts(self.model.model_id, self.model.version)
        for word, array in (
            (k.MODEL, self.model.table()), (k.CONSTANTS, self.model.constants.array()), (k.WORK, np.zeros(scorer.WORK_WORDS)),
            (k.APP_PLACES, np.zeros(spec.apps, np.int64)), (k.PROBABILITIES, np.zeros(spec.apps)),
            (k.CIRCUMSTANCES, np.zeros(layout.CONTEXT, np.int64)), (k.TEXTS, constant.raw), (k.TEXTS_AT, constant.at),
        ):  # fmt: skip
            self._point(word, array)
        words = ((k.MOST_APPS, spec.apps), (k.ANSWER_WITHIN, spec.answer_within_ms), (k.ROOM, room(constant, spec.apps)))
        for word, value in words:
            self._contexts[:, word] = value

    def _compiled(self, n: int, watermark: int, wall: int) -> None:
        nk.run(self._address, n, watermark, wall)

    def describe(self) -> bytes:
        """What is counted, for the shell to export."""
        return stats.describe_predictions(self.model.model_id, self.model.version, code_hash())

    def migrate(self, state: bytes) -> bytes:
        """The state, if it is whole: there is one version so far. FeatureError with what to do for any other bytes."""
        if len(state) != layout.SIZE:
            msg = (
                f"A stored state has {len(state)} bytes, expected {layout.SIZE} of feature set {layout.NAME!r}. "
                "Start the job from a savepoint of this job, by no newer Keepline, or without one to build the state again from the events."
            )
            raise FeatureError(msg)
        if any(state[:8]):
            damage(state, self.state_rules, layout.NAME)
        return state

    def _reject(self, line: int) -> None:
        entry, status, _, position, had, event_time = map(int, self._rejects[line])
        if status != nk.ERASED:
            super()._reject(line)
            return
        request = self._text(position, had >> 1)
        receipt = {"request_id": request, "erased_at": event_time, "counts": {"next_app_state": had & 1}}
        created = int(self.events[self.offs[entry] + 24 :][:8].view(np.int64)[0])
        self._put(packed.ERASURE_RECEIPTS, request.encode(), from_record("ErasureReceipt", receipt), created=created)
