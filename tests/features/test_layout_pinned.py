"""A stored state is known by its length and version, so a layout may not move under the same version."""

from __future__ import annotations

import hashlib

from keepline.features.churn import CHURN
from keepline.features.layout import STATE_VERSION, lay_out

DIGESTS = {1: "2198dd4aa59e78ae"}
"""Digest of the churn layout by state version. A changed layout: raise STATE_VERSION, write its migration, add a line here."""


def test_the_layout_of_a_version_never_moves() -> None:
    layout = lay_out(CHURN)
    said = repr((layout.rings, layout.records, layout.ledger, layout.summary, layout.bills, layout.size))
    assert hashlib.sha256(said.encode()).hexdigest()[:16] == DIGESTS[STATE_VERSION]
