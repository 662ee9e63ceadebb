"""From the events before a border to a model: what is fitted, what is chosen, and the prior. Nothing after the border is given to it.

    warm part ──► first 14/17 of each user's opens: fit │ the rest: choose (constants, shape of trees, weight, prior_opens)
              └─► fit again with what was chosen, on the whole warm part, with its prior ──► Learned

14/17 is 70 % where the warm part is 85 % of a log, as in training. Choices go by the mean log-likelihood of the opened app under
P = (1 − λ) P_u + λ π_s, the probability that the stream tells. The half-life is of the stored states, so another one than the default is
chosen only if it is better by more than a standard error of the difference. prior_opens then goes by the mean reciprocal rank, since the
likelihood wants more of the prior than the order of apps bears: the least one that is not worse than the best by more than a standard
error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import numpy as np

from keepline.features.next_app.constants import Constants
from keepline.features.next_app.layout import MAX_NAME
from keepline.models.errors import TrainingDataError
from keepline.models.next_app.families import SHAPES, Fitted, examples, fit_logistic, fit_trees
from keepline.models.next_app.log import NONE, OPEN, Log
from keepline.models.next_app.manifest import LEAST_PRIOR, MOST_PRIOR
from keepline.models.next_app.moments import Float64, Mask, Moments, moments
from keepline.models.next_app.registers import names_of
from keepline.models.next_app.split import warm_events
from keepline.schemas.jit import njit

FIT = (14, 17)
"""Share of the warm part that the first fit sees."""
HALF_LIVES = (30.0, 180.0)
"""Tried beside the default."""
CONSTANTS = Constants(transition_smoothing=0.3)
"""Less back-off than the kernel's own default: with more of it, columns of frequency are needed to take back what it puts in."""
PRIOR_OPENS = (0.1, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0)
WEIGHTS = tuple(i / 20 for i in range(21))
"""Of the trees in an ensemble."""
MOST_TARGETS = 100_000
"""Targets that are learnt from; of more, so many are drawn."""


class Learned(NamedTuple):
    """A model without its papers."""

    family: Literal["logistic", "trees", "ensemble"]
    constants: Constants
    linear: Fitted | None
    forest: Fitted | None
    trees_weight: float
    prior: list[tuple[str, float]]
    """Apps and shares, the largest first."""
    prior_opens: float
    settings: dict[str, float]
    rows: int
    fit: Mask
    """Of the warm part's events: those before the first target of validation."""


class _Choice(NamedTuple):
    likelihood: Float64  # by target of validation
    weight: float
    shape: tuple[int, int] | None
    prior_opens: float
    constants: Constants


def learn(warm: Log, family: str, seed: int = 42, *, at: str = "opens", least: int = LEAST_PRIOR) -> Learned:
    """Fit a family on the warm part; TrainingDataError if fewer than `least` apps were opened in it.

    `at`: learn from all opens, or ("unlocks") from those that came first after an unlock.
    """
    fit = warm_events(warm, FIT)
    wanted = _drawn(warm, seed, at)
    inner_prior, prior = _shares(warm, fit), _shares(warm, np.ones(len(warm), np.bool_))
    told = _told(warm, prior)
    if len(told) < least:
        msg = f"the part of the log that is learnt from has opens of {len(told)} apps, expected at least {least} different ones."
        raise TrainingDataError(msg)
    names = names_of(warm.apps)

    def tried(constants: Constants) -> _Choice:
        return _chosen(moments(warm, wanted, constants, names), constants, fit, inner_prior, family, seed)

    best = tried(CONSTANTS)
    for days in HALF_LIVES:
        other = tried(replace(CONSTANTS, half_life_days=days))
        best = other if _better(other.likelihood, best.likelihood) else best
    final = moments(warm, wanted, best.constants, names)
    made = examples(final, np.ones(len(final.event), np.bool_))
    linear = fit_logistic(made) if family != "trees" or not made.both else None
    forest = fit_trees(made, best.shape, seed) if best.shape is not None and made.both else None
    settings = {"half_life_days": best.constants.half_life_days, "prior_opens": best.prior_opens}
    if best.shape is not None:
        settings |= {"trees_depth": float(best.shape[0]), "trees_leaves": float(best.shape[1]), "trees_weight": best.weight}
    return Learned(
        family=_family(linear, forest),
        constants=best.constants,
        linear=linear,
        forest=forest,
        trees_weight=0.0 if forest is None else best.weight,
        prior=told,
        prior_opens=best.prior_opens,
        settings=settings,
        rows=len(made.rows),
        fit=fit,
    )


def _family(linear: Fitted | None, forest: Fitted | None) -> Literal["logistic", "trees", "ensemble"]:
    if forest is None:
        return "logistic"
    return "trees" if linear is None else "ensemble"


def _drawn(warm: Log, seed: int, at: str) -> Mask:
    """The opens to learn from."""
    wanted: Mask = warm.kind == OPEN
    if at == "unlocks":
        wanted &= after_unlock(warm)
    places = np.flatnonzero(wanted)
    if len(places) > MOST_TARGETS:
        left_out = np.random.default_rng(seed).permutation(places)[MOST_TARGETS:]
        wanted[left_out] = False
    return wanted


def after_unlock(log: Log) -> Mask:
    """The events whose user's event before was an unlock."""
    order = np.argsort(log.user, kind="stable")
    found = np.zeros(len(log), np.bool_)
    found[order[1:]] = (log.user[order[1:]] == log.user[order[:-1]]) & (log.kind[order[:-1]] != OPEN)
    return found


