"""The phone against the stream: the same profile to the last bit, the same top 5 in 99 % of the unlocks, in a file of at most 16 KiB."""

from __future__ import annotations

import math
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keepline.features.next_app.constants import Constants
from keepline.features.next_app.layout import APPS, FEATURES, MAX_NAME, NAMES, SUCCESSORS
from keepline.features.next_app.single import User
from keepline.models import on_device
from keepline.models.errors import ModelError
from keepline.models.next_app import manifest as manifests
from keepline.models.next_app.export import phone_of
from keepline.models.next_app.predict import predict
from keepline.models.on_device import LIMIT, DeviceFileError, Phone, hash64, quantised
from keepline.schemas.status import Reason
from keepline.schemas.text import hash64_of
from tests.features.next_app.phone_histories import circumstances, histories, long_history
from tests.models.next_app.models import made_up
from tests.models.next_app.phones import HOUR, START, agreement, life, model, plain, side_by_side, tell

FILE = Path(on_device.__file__)
fuzz = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


def test_it_needs_the_standard_library_alone(tmp_path: Path) -> None:
    """One file, by itself, in a Python without anything that was installed."""
    (tmp_path / "on_device.py").write_bytes(FILE.read_bytes())
    phone_of(model(), b"", "c").save(tmp_path / "c.klna")
    program = f"""
import sys
sys.path.append({str(tmp_path)!r})
import on_device
assert "numpy" not in sys.modules
phone = on_device.Phone.load({str(tmp_path / "c.klna")!r}, on_device.Buffer({str(tmp_path / "c.jsonl")!r}))
phone.open("mail", {START})
print([app for app, _ in phone.unlock({START + 1000})])
"""
    done = subprocess.run([sys.executable, "-S", "-I", "-c", program], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.stdout, done.stderr) == (f"{[f'app{i}' for i in range(5)]}\n", "")


@pytest.mark.parametrize("seed", range(4))
def test_agreement_on_users_with_habits(seed: int) -> None:
    """Ten days of an online life, then eleven without a network."""
    events = life(seed, days=21)
    told = list(
        side_by_side(model(), events, exported_at=next(i for i, e in enumerate(events) if e["event_time"] > START + 10 * 24 * HOUR))
    )
    assert len(told) > 200
    order, sets = agreement(told)
    assert order >= 0.99
    assert sets >= 0.99
    for each in told:
        for (_, ours), (_, theirs) in zip(each.stream, each.phone, strict=True):
            assert ours == pytest.approx(theirs, abs=2e-3)


def test_agreement_on_random_users_and_models() -> None:
    """Weights of any size, habits of none, disorder and silences of years: thousands of events of 120 apps."""
    told = []
    for seed in range(4):
        loaded, user = model(None, seed), User()
        events = [e for e in long_history(seed, 1500) if e["event_time"] > 0]
        accepted = [e for e in events if user.apply(e) != Reason.DUPLICATE]
        told += list(side_by_side(loaded, accepted, exported_at=500))
    assert len(told) > 500
    order, sets = agreement(told)
    assert order >= 0.99
    assert sets >= 0.99


def test_one_array_of_weights_would_not_do() -> None:
    """Why there are two: with int8 alone the order is another too often."""
    loaded, events = model(None), life(1, days=21)
    user = User(loaded.constants)
    phone = phone_of(loaded, b"", "c")
    coefficients = [term.coefficient for term in loaded.manifest.linear or []]
    coarse = quantised(coefficients, 1).coefficients
    assert max(abs(a - b) for a, b in zip(coarse, coefficients, strict=True)) <= max(map(abs, coefficients)) / 254 + 1e-12
    fine = phone.model.weights.coefficients
    assert max(abs(a - b) for a, b in zip(fine, coefficients, strict=True)) <= max(map(abs, coefficients)) / 254**2 + 1e-12
    phone._coefficients = coarse
    same = n = 0
    for event in events:
        user.apply(event)
        ranked = tell(phone, event)
        if event["type"] == "Unlock":
            n += 1
            same += [app for app, _ in ranked] == [app for app, _ in predict(loaded, user, event)]
    assert same / n < 0.99


