"""An environment of its own for each set of pinned packages, made once below build/peers (`make clean` removes it)."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.benchmarks.machine import ROOT

PLACE = ROOT / "build" / "peers"
MINUTES = 10


def interpreter(packages: Sequence[str], say: Callable[[str], None]) -> Path:
    """The Python that has these packages; ours where there are none. Raises RuntimeError with the installer's words."""
    if not packages:
        return Path(sys.executable)
    loose = [package for package in packages if "==" not in package]
    if loose:
        msg = f"packages of a peer are pinned: expected name==version, got {', '.join(loose)}"
        raise ValueError(msg)
    folder = PLACE / hashlib.sha256("\n".join(sorted(packages)).encode()).hexdigest()[:16]
    python = folder / "bin" / "python"
    done = folder / "installed"
    if done.exists():
        return python
    uv = shutil.which("uv", path=str(ROOT / ".uv" / "bin")) or shutil.which("uv")
    if uv is None:
        msg = "uv, which makes the peers' environments, is not there: run `make setup`"
        raise RuntimeError(msg)
    say(f"an environment with {', '.join(packages)}")
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    for command in ([uv, "venv", "-q", "--python", sys.executable, folder], [uv, "pip", "install", "-q", "--python", python, *packages]):
        ran = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, timeout=60 * MINUTES)
        if ran.returncode:
            shutil.rmtree(folder, ignore_errors=True)
            msg = f"cannot make an environment with {', '.join(packages)}: {ran.stderr.strip()}"
            raise RuntimeError(msg)
    done.write_text("\n".join(packages) + "\n")
    return python
