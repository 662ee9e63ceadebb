"""`policy check`, `policy show` and `policy schema`, as users run them."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from ruamel.yaml import YAML

from keepline.features.churn import CHURN
from keepline.jobs.settings import PRETRAINED
from keepline.models.contact.carried import from_json
from keepline.models.contact.document import DEFAULT, load
from keepline.models.contact.names import names_of_all
from keepline.models.contact.show import show
from tests.cli.conftest import Command

NAMES = names_of_all([("churn", 0.25, (0.125, 0.25), ())], CHURN.names)
SCHEMA = DEFAULT.parent / "policy.schema.json"


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    file = tmp_path / "policy.yaml"
    file.write_text(DEFAULT.read_text().replace("at_least: threshold", "at_least: thresold").replace("  landing: 30d", "  landings: 30d"))
    return file


def lines_of(file: Path, *words: str) -> list[tuple[int, int]]:
    """Where these words stand, line and column."""
    lines = file.read_text().splitlines()
    return [next((i, line.index(word) + 1) for i, line in enumerate(lines, 1) if word in line) for word in words]


def test_check_of_a_sound_file(keepline: Command) -> None:
    told = f"{DEFAULT}: sound: policy telecom-retention version 2, 4 triggers, 7 offers, for model churn-mlc version 1\n"
    assert keepline("policy", "check", DEFAULT) == (0, told, "")
    assert keepline("policy", "check", DEFAULT, "--model", PRETRAINED) == (0, told, "")
    assert keepline("policy", "check", DEFAULT, "--json").json == {
        "file": str(DEFAULT), "model": "churn-mlc", "model_version": 1, "sound": True, "errors": [],
        "policy": "telecom-retention", "version": 2, "triggers": 4, "offers": 7,
    }  # fmt: skip


def test_check_of_a_broken_file(keepline: Command, broken: Path) -> None:
    first, second = lines_of(broken, "thresold", "landings")
    limit = "at_least of trigger at_risk is 'thresold': expected a number, or one of threshold, MEDIUM, HIGH; did you mean threshold?"
    key = "unknown key 'landings' in outcomes; did you mean landing?; expected landing"
    text = f"error: {broken}:{first[0]}:{first[1]}: {limit}\n{broken}:{second[0]}:{second[1]}: {key}\n"
    assert keepline("policy", "check", broken) == (2, "", text)
    found = keepline("policy", "check", broken, "--json")
    assert (found.code, found.err) == (2, text)
    assert found.json == {
        "file": str(broken), "model": "churn-mlc", "model_version": 1, "sound": False,
        "errors": [
            {"line": first[0], "column": first[1], "message": limit},
            {"line": second[0], "column": second[1], "message": key},
        ],
    }  # fmt: skip


def test_files_and_models_that_are_not_there(keepline: Command, tmp_path: Path) -> None:
    away = tmp_path / "away.yaml"
    told = f"error: {away}: the policy cannot be read: No such file or directory; check the path\n"
    assert keepline("policy", "check", away) == (2, "", told)
    assert keepline("policy", "show", away) == (2, "", told)
    found = keepline("policy", "show", "--model", tmp_path / "none")
    assert (found.code, found.out) == (2, "")
    assert found.err.startswith(f"error: No model at {tmp_path}/none")


def test_show(keepline: Command, tmp_path: Path) -> None:
    policy = load(DEFAULT, NAMES)
    assert keepline("policy", "show") == (0, show(policy), "")
    file = tmp_path / "mine.yaml"
    file.write_text(DEFAULT.read_text().replace("policy: telecom-retention", "policy: mine"))
    assert keepline("policy", "show", file).out.startswith("Policy mine, version 2\n")
    assert from_json(keepline("policy", "show", "--json").json) == policy
    assert "source" not in keepline("policy", "show", "--json").json


def test_show_of_a_broken_file_is_its_errors(keepline: Command, broken: Path) -> None:
    found = keepline("policy", "show", broken, "--json")
    assert (found.code, found.out, found.err.count("\n")) == (2, "", 2)


def test_the_schema_for_editors_is_what_is_committed(keepline: Command) -> None:
    assert keepline("policy", "schema") == (0, SCHEMA.read_text(), "")
    assert f"$schema={SCHEMA.name}" in DEFAULT.read_text().splitlines()[0]


def plain(text: str) -> object:
    """As JSON has it."""
    return json.loads(json.dumps(YAML(typ="safe", pure=True).load(text)))


def test_the_schema_for_editors_takes_what_is_sound() -> None:
    schema = json.loads(SCHEMA.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    checker = jsonschema.Draft202012Validator(schema)
    text = DEFAULT.read_text()
    checker.validate(plain(text))
    for old, new in (
        ("for: complaint", "for: [complaint]"),
        ("at_least: threshold", "at_least: HIGH"),
        ("at_least: threshold", "at_least: 0.3"),
        ("topic: [COMPLAINT, CANCELLATION]", "channel: CHAT"),
        ("# holdout:", "holdout:"),
        ("# holdout: {programme: churn-2026, control: 10%}", "holdout: {programme: churn-2026, control: 0.1}"),
        (", channels: [SMS, PUSH, CALL]", ""),
        ("outcomes:\n  landing: 30d\n", ""),
        ("# budgets:\n#   spring:", "budgets:\n  spring:"),
        ("    if: {feature: monthly_charge, at_least: 80}\n", "    if: [{score: churn, below: MEDIUM}, {reason: bill_rise}]\n"),
    ):
        changed = text.replace(old, new)
        assert changed != text, old
        checker.validate(plain(changed))
        if "budgets" not in new:  # a budget needs a campaign, which a schema cannot say
            load(changed, NAMES)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("version: 2", "version: '2'"),
        ("policy:", "polcy:"),
        ("marketing: required", "marketing: require"),
        ('"21:00"', '"24:00"'),
        ("at_most: 1", "at_most: 0"),
        ("per: 7d", "per: 7"),
        ("overdue_bills", "overdue_bill"),
        ("score: churn", "score: clv"),
        ("within: 7d", "at_least: 0.1"),
        ("SupportContact", "Consent"),
        ("COMPLAINT,", "COMPLANT,"),
        ("channels: [EMAIL, SMS]", "channels: [EMAIL, FAX]"),
        ("service: true", "service: yes"),
        ("reason:", "reasons:"),
        (", at_least: 80}", "}"),
        ("at_least: 80", "at_least: threshold"),
        ("after: 7d", "later: 7d"),
        ("  landing: 30d", "  landing: 30 days"),
    ],
)
def test_the_schema_for_editors_and_the_check_refuse_the_same_slips(old: str, new: str) -> None:
    text = DEFAULT.read_text()
    assert old in text
    changed = text.replace(old, new)
    assert not jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text())).is_valid(plain(changed))
    with pytest.raises(Exception, match=r"policy.yaml:\d+:\d+: "):
        load(changed, NAMES)