def test_agreement_on_a_real_log(shared_data: Path) -> None:
    """Six days of a real user: the profile of the first four, then offline, with a model that was fitted on those."""
    from sklearn.linear_model import LogisticRegression

    from keepline.jobs.next_app_files import read_log
    from keepline.models.next_app.log import OPEN

    log = read_log(shared_data / "apps" / "appusagepro_1user_6days.csv.gz").log
    kinds = ("AppOpen", "Unlock")
    events: list[dict[str, Any]] = []
    for i, event in enumerate(log.events()):
        own = {"app": log.apps[event.app]} if event.kind == OPEN else {}
        events.append({"type": kinds[event.kind], "event_id": f"e{i}", "event_time": event.time} | own)
    begin = int(0.7 * len(events))
    user, rows, chosen = User(), [], []
    for event in events[:begin]:
        if event["type"] == "AppOpen" and event["app"] in (found := user.candidates(event)):
            rows += [list(row.values()) for row in found.values()]
            chosen += [app == event["app"] for app in found]
        user.apply(event)
    fitted = LogisticRegression(max_iter=1000).fit(rows, chosen)
    loaded = model(tuple(fitted.coef_[0].tolist()), names=[f"none{i}" for i in range(6)])
    told = list(side_by_side(loaded, events, begin))
    assert len(told) > 100
    order, sets = agreement(told)
    assert order >= 0.99
    assert sets >= 0.99


@fuzz
@given(histories(most=40), st.data())
def test_the_profile_is_the_stream_s(records: list[dict[str, Any]], data: st.DataObject) -> None:
    """Whatever happened before and after the export: the same bytes as an export at the end, and the same answer."""
    constants = data.draw(st.sampled_from([Constants(), Constants(1 / 24, 0.5, 3.0, 1.0, 0.25)]))
    loaded, user = model(None, data.draw(st.integers(0, 50)), constants=constants), User(constants)
    exported_at, phone = data.draw(st.integers(0, len(records))), None
    for i, record in enumerate(records):
        if i == exported_at:
            phone = phone_of(loaded, user.state, "c")
        if user.apply(record) == Reason.DUPLICATE or phone is None:
            continue
        if record["type"] in ("AppOpen", "Unlock"):
            phone._apply(plain(record))
        else:  # another type moves the stream's clock
            phone = phone_of(loaded, user.state, "c")
    phone = phone or phone_of(loaded, user.state, "c")
    assert phone.to_bytes() == phone_of(loaded, user.state, "c").to_bytes()
    assert len(phone.to_bytes()) <= LIMIT
    again = Phone.from_bytes(phone.to_bytes())
    assert again.to_bytes() == phone.to_bytes()
    unlock = {"type": "Unlock", "event_time": max(user.now, 0)} | data.draw(circumstances())
    ours, theirs = predict(loaded, user, unlock, 96), again.predict(unlock, 96)
    assert {app for app, _ in ours} == {app for app, _ in theirs}
    assert math.fsum(p for _, p in theirs) == pytest.approx(1)
    probability = dict(theirs)
    assert all(p == pytest.approx(probability[app], abs=5e-3) for app, p in ours)


