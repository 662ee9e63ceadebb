"""The command as users run it, in this process: arguments in, exit code and both outputs back."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from keepline.jobs.cli import main
from keepline.jobs.settings import RetentionSettings


class Result(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.out, f"exit code {self.code}, and nothing but: {self.err}"
        return json.loads(self.out)


Command = Callable[..., Result]


@pytest.fixture
def keepline(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """Runs `keepline ARGS…` in a folder without settings, whatever this machine's environment says."""
    for name in {"KEEPLINE_CONFIG"} | {"KEEPLINE_" + name.upper() for name in RetentionSettings.model_fields}:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)

    def run(*args: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["keepline", *map(str, args)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            main.main()
        out, err = capfd.readouterr()
        return Result(int(end.value.code or 0), out, err)

    return run


def write_lines(path: Path, events: list[Any]) -> Path:
    """Events (or whole lines) as JSON Lines."""
    path.write_text("".join((event if isinstance(event, str) else json.dumps(event)) + "\n" for event in events), encoding="utf-8")
    return path


def call(customer: str, number: int, time: int, seconds: float = 60.0) -> dict[str, Any]:
    return {"type": "Call", "customer_id": customer, "event_id": f"{customer}-{number}", "event_time": time, "duration_s": seconds}
