"""The operators on a PyFlink DataStream: packed source records to output frames, and frames to further frames.

`customer_stream` keys the stream by the record's key and attaches the JVM shell (`io.keepline.CustomerOperator`), which runs the Python
module named to it in the TaskManager. `channel` picks one kind of output, and `rare_stream` works on one in plain Python. None adds a hop
through Python between operators: such a hop costs more than the kernel, and two embedded Python operators in one task deadlock.

    records = telemetry_source(env, servers, ["telemetry"], group_id="churn")
    frames = customer_stream(records, "keepline.operators.runtime", spec.dumps())
    dead_letters = channel(frames, 3)
    contacts = rare_stream(frames, 63, sealed(b'{"kind": "contacts"}'), uid="contacts", name="contact policy")
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pyflink.common import Types
from pyflink.datastream import DataStream, StreamExecutionEnvironment
from pyflink.java_gateway import get_gateway

from keepline.schemas.errors import KeeplineError

MODULE = "keepline.operators.runtime"
GATHER_MS = 100
"""How long what comes to a rare operator may wait for more, in milliseconds: calls of Python that follow one another cost less."""
BLOCK = 2**31 - 1 - (2 << 20)
"""Bytes of resident states that a subtask may have: as `Slab.most` in the JVM, 2 GiB less a large page."""


class StatesError(KeeplineError):
    """A number of resident states that cannot be."""


@dataclass(frozen=True, slots=True)
class OperatorOptions:
    """Sizes and times of one subtask of the operator. Off-heap memory: capacity × state size + event_bytes + out_bytes."""

    batch: int = 256
    """Entries that one call of the kernel takes at most."""
    linger_ms: int = 5
    """How long an event may wait for its batch to fill, in milliseconds; 0 runs each event alone."""
    capacity: int = 0
    """States kept in memory; the others are read from Flink's keyed state when they are needed. 0: as many as the slot's share of
    `taskmanager.memory.task.off-heap.size` has room for; in a local run, which has no such limit, 1 GiB of them."""
    event_bytes: int = 2 << 20
    """Bytes of events a batch holds. It grows by itself for a single larger event."""
    out_bytes: int = 4 << 20
    """Bytes of output a call may produce; a batch that needs more takes several calls."""
    bound_ms: int = 3_600_000
    """B, the bound of disorder of event times in milliseconds: the spec's and the watermarks' own."""

    def __post_init__(self) -> None:
        """Refuse sizes that cannot work."""
        if self.batch < 1 or (self.capacity and self.capacity <= self.batch):
            msg = f"capacity {self.capacity} must be larger than batch {self.batch}, which must be at least 1"
            raise ValueError(msg)
        for name in ("event_bytes", "out_bytes"):
            if getattr(self, name) < 1 << 16:
                msg = f"{name} is {getattr(self, name)}; expected at least {1 << 16}"
                raise ValueError(msg)


def require_block(states: int, state_size: int) -> None:
    """StatesError where so many resident states exceed a subtask's block: what the operator would refuse only when it starts."""
    most = BLOCK // state_size
    if states > most:
        msg = (
            f"resident_states is {states:,}: a subtask's block holds at most {most:,} states of {state_size:,} bytes; lower it to {most:,}"
        )
        raise StatesError(msg)


def packed_type() -> Any:
    """The Java type of packed records and frames: byte[]."""
    return Types.PRIMITIVE_ARRAY(Types.BYTE()).get_java_type_info()


