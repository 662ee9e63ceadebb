"""Fixtures that all tests share: one Kafka and one Redis a session, and the folder of shared test data."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from keepline.jobs.stack.kafka import EmbeddedKafka
from keepline.jobs.stack.redis import EmbeddedRedis

ROOT = Path(__file__).resolve().parents[1]

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell's background process ignores Ctrl-C, and so would all that the tests start and then send it to.
    signal.signal(signal.SIGINT, signal.default_int_handler)


# Two workers of tests, each with a JVM for its Flink, and more of them in what they start: with a quarter of the machine as its heap,
# as Java has it where nothing is said, each takes all of that before it collects, and together more than there is.
os.environ.setdefault("JVM_ARGS", "-XX:+UseTransparentHugePages -Xmx1g")


@pytest.fixture(scope="session")
def kafka() -> Iterator[EmbeddedKafka]:
    """A broker for all tests: use topic, group and transactional names of your own. Do not stop it."""
    with EmbeddedKafka() as broker:
        yield broker


@pytest.fixture(scope="session")
def redis_server() -> Iterator[EmbeddedRedis]:
    """A Redis for all tests: use keys of your own. Do not stop it."""
    with EmbeddedRedis() as server:
        yield server


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real data with known answers, which the repository cannot contain; its tests skip where it is absent."""
    path = Path(os.environ.get("KEEPLINE_SHARED_DATA") or ROOT.parent / "shared" / "data")
    if not path.is_dir():
        pytest.skip(f"NO SHARED DATA at {path}: the tests on real data do not run; name its folder in KEEPLINE_SHARED_DATA")
    return path
