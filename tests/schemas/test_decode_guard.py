"""The decoder reads no byte past the value: the next one lies in a page that may not be read."""

import subprocess
import sys

CHILD = """
import ctypes, mmap, random
import numpy as np
from keepline.schemas.catalog import EVENT_TYPES
from keepline.schemas.decode import decode, registers
from keepline.schemas.programs import default_programs
from keepline.schemas.records import from_record

PAGE = mmap.PAGESIZE
memory = mmap.mmap(-1, 2 * PAGE)
pages = np.frombuffer(memory, np.uint8)
libc = ctypes.CDLL(None, use_errno=True)
assert libc.mprotect(ctypes.c_void_p(pages.ctypes.data + PAGE), ctypes.c_size_t(PAGE), 0) == 0
image, regs, rng = default_programs(), registers(), random.Random(3)
sample = {"string": "customer-0001", "long": 1_750_000_000_000, "int": 70, "double": 1.5, "boolean": True}
judged = 0


def judge(value):
    global judged
    start = PAGE - len(value)
    pages[start:PAGE] = np.frombuffer(value, np.uint8)
    decode(pages, start, PAGE, image, *regs)
    judged += 1


for event in EVENT_TYPES:
    value = from_record(event.name, {f.name: f.symbols[-1] if f.symbols else sample[f.kind] for f in event.fields})
    for end in range(len(value) + 1):
        judge(value[:end])
        for _ in range(20):
            damaged = bytearray(value[:end])
            for _ in range(rng.randint(1, 3)):
                if end > 10:
                    damaged[rng.randrange(10, end)] = rng.choice([0, 1, 2, 4, 26, 28, 127, 128, 195, 255])
            judge(bytes(damaged))
print(judged)
if __import__("sys").argv[1:]:
    pages[PAGE - 10 : PAGE] = np.frombuffer(value[:10], np.uint8)
    decode(pages, PAGE - 10, PAGE + 1, image, *regs)
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", CHILD, *arguments], capture_output=True, text=True, check=False)


def test_no_byte_past_the_end_is_read():
    done = run()
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) > 10_000


def test_the_guard_would_notice():
    assert run("past").returncode < 0