def _shares(warm: Log, which: Mask) -> Float64:
    """Of each app: its share of the opens of the prior's apps; 0 for an app that is none of them."""
    opens = np.bincount(warm.app[which & (warm.kind == OPEN)], minlength=len(warm.apps)).astype(np.float64)
    opens[[i for i, name in enumerate(warm.apps) if not _sound(name)]] = 0.0
    first = np.argsort(-opens, kind="stable")[:MOST_PRIOR]
    kept = np.zeros(len(opens))
    kept[first] = opens[first]
    return kept / max(float(kept.sum()), 1.0)


def _sound(name: str) -> bool:
    """Whether a manifest can hold the name, and a state keep it."""
    try:
        return 1 <= len(name.encode()) <= MAX_NAME
    except UnicodeEncodeError:
        return False


def _told(warm: Log, prior: Float64) -> list[tuple[str, float]]:
    order = np.argsort(-prior, kind="stable")
    return [(warm.apps[i], float(prior[i])) for i in order.tolist() if prior[i] > 0]


def _chosen(found: Moments, constants: Constants, fit: Mask, prior: Float64, family: str, seed: int) -> _Choice:
    """The best settings with these constants, fitted on the first part and judged on the second."""
    first = fit[found.event]
    made = examples(found, first)
    forests: Sequence[tuple[tuple[int, int] | None, Float64]] = [(None, np.zeros(len(found.rows)))]
    if family != "logistic" and made.both:
        forests = [(shape, fit_trees(made, shape, seed).z(found.rows)) for shape in SHAPES]
    linear = fit_logistic(made).z(found.rows) if family != "trees" or forests[0][0] is None else np.zeros(len(found.rows))
    weights: Sequence[float] = {"trees": (1.0,), "ensemble": WEIGHTS}.get(family, (0.0,)) if forests[0][0] is not None else (0.0,)
    best: _Choice | None = None
    z_of_best = linear
    for shape, z in forests:
        for weight in weights:
            both = (1.0 - weight) * linear + weight * z
            own = own_probability(found, both)
            for m in PRIOR_OPENS:
                likelihood = log_likelihood(found, own, prior, m)[~first]
                if best is None or likelihood.sum() > best.likelihood.sum():
                    best, z_of_best = _Choice(likelihood, weight, shape, m, constants), both
    assert best is not None  # noqa: S101  there is a value of each
    ranks = [reciprocal_ranks(found, z_of_best, prior, m)[~first] for m in PRIOR_OPENS]
    highest = max(ranks, key=np.sum)
    return best._replace(prior_opens=next(m for m, each in zip(PRIOR_OPENS, ranks, strict=True) if not _better(highest, each)))


def own_probability(found: Moments, z: Float64) -> Float64:
    """P_u of the opened app of each target: softmax of z over its candidates; 0 where it is none of them."""
    out = np.zeros(len(found.event))
    chosen = np.flatnonzero(found.chosen != NONE)
    if not len(chosen):
        return out
    sizes = np.diff(found.first)
    filled = np.flatnonzero(sizes > 0)
    start = found.first[filled]
    top, total = np.zeros(len(sizes)), np.ones(len(sizes))
    top[filled] = np.maximum.reduceat(z, start)
    parts = np.exp(z - np.repeat(top, sizes))
    total[filled] = np.add.reduceat(parts, start)
    out[chosen] = parts[found.chosen[chosen]] / total[chosen]
    return out


def log_likelihood(found: Moments, own: Float64, prior: Float64, prior_opens: float) -> Float64:
    """The log of P of each target's opened app; 0 where nobody could tell it (neither a candidate nor in the prior), whatever is chosen."""
    weight = prior_opens / (prior_opens + found.opens)
    weight[np.diff(found.first) == 0] = 1.0
    on_screen = np.where(found.screen == NONE, 0.0, prior[found.screen])
    share = prior[found.opened] / np.maximum(1.0 - on_screen, np.finfo(float).tiny)
    p = (1.0 - weight) * own + weight * share
    out: Float64 = np.log(p, out=np.zeros(len(p)), where=p > 0)
    return out


def reciprocal_ranks(found: Moments, z: Float64, prior: Float64, prior_opens: float) -> Float64:
    """1 / rank of each target's opened app under P; 0 where nobody could tell it. Equal P count as behind it."""
    out = np.zeros(len(found.event))
    _ranks(found.first, found.app, found.opened, found.screen, found.opens, z, prior, prior_opens, np.zeros(len(prior)), out)
    return out


@njit
def _ranks(first: Any, app: Any, opened: Any, screen: Any, opens: Any, z: Any, prior: Any, m: float, p: Any, out: Any) -> None:
    for i in range(out.shape[0]):
        a, b = first[i], first[i + 1]
        weight = m / (m + opens[i]) if b > a else 1.0
        p[:] = weight * prior / (1.0 - (prior[screen[i]] if screen[i] >= 0 else 0.0) + 1e-300)
        if screen[i] >= 0:
            p[screen[i]] = 0.0
        if b > a:
            parts = np.exp(z[a:b] - z[a:b].max())
            total = parts.sum()
            for k in range(a, b):
                p[app[k]] += (1.0 - weight) * parts[k - a] / total
        own = p[opened[i]]
        if own > 0.0:
            out[i] = 1.0 / (1 + (p > own).sum())


def _better(one: Float64, other: Float64) -> bool:
    """Whether the first is better by more than a standard error of the mean difference."""
    change = one - other
    return len(change) > 1 and float(change.mean()) > float(change.std(ddof=1)) / np.sqrt(len(change))
