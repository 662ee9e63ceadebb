"""Flink's REST interface, by the name under which the stack's users know it."""

from keepline.jobs.cluster.rest import ENDED, FlinkRest

__all__ = ["ENDED", "FlinkRest"]
