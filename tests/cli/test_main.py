"""Help is quick and plain; whoever mistypes gets one line and exit code 2."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from pathlib import Path

import pytest

from keepline.jobs.cli import errors
from tests.cli.conftest import Command, call, write_lines

PROGRAM = Path(sys.executable).with_name("keepline")
COMMANDS = [
    (), ("doctor",), ("demo",), ("run", "retention"), ("train", "churn"), ("train", "clv"), ("predict",), ("produce",), ("pseudonym",),
    ("tail",), ("clv", "labels"), ("features", "churn"), ("features", "clv"), ("features", "layout"), ("replay", "retention"),
    ("submit", "retention"), ("conf",), ("status",), ("savepoint",), ("stop",), ("restore", "retention"), ("clv", "report"),
    ("next-app", "evaluate"),
]  # fmt: skip
GROUPS = [("run",), ("train",), ("features",), ("replay",), ("submit",), ("restore",)]
HEAVY = ["numpy", "numba", "pandas", "sklearn", "pyflink", "rich", "confluent_kafka", "redis", "fastavro", "scipy", "matplotlib"]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_has_an_example(keepline: Command, command: tuple[str, ...]) -> None:
    result = keepline(*command, "--help")
    assert result.code == 0
    assert "Usage: keepline" in result.out
    assert "Example:\n    keepline " in result.out
    assert "\b" not in result.out
    assert not result.err
    assert keepline(*command, "-h").out == result.out


@pytest.mark.parametrize("command", GROUPS, ids=" ".join)
def test_groups_show_the_way(keepline: Command, command: tuple[str, ...]) -> None:
    assert f"keepline {command[0]} " in keepline(*command, "--help").out
    bare = keepline(*command)
    assert (bare.code, bare.out) == (2, "")
    assert bare.err.startswith(f"Usage: keepline {command[0]}")


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys\nfrom keepline.jobs.cli import main\nfrom typer.testing import CliRunner\n"
        f"for command in {[list(c) for c in COMMANDS + GROUPS]!r}:\n"
        "    assert CliRunner().invoke(main.app, [*command, '--help']).exit_code == 0\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_help_is_quick() -> None:
    """Below 0.3 s on an idle machine; the least of several, with room for a busy one."""
    took = []
    for _ in range(5):
        begin = time.perf_counter()
        subprocess.run([PROGRAM, "--help"], check=True, stdout=subprocess.DEVNULL)
        took.append(time.perf_counter() - begin)
    assert min(took) < 0.6


def test_version(keepline: Command) -> None:
    result = keepline("--version")
    assert (result.code, result.out.count(".")) == (0, 2)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["nonsense"], "error: No such command 'nonsense'; see `keepline --help`"),
        (["tail"], "error: Missing argument 'topic'; see `keepline tail --help`"),
        (["replay", "retention"], "error: Missing option '--events'; see `keepline replay retention --help`"),
        (["run", "retention", "--emitt", "x"], "error: No such option: --emitt"),
        (["run", "retention", "--parallelism", "two"], "error: Invalid value for '--parallelism': Input should be a valid integer"),
        (["run", "retention", "--emit", "often"], "error: command line: --emit = 'often': Input should be 'band', 'delta' or 'every'"),
        (["replay", "retention", "--events", "none.jsonl", "--out", "o"], "error: none.jsonl: no such file or folder; check --events"),
        (["features", "churn", "--events", "none.jsonl", "--at", "noon", "--out", "o.csv"], "error: 'noon' is not a time"),
        (["features", "churn", "--events", "none.jsonl", "--at", "q.csv", "--out", "o.csv"], "error: q.csv cannot be read"),
        (["features", "churn", "--events", "none.jsonl", "--at", "0", "--out", "o.txt"], "error: o.txt ends in .txt. Expected"),
        (["predict", "--model", "none", "--features", "f.csv", "--out", "p.csv"], "error: No model at none"),
        (["train", "churn", "--features", "f.csv", "--labels", "l.csv", "--out", "m"], "error: f.csv"),
        (["produce", "--events", "none.jsonl"], "error: none.jsonl: no such file or folder"),
        (["produce", "--events", "x.jsonl", "--rate", "-1"], "error: Invalid value for '--rate'"),
        (["tail", "t", "--config", "none.toml"], "error: none.toml: cannot be read as TOML"),
        (["tail", "t", "--bootstrap-servers", "localhost"], "error: command line: --bootstrap-servers = 'localhost': expected host:port"),
        (["doctor", "--kafka", "x"], "error: --kafka 'x': expected name=value"),
    ],
    ids=lambda value: " ".join(value)[:50] if isinstance(value, list) else "",
)
def test_mistakes_are_one_line(keepline: Command, args: list[str], message: str) -> None:
    result = keepline(*args)
    assert result.code == 2
    assert result.err.startswith(message)
    assert result.err.count("\n") == 1
    assert result.out == ""


def test_events_from_standard_input(tmp_path: Path) -> None:
    events = write_lines(tmp_path / "e.jsonl", [call("c", 1, 1_767_225_600_000), call("d", 1, 1_767_225_600_000)])
    args = [PROGRAM, "replay", "retention", "--events", "-", "--out", tmp_path / "out", "--json"]
    with events.open("rb") as stdin:
        done = subprocess.run(args, stdin=stdin, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert '"customers": 2' in done.stdout
    assert not done.stderr


def test_a_file_that_may_not_be_written_is_named(keepline: Command, tmp_path: Path) -> None:
    events = write_lines(tmp_path / "e.jsonl", [call("c", 1, 1_767_225_600_000)])
    (tmp_path / "taken").write_text("")
    result = keepline("replay", "retention", "--events", events, "--out", tmp_path / "taken")
    assert result.code == 2
    assert result.err == f"error: {tmp_path / 'taken'}: File exists\n"


def test_a_fault_of_ours_keeps_its_traceback() -> None:
    import typer

    app = typer.Typer()

    @app.command()
    def broken() -> None:
        raise ZeroDivisionError

    import unittest.mock as mock

    with mock.patch.object(sys, "argv", ["x"]), pytest.raises(ZeroDivisionError):
        errors.run(app)


def test_a_command_alone_ends_as_the_program_does() -> None:
    script = "from keepline.jobs.cli import errors, run\nerrors.run_alone(run.retention)"
    wrong = subprocess.run([sys.executable, "-c", script, "--emit", "often"], capture_output=True, text=True, check=False)
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
    assert wrong.stderr.startswith("error: command line: --emit = 'often'")
    shown = subprocess.run([sys.executable, "-c", script, "--show"], capture_output=True, text=True, check=False)
    assert shown.returncode == 0


def test_ctrl_c_is_quiet() -> None:
    script = (
        "import typer\nfrom keepline.jobs.cli import errors\napp = typer.Typer()\n"
        "@app.command()\ndef wait() -> None:\n    raise KeyboardInterrupt\nerrors.run(app)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.strip()) == (130, "")


def test_no_progress_bar_without_a_terminal(keepline: Command, tmp_path: Path) -> None:
    events = write_lines(tmp_path / "e.jsonl", [call("c", 1, 1_767_225_600_000)])
    result = keepline("features", "churn", "--events", events, "--at", "2026-02-01T00:00:00Z", "--out", "o.csv")
    assert (result.code, result.err) == (0, "")


def test_a_progress_bar_on_a_terminal_goes_to_standard_error(tmp_path: Path) -> None:
    import os
    import pty

    events = write_lines(tmp_path / "e.jsonl", [call("c", i, 1_767_225_600_000 + i) for i in range(9000)])
    parent, child = pty.openpty()
    args = [PROGRAM, "features", "churn", "--events", events, "--at", "2026-02-01T00:00:00Z", "--out", tmp_path / "o.csv"]
    for extra, seen in (([], True), (["--json"], False)):
        os.set_blocking(parent, False)
        shown = b""
        with subprocess.Popen([*args, *extra], stdout=subprocess.PIPE, stderr=child, env=os.environ | {"TERM": "xterm"}) as running:
            # Read as it comes: a terminal takes a few kilobytes, and then lets the writer wait.
            ended = False
            while not ended:
                ended = running.poll() is not None
                with contextlib.suppress(BlockingIOError):
                    while True:
                        shown += os.read(parent, 65536)
                time.sleep(0.05)
            said = running.stdout.read() if running.stdout else b""
        assert running.returncode == 0
        assert (b"reading events" in shown) is seen
        assert b"reading events" not in said
    os.close(child)
    os.close(parent)
