"""What a phone gets of a model and a user's state: `phone_of(model, state, customer_id)` → Phone → `to_bytes()`.

Everything of the profile is taken as it is; of the model the coefficients become int8 and the prior's shares 16 bits. Centers are left out:
they add the same to every candidate, which a softmax does not see. models/on_device.py owns the format, and reads it on the phone.
"""

from __future__ import annotations

import struct

from keepline.features.layout import W_NEWEST, W_NOW
from keepline.features.next_app.layout import (
    APPS,
    B_FREQUENCY,
    B_LAST,
    B_LENGTHS,
    B_NAMES,
    B_ROWS,
    CITIES,
    CITY_FIRST,
    CITY_SIZE,
    DAYS,
    HOURS,
    R_COUNTS,
    R_DAYS,
    R_HOURS,
    R_PROFILE,
    R_SUCCESSORS,
    ROW,
    SIZE,
    SUCCESSORS,
    W_CITIES,
    W_CITY_SEEN,
    W_OPENED,
    W_SCREEN,
)
from keepline.models.errors import ModelError
from keepline.models.next_app.manifest import Loaded, NextAppManifest
from keepline.models.on_device import SHARE, App, DeviceFileError, Model, Phone, quantised

_COUNTERS = CITY_FIRST + CITY_SIZE
_LONGEST_ID, _LAST_VERSION = 255, (1 << 32) - 1


def phone_of(loaded: Loaded, state: bytes, customer_id: str) -> Phone:
    """The phone of a user with this state (features/next_app/layout.py; all zero for a new user).

    ModelError for a model that no phone can use. The file is and stays within its limit, whatever the user does.
    """
    phone = Phone(customer_id, _model(loaded))
    if any(state):
        _fill(phone, state)
    try:
        Phone.from_bytes(phone.to_bytes())
    except DeviceFileError as error:
        msg = f"The user's state or model {loaded.model_id!r} has a value that no phone takes: {error}"
        raise ModelError(msg) from None
    return phone


def _model(loaded: Loaded) -> Model:
    manifest: NextAppManifest = loaded.manifest
    if manifest.family != "logistic" or manifest.linear is None:
        msg = (
            f"Model {manifest.model_id!r} version {manifest.version} is of family {manifest.family!r}, expected 'logistic': trees are too "
            "large for a phone's file. Train one for phones with `keepline train next-app --family logistic`"
        )
        raise ModelError(msg)
    if len(manifest.model_id.encode()) > _LONGEST_ID or manifest.version > _LAST_VERSION:
        msg = (
            f"Model {manifest.model_id!r:.40} version {manifest.version}: expected an id of at most {_LONGEST_ID} bytes and a version of "
            "32 bits. Train it again with other ones (--model-id, --version)"
        )
        raise ModelError(msg)
    half_life, frequency, transition, hour, context = loaded.constants.array().tolist()
    weights = quantised([term.coefficient for term in manifest.linear])
    prior = tuple((each.app, round(each.share * SHARE)) for each in manifest.prior)
    smoothing = (frequency, transition, hour, context)
    return Model(manifest.model_id, manifest.version, weights, half_life, smoothing, manifest.prior_opens, prior)


def _fill(phone: Phone, state: bytes) -> None:
    words = struct.unpack(f"<{SIZE // 8}q", state)
    phone.now, phone.newest, phone.opened = words[W_NOW], words[W_NEWEST], words[W_OPENED]
    phone.screen = words[W_SCREEN] - 1
    cities = slice(W_CITIES, W_CITIES + CITIES), slice(W_CITY_SEEN, W_CITY_SEEN + CITIES)
    phone.cities = list(zip(words[cities[0]], words[cities[1]], strict=True))
    start = B_NAMES
    for place in range(APPS):
        length = state[B_LENGTHS + place]
        if not length:
            continue
        app = App(state[start : start + length].decode(errors="replace"), words[B_LAST // 8 + place])
        start += length
        (app.frequency,) = struct.unpack_from("<d", state, B_FREQUENCY + 8 * place)
        row = state[B_ROWS + ROW * place : B_ROWS + ROW * (place + 1)]
        app.hours = list(row[R_HOURS : R_HOURS + HOURS])
        app.days = list(struct.unpack_from(f"<{DAYS}H", row, R_DAYS))
        app.profile = [row[R_PROFILE + i // 2] >> 4 * (i % 2) & 15 for i in range(_COUNTERS)]
        pairs = zip(row[R_SUCCESSORS : R_SUCCESSORS + SUCCESSORS], row[R_COUNTS : R_COUNTS + SUCCESSORS], strict=True)
        app.successors = [(other, count) for other, count in pairs if count]
        phone.places[place] = app
