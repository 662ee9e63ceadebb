"""Hashes and checks of text in compiled code, against Python's own."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from keepline.schemas.text import hash64, hash64_of, hash_text, is_utf8, same_bytes


def array(data: bytes, guard: bytes = b"\xaa") -> np.ndarray:
    return np.frombuffer(guard * 9 + data + guard * 9, np.uint8).copy()


def python_accepts(data: bytes) -> bool:
    try:
        return "\0" not in data.decode()
    except UnicodeDecodeError:
        return False


@settings(deadline=None, max_examples=500)
@given(st.binary(max_size=40) | st.text(max_size=20).map(lambda t: t.encode(errors="surrogatepass")))
@example(b"")
@example(b"\xed\xa0\x80")
@example(b"\xf4\x90\x80\x80")
@example(b"\xc0\x80")
@example(b"\xe0\x9f\xbf")
@example(b"aaaaaaaa\0aaaaaaaa")
def test_hash_and_check_equal_python(data):
    for guard in (b"\0", b"\xff"):
        buf = array(data, guard)
        h, sound = hash_text(buf, 9, len(data))
        assert int(h) == int(hash64(buf, 9, len(data))) == hash64_of(data) != 0
        assert bool(sound) == bool(is_utf8(buf, 9, len(data))) == python_accepts(data)


@pytest.mark.parametrize("size", range(20))
def test_every_byte_counts(size):
    data = bytes(range(1, size + 1))
    hashes = {hash64_of(data)}
    for i in range(size):
        for value in (0, 200):
            hashes.add(hash64_of(data[:i] + bytes([value]) + data[i + 1 :]))
    assert len(hashes) == 1 + 2 * size


def test_hashes_are_part_of_the_state_contract():
    """Stored in the duplicate memory of every customer: these numbers may never change."""
    assert {text: f"{hash64_of(text):016x}" for text in ("", "e", "e1", "event-1", "e000000000001", "0123456789abcdef")} == PINNED


PINNED = {
    "": "e5c58d331ca1768e",
    "e": "41a191c99c80d2fc",
    "e1": "71e78421c7bc6ad8",
    "event-1": "7acab55faacdd62b",
    "e000000000001": "2486a452754b638f",
    "0123456789abcdef": "9c51acfc435735e2",
}


def test_few_collisions_among_near_texts():
    texts = [f"e{i:012x}" for i in range(20_000)] + [str(i) for i in range(20_000)]
    assert len({hash64_of(text) for text in texts}) == len(texts)


@pytest.mark.parametrize("size", [6, 12, 20])
def test_texts_that_differ_in_two_bytes(size):
    for i in range(size):
        for j in range(i + 1, size):
            text = bytearray(b"x" * size)
            hashes = set()
            for a in range(48, 64):
                for b in range(48, 64):
                    text[i], text[j] = a, b
                    hashes.add(hash64_of(bytes(text)))
            assert len(hashes) == 256


@given(st.binary(max_size=20), st.binary(max_size=20))
@settings(deadline=None)
def test_same_bytes(a, b):
    assert bool(same_bytes(array(a), 9, len(a), array(b), 9, len(b))) == (a == b)
    assert same_bytes(array(a), 9, len(a), array(a), 9, len(a))
