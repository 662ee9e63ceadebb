"""The JVM that PyFlink opens for a local run (its MiniCluster lives there) ends with this process, like any server of the stack."""

from __future__ import annotations

from keepline.jobs.stack.process import Tie, tie


def tie_gateway(grace: float = 2.0) -> Tie:
    """Opens PyFlink's JVM if need be and ties it to this process; keep the result, and `cut` it to end the JVM.

    PyFlink starts it deaf to Ctrl-C, so that only the end of its standard input tells it to shut down; this makes sure that it does.

    Args:
        grace: seconds the JVM has to end by itself before it is killed.
    """
    from pyflink.java_gateway import get_gateway

    return tie(int(get_gateway().jvm.java.lang.ProcessHandle.current().pid()), grace)


def end_gateway(held: Tie) -> None:
    """Ends that JVM. PyFlink's objects are freed later, and would each report in vain that nobody listens: they are told."""
    from pyflink.java_gateway import get_gateway

    get_gateway()._gateway_client.is_connected = False
    held.cut()
