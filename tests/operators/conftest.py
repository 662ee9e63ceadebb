"""Jobs on a MiniCluster in this process, around the counting kernel of the Java tests."""

import itertools
import json
import struct
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from keepline.jobs.cluster.distribution import python_path
from keepline.operators.jar import JVM, jar_path
from keepline.schemas.packed import Frame, Record, frames, pack_frame, pack_record

KERNEL = JVM.resolve() / "src" / "test" / "python"
_names = itertools.count()


@pytest.fixture
def environment(tmp_path: Path) -> Callable[..., Any]:
    """Makes execution environments: checkpoints every 200 ms, restarts allowed, the kernel on the interpreter's path."""
    from pyflink.common import Configuration
    from pyflink.datastream import StreamExecutionEnvironment

    def make(parallelism: int = 1, **settings: str) -> Any:
        configuration = Configuration()
        values = {
            "pipeline.jars": jar_path().as_uri(),
            "pipeline.object-reuse": "true",
            "python.pythonpath": f"{python_path()}:{KERNEL}",
            "execution.checkpointing.interval": "200 ms",
            "execution.checkpointing.dir": (tmp_path / "checkpoints").as_uri(),
            "execution.buffer-timeout.interval": "0 ms",
            "restart-strategy.type": "fixed-delay",
            "restart-strategy.fixed-delay.attempts": "3",
            "restart-strategy.fixed-delay.delay": "100 ms",
        }
        for key, value in (values | settings).items():
            configuration.set_string(key, value)
        env = StreamExecutionEnvironment.get_execution_environment(configuration)
        env.set_parallelism(parallelism)
        return env

    return make


@pytest.fixture
def name() -> str:
    """A name no other test uses, for topics and prefixes."""
    return f"operators-{next(_names)}"


def spec(**values: Any) -> bytes:
    return json.dumps(values).encode()


def collection(env: Any, items: Iterable[bytes]) -> Any:
    """A bounded stream of byte[]."""
    from pyflink.datastream import DataStream
    from pyflink.java_gateway import get_gateway

    from keepline.operators.stream import packed_type

    values = get_gateway().jvm.java.util.ArrayList()
    for item in items:
        values.add(item)
    return DataStream(env._j_stream_execution_environment.fromCollection(values, packed_type()))


def collect(stream: Any) -> list[Frame]:
    """Runs the job and returns its frames; PyFlink reads a byte[] as signed numbers."""
    with stream.execute_and_collect() as results:
        return [frame for block in results for frame in frames(bytes(b & 255 for b in block))]


def event(key: bytes, command: bytes = b"count") -> bytes:
    return pack_record(Record(key, command))


def avro_frame(key: str, count: int, as_of: int, channel: int = 0) -> bytes:
    """A frame as the counting kernel makes it with "avro": keys below 64 bytes, counts from 0 to 63."""
    value = b"\xc3\x01" + bytes(8) + struct.pack("B", 2 * len(key)) + key.encode() + struct.pack("B", 2 * count)
    return pack_frame(Frame(channel, count, as_of, 0, key.encode(), value))