def customer_stream(
    source: DataStream,
    module: str,
    spec: bytes,
    options: OperatorOptions | None = None,
    *,
    uid: str = "customer",
    name: str = "customer",
) -> DataStream:
    """Attach the operator to a stream of PACKED_IN byte[]; returns the stream of PACKED_OUT byte[], every channel in it.

    An element of the input is a record, or a block of records for one subtask (`kafka.telemetry_source(blocks=True)`).

    An element of the output is a block of frames: all that a run of the kernel put out, one behind the other (`schemas.packed.frames` takes
    it apart, as the sinks here do).

    `module` exposes `entry` (see `keepline.operators.runtime`); `spec` is handed to it as it is. `uid` names the state in savepoints.
    """
    o = options or OperatorOptions()
    jvm = get_gateway().jvm
    configuration = jvm.org.apache.flink.configuration.Configuration()
    operator = jvm.io.keepline.CustomerOperator(
        configuration, module, spec, o.batch, o.linger_ms, o.capacity, o.event_bytes, o.out_bytes, o.bound_ms
    )
    keyed = source._j_data_stream.keyBy(jvm.io.keepline.PackedKey(), Types.STRING().get_java_type_info())
    stream = DataStream(keyed.transform(name, packed_type(), operator))
    # Named, because the source's blocks are made for it: Flink's own choice may come from a savepoint of another parallelism.
    return stream.uid(uid).name(name).set_max_parallelism(max_parallelism(source.get_execution_environment()))


def rare_stream(
    frames: DataStream,
    index: int,
    spec: bytes,
    *,
    uid: str,
    name: str = "",
    module: str = MODULE,
    parallelism: int | None = None,
) -> DataStream:
    """Attach an operator of rare work (`operators.rare`) to one channel of a stream of frames; returns the stream of its own frames.

    The frames are keyed by their key. keyBy gives the operator a task of its own, apart from another Python operator before it; and what
    follows it is chained to it only if it is no Python operator, so put one behind it by `rare_stream` as well.

    `spec` names the kernel, sealed with the job's code (`operators.code.sealed`). `uid` names the state in savepoints; `name` is `uid` by
    default. `parallelism`: the environment's by default. With another one, give its frames to sinks apart from those of other operators: a
    union spreads them over the sink's subtasks, and the frames of a key lose their order.
    """
    jvm = get_gateway().jvm
    operator = jvm.io.keepline.RareOperator(jvm.org.apache.flink.configuration.Configuration(), module, spec, GATHER_MS)
    wanted = channel(frames, index).uid(f"{uid}-frames")
    keyed = wanted._j_data_stream.keyBy(jvm.io.keepline.FrameKey(), Types.STRING().get_java_type_info())
    stream = DataStream(keyed.transform(name or uid, packed_type(), operator)).uid(uid).name(name or uid)
    stream.set_max_parallelism(max_parallelism(frames.get_execution_environment()))
    return stream if parallelism is None else stream.set_parallelism(parallelism)


def max_parallelism(env: StreamExecutionEnvironment) -> int:
    """How many key groups the keyed operator has: `pipeline.max-parallelism`, else what Flink takes for this parallelism."""
    given: int = env.get_max_parallelism()
    groups = get_gateway().jvm.org.apache.flink.runtime.state.KeyGroupRangeAssignment
    return given if given > 0 else int(groups.computeDefaultMaxParallelism(env.get_parallelism()))


def channel(stream: DataStream, *indices: int) -> DataStream:
    """The frames of these channels of `customer_stream` (0 to 63), each a stream element, taken apart in the JVM."""
    if not indices or not all(0 <= index < 64 for index in indices):
        msg = f"channels {indices}: expected one or more numbers from 0 to 63"
        raise ValueError(msg)
    mask = sum(1 << index for index in set(indices))
    return _frames(stream, mask - (1 << 64 if mask >> 63 else 0))


def single_frames(stream: DataStream) -> DataStream:
    """Every frame of `customer_stream`, each a stream element."""
    return _frames(stream, -1)


def _frames(stream: DataStream, mask: int) -> DataStream:
    # Py4J passes a small int as an Integer, which Java widens for a primitive long.
    taken = DataStream(stream._j_data_stream.flatMap(get_gateway().jvm.io.keepline.ChannelFrames(mask), packed_type())).name("frames")
    # As many as there are of what comes before: with another number, the frames of a key would be spread over them and lose their order.
    return taken.set_parallelism(stream._j_data_stream.getParallelism())
