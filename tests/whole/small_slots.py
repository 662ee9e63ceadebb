"""The retention job with room for a few states only, so that it evicts all the time: `flink run -py small_slots.py SETTINGS.toml`."""

import sys
from pathlib import Path

from keepline.jobs.retention import RetentionJob
from keepline.jobs.settings import load
from keepline.operators.stream import OperatorOptions

if __name__ == "__main__":
    RetentionJob.from_settings(load({}, config=Path(sys.argv[1])), OperatorOptions(batch=16, capacity=24)).execute()
