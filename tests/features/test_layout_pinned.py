"""Each layout in use is kept in features/layouts, and the kept one of a released state version never moves."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import pytest

from keepline.features import layouts
from keepline.features.churn import CHURN, D7
from keepline.features.layout import lay_out
from keepline.features.sets import FEATURE_SETS
from keepline.features.spec import FeatureError, Measure, Windowed

RELEASED = {"churn-1.json": "c89da492bf8ccee6", "clv-1.json": "b30d4c5c5f7d6b87"}
"""The first 16 digits of the SHA-256 of each released layout: stored states of users depend on it."""


@pytest.mark.parametrize("name", sorted(FEATURE_SETS))
def test_every_set_keeps_its_layout(name: str) -> None:
    layouts.check(FEATURE_SETS[name])
    assert layouts.load(layouts.layout_file(FEATURE_SETS[name])) == lay_out(FEATURE_SETS[name])


@pytest.mark.parametrize("name", sorted(RELEASED))
def test_released_layouts_never_move(name: str) -> None:
    assert hashlib.sha256((layouts.FOLDER / name).read_bytes()).hexdigest().startswith(RELEASED[name])


def test_a_table_with_another_layout_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edited = dataclasses.replace(CHURN, features=(*CHURN.features, Windowed("pages_7d", Measure("PageView"), D7)))
    with pytest.raises(
        FeatureError, match=r"differently from state version 1 .* Raise state_version in the table, run `keepline features layout"
    ):
        layouts.check(edited)
    raised = dataclasses.replace(edited, state_version=2)
    monkeypatch.setattr(layouts, "FOLDER", tmp_path)
    with pytest.raises(FeatureError, match="No layout is kept for feature set 'churn', state version 2"):
        layouts.check(raised)
    assert layouts.write(raised) == tmp_path / "churn-2.json"
    layouts.check(raised)
    with pytest.raises(FeatureError, match="differently from state version 2"):
        layouts.write(dataclasses.replace(raised, features=raised.features[1:]))


def test_a_change_without_another_layout_needs_no_version() -> None:
    layouts.check(dataclasses.replace(CHURN, version=2, lateness=1))


def test_the_command_shows_and_checks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from keepline.jobs.cli.layout import layout

    layout("churn", write=False, as_json=True)
    assert capsys.readouterr().out == (layouts.FOLDER / "churn-1.json").read_text(encoding="utf-8")
    layout("churn", write=False, as_json=False)
    assert "3072 bytes a customer" in capsys.readouterr().out
    monkeypatch.setattr(layouts, "FOLDER", tmp_path)
    with pytest.raises(FeatureError, match="No layout is kept"):
        layout("churn", write=False, as_json=False)
    layout("churn", write=True, as_json=False)
    assert (tmp_path / "churn-1.json").exists()
