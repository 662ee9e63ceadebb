"""Typed loads and stores at any byte of memory, for compiled code.

Such as `load_i64(buf, pos)`, `store_f64(buf, pos, value)`.

`buf` is an array of one-byte items, or an address (`address(array)`). Little-endian, no alignment needed, no bounds check: the caller has
made sure that all bytes lie inside. On the processors Flink runs on each is one instruction; a view by NumPy inside a kernel costs
some 20 ns instead.

Addresses are for inner functions: numba counts references (an atomic operation, some 5 ns) for every array that a function with many
exits takes, which made half of the decoder's time. Whoever takes an address keeps the array alive until the call returns.

Also Avro's varint on the writing side (`put_long`, …), and `copy_bytes`.
"""

from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from keepline.schemas.jit import njit


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, position: Any, value_type: Any) -> Any:
    byte_pointer = context.get_value_type(types.uint8).as_pointer()
    if isinstance(array_type, types.Integer):
        byte = builder.inttoptr(array, byte_pointer)
    else:
        data = context.make_array(array_type)(context, builder, array).data
        byte = builder.bitcast(data, byte_pointer)
    return builder.bitcast(builder.gep(byte, [position]), context.get_value_type(value_type).as_pointer())


def _is_array(array: Any) -> bool:
    return isinstance(array, types.Array) and array.layout == "C"


def _memory(array: Any) -> Any:
    """The type to take `array` as, or None if it can be neither bytes nor an address."""
    if isinstance(array, types.Integer):
        return types.intp
    return array if _is_array(array) and array.ndim == 1 and array.dtype.bitwidth == 8 else None


def _loader(name: str, value_type: Any) -> Any:
    def load(typing_context: Any, array: Any, position: Any) -> Any:
        memory = _memory(array)
        if memory is None or not isinstance(position, types.Integer):
            return None

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            instruction = builder.load(_pointer(context, builder, signature.args[0], arguments[0], arguments[1], value_type))
            instruction.align = 1
            return instruction

        return value_type(memory, types.intp), generate

    load.__name__ = load.__qualname__ = name
    return intrinsic(load)


def _storer(name: str, value_type: Any) -> Any:
    def store(typing_context: Any, array: Any, position: Any, value: Any) -> Any:
        memory = _memory(array)
        if memory is None or not isinstance(position, types.Integer) or not isinstance(value, types.Number):
            return None

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            array_value, position_value, stored = arguments
            pointer = _pointer(context, builder, signature.args[0], array_value, position_value, value_type)
            instruction = builder.store(stored, pointer)
            instruction.align = 1
            return context.get_dummy_value()

        return types.none(memory, types.intp, value_type), generate

    store.__name__ = store.__qualname__ = name
    return intrinsic(store)


@intrinsic
def address(typing_context: Any, array: Any) -> Any:
    """Address of an array's first byte (C order), as an integer."""
    if not _is_array(array):
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        return builder.ptrtoint(data, context.get_value_type(types.intp))

    return types.intp(array), generate


@intrinsic
def prefetch(typing_context: Any, at: Any) -> Any:
    """Ask for the cache line at an address, to be read and written soon; a hint, never a fault."""
    if not isinstance(at, types.Integer):
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        ir = cgutils.ir  # llvmlite, as numba imports it
        byte = context.get_value_type(types.uint8).as_pointer()
        word = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, word, word, word])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(function, [builder.inttoptr(arguments[0], byte), word(1), word(3), word(1)])
        return context.get_dummy_value()

    return types.none(types.intp), generate


load_u8 = _loader("load_u8", types.uint8)
load_u16 = _loader("load_u16", types.uint16)
load_u32 = _loader("load_u32", types.uint32)
load_u64 = _loader("load_u64", types.uint64)
load_i32 = _loader("load_i32", types.int32)
load_i64 = _loader("load_i64", types.int64)
load_f64 = _loader("load_f64", types.float64)
load_f32 = _loader("load_f32", types.float32)

store_u8 = _storer("store_u8", types.uint8)
store_u16 = _storer("store_u16", types.uint16)
store_u32 = _storer("store_u32", types.uint32)
store_u64 = _storer("store_u64", types.uint64)
store_i32 = _storer("store_i32", types.int32)
store_i64 = _storer("store_i64", types.int64)
store_f64 = _storer("store_f64", types.float64)
store_f32 = _storer("store_f32", types.float32)


@njit
def copy_bytes(target: Any, at: int, source: Any, start: int, length: int) -> int:
    """Copy `length` bytes; returns the position after them in `target`. The ranges may not overlap."""
    done = 0
    while done + 8 <= length:
        store_i64(target, at + done, load_i64(source, start + done))
        done += 8
    while done < length:
        store_u8(target, at + done, load_u8(source, start + done))
        done += 1
    return at + length


@njit
def put_long(target: Any, at: int, value: int) -> int:
    """Write an Avro int, long, enum, union branch or length (zigzag varint, at most 10 bytes); returns the position after it."""
    rest = (types.uint64(value) << types.uint64(1)) ^ types.uint64(value >> 63)
    while rest >= types.uint64(128):
        store_u8(target, at, types.uint8(rest & types.uint64(127)) | types.uint8(128))
        rest >>= types.uint64(7)
        at += 1
    store_u8(target, at, types.uint8(rest))
    return at + 1


@njit
def put_double(target: Any, at: int, value: float) -> int:
    """Write an Avro double; returns the position after it."""
    store_f64(target, at, value)
    return at + 8


@njit
def put_bytes(target: Any, at: int, source: Any, start: int, length: int) -> int:
    """Write an Avro string or bytes from a slice of another array; returns the position after it."""
    return copy_bytes(target, put_long(target, at, length), source, start, length)
