"""Which batched operator a spec asks for."""

from __future__ import annotations

from keepline.operators.batched import BatchKernel
from keepline.operators.spec import NEXT_APP, OperatorSpec


def kernel_of(spec: OperatorSpec, *, ask: bool = False) -> BatchKernel:
    """The kernel of the spec's feature sets; `ask` as BatchKernel. Loads the modules of no other."""
    if spec.feature_sets == NEXT_APP:
        from keepline.operators.next_app import NextAppKernel

        return NextAppKernel(spec, ask=ask)
    from keepline.operators.customer import CustomerKernel

    return CustomerKernel(spec, ask=ask)