def test_the_largest_file() -> None:
    """64 apps whose names fill their section, 32 apps of the longest names in the prior, long ids: still under 16 KiB, now and later."""
    names = [f"{i:02}" + "n" * (MAX_NAME - 2) for i in range(32)]
    loaded = manifests.checked(made_up(names=names).model_copy(update={"model_id": "m" * 255}))
    user = User(loaded.constants)
    for round_ in range(3):
        for i in range(APPS):
            event = {"type": "AppOpen", "event_id": f"{round_}-{i}", "event_time": START + HOUR * round_ + 1000 * i}
            assert user.apply(event | {"app": f"{i:02}" + "p" * (NAMES // APPS - 2)}) == Reason.OK
    data = phone_of(loaded, user.state, "u" * 128).to_bytes()
    assert len(Phone.from_bytes(data).apps) == APPS
    assert 12_000 < len(data) < LIMIT
    phone = phone_of(loaded, b"", "u" * 128)
    for i in range(200):
        phone.open(f"{i % 70:02}" + "q" * (i % 100), START + 1000 * i)
        assert len(phone.to_bytes()) < LIMIT


def test_a_new_user_gets_the_prior() -> None:
    loaded = model()
    phone = phone_of(loaded, b"", "c")
    assert [app for app, _ in phone.unlock(START)] == list(loaded.prior[:5])
    phone.open(loaded.prior[0], START)
    assert [app for app, _ in phone.unlock(START)] == list(loaded.prior[1:6]), "not what is on screen"


@pytest.mark.parametrize("family", ["trees", "ensemble"])
def test_other_families_are_refused(family: str) -> None:
    with pytest.raises(ModelError, match=f"family '{family}', expected 'logistic'.*--family logistic"):
        phone_of(manifests.checked(made_up(family)), b"", "c")


def test_a_model_with_too_long_an_id_is_refused() -> None:
    loaded = manifests.checked(made_up().model_copy(update={"model_id": "ü" * 4000}))
    with pytest.raises(ModelError, match="expected an id of at most 255 bytes"):
        phone_of(loaded, b"", "c")


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_hash_of_a_city(text: str) -> None:
    assert hash64(text) % (1 << 64) == hash64_of(text)


def test_names_are_those_of_the_stream() -> None:
    assert on_device.FEATURES == FEATURES
    assert (on_device.APPS, on_device.MAX_NAME, on_device.ALL_NAMES, on_device.SUCCESSORS) == (APPS, MAX_NAME, NAMES, SUCCESSORS)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda phone: phone.open(None, START), "app is no name"),
        (lambda phone: phone.open("a\0b", START), "app is no name"),
        (lambda phone: phone.open("\ud800", START), "app is no name"),
        (lambda phone: phone.open("a", 5), "event_time is 5: expected epoch milliseconds"),
        (lambda phone: phone.open("a", 1e12), "expected epoch milliseconds"),
        (lambda phone: phone.unlock(START, network="6G"), "network is '6G': expected one of UNKNOWN, WIFI"),
        (lambda phone: phone.unlock(START, charging=1), "charging is 1: expected True or False"),
        (lambda phone: phone.unlock(START, battery=50), "unknown field 'battery': expected one of battery_percent"),
        (lambda phone: phone.unlock(START, utc_offset_minutes=60.0), "utc_offset_minutes is 60.0"),
    ],
)
def test_what_the_stream_would_refuse(call: Any, expected: str, tmp_path: Path) -> None:
    buffer = on_device.Buffer(tmp_path / "b.jsonl")
    phone = Phone.from_bytes(phone_of(model(), b"", "c").to_bytes(), buffer)
    before = phone.to_bytes()
    with pytest.raises(ValueError, match=expected):
        call(phone)
    assert (phone.to_bytes(), buffer.pending) == (before, [])


def test_damaged_files_never_crash() -> None:
    """Bytes changed at random, with and without a checksum that fits: a phone that answers, or one error that says what to do."""
    user, dice = User(), random.Random(5)
    for event in life(3, days=4):
        user.apply(event)
    sound = phone_of(model(), user.state, "c").to_bytes()
    answered, refused = 0, list[str]()
    for i in range(1500):
        data = bytearray(sound)
        for _ in range(dice.choice([1, 1, 2, 20])):
            at = dice.randrange(16, 400) if dice.random() < 0.5 else dice.randrange(len(data))
            data[at] = dice.choice([0, 255, dice.randrange(256)])
        if dice.random() < 0.2:
            del data[dice.randrange(len(data)) :]
        if i % 4 and len(data) > 16:
            data[:4], data[4:8] = sound[:4], sound[4:8]
            data[8:12] = len(data).to_bytes(4, "little")
            data[12:16] = on_device.zlib.crc32(data[16:]).to_bytes(4, "little")
        try:
            phone = Phone.from_bytes(bytes(data), where="phone.klna")
        except DeviceFileError as error:
            refused.append(str(error))
            continue
        answered += 1
        for t in (START, START + 900 * 24 * HOUR):
            ranked = phone.unlock(t, battery_percent=40, network="WIFI", city_hash="home")
            phone.open("new", t)
            assert all(math.isfinite(p) and p >= 0 for _, p in ranked)
        assert len(Phone.from_bytes(phone.to_bytes()).to_bytes()) <= LIMIT
    assert answered > 50
    assert len(refused) > 400
    for each in refused:
        assert each.startswith("phone.klna: ")
        assert each.endswith("Export it again with `keepline next-app export`.")


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda data: b"", "it begins with b'', expected b'KLNA'"),
        (lambda data: b"PK\3\4" + data[4:], "it is no file of a phone's profile"),
        (lambda data: data[:4] + b"\2\0" + data[6:], "byte 4: format version 2, expected 1"),
        (lambda data: data[:-1], r"byte 8: the length is \d+, expected \d+, the file's own, at most 16384"),
        (lambda data: data[:10], "it ends at byte 10, expected 16 or more: the file was cut"),
        (lambda data: data[:200] + bytes([data[200] ^ 1]) + data[201:], "byte 12: the CRC-32 is '[0-9a-f]{8}', expected [0-9a-f]{8}"),
    ],
)
def test_damage_is_told(damage: Any, expected: str) -> None:
    with pytest.raises(DeviceFileError, match=expected):
        Phone.from_bytes(damage(phone_of(model(), b"", "customer-with-a-name").to_bytes()))
