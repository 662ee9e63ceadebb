"""Where compiled code is kept: a private folder that changes with any kernel's source."""

import stat
import subprocess
import sys
from pathlib import Path

import numba
import pytest

from keepline.schemas import jit


@pytest.fixture(autouse=True)
def _forget(monkeypatch):
    monkeypatch.delenv("KEEPLINE_NUMBA_CACHE", raising=False)
    jit.cache_directory.cache_clear()
    yield
    jit.cache_directory.cache_clear()


def test_the_folder_is_private_and_named_by_the_sources(tmp_path, monkeypatch):
    monkeypatch.setenv("KEEPLINE_NUMBA_CACHE", str(tmp_path / "numba"))
    folder = jit.cache_directory()
    assert folder == tmp_path / "numba" / jit.sources_hash()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_any_edit_of_a_kernel_changes_the_name(tmp_path, monkeypatch):
    (tmp_path / "schemas").mkdir()
    (tmp_path / "features" / "aggregators").mkdir(parents=True)
    monkeypatch.setattr(jit, "__file__", str(tmp_path / "schemas" / "jit.py"))
    kernel = tmp_path / "features" / "aggregators" / "sums.py"
    kernel.write_text("@njit\ndef f(): return 1\n")
    before = jit.sources_hash()
    (tmp_path / "schemas" / "plain.py").write_text("x = 1")
    assert jit.sources_hash() == before
    kernel.write_text("@njit\ndef f(): return 2\n")
    assert jit.sources_hash() != before


def test_a_folder_that_others_can_write_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setenv("KEEPLINE_NUMBA_CACHE", str(tmp_path))
    folder = tmp_path / jit.sources_hash()
    folder.mkdir()
    folder.chmod(0o777)
    assert jit.cache_directory().parent != tmp_path


def test_where_nothing_can_be_written_a_temporary_folder_serves(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("KEEPLINE_NUMBA_CACHE", str(tmp_path / "file"))
    assert jit.cache_directory().is_dir()


def test_the_setting_of_other_users_of_numba_stays():
    before = numba.config.CACHE_DIR

    @jit.njit
    def one() -> int:
        return 1

    @jit.njit(fastmath=True)
    def half() -> float:
        return 0.5

    assert (one(), half()) == (1, 0.5)
    assert before == numba.config.CACHE_DIR


def test_a_second_process_compiles_nothing(tmp_path):
    code = (
        "import numpy as np\nfrom keepline.schemas.decode import decode, registers\n"
        "from keepline.schemas.programs import default_programs\n"
        "b = np.zeros(3, np.uint8); print(decode(b, 0, 3, default_programs(), *registers())[0], sum(decode.stats.cache_hits.values()))"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code], env={"KEEPLINE_NUMBA_CACHE": str(tmp_path)}, capture_output=True, text=True, check=True
        ).stdout.split()
        for _ in range(2)
    ]
    assert runs == [["1", "0"], ["1", "1"]]
    assert list(Path(tmp_path).rglob("*.nbi"))
