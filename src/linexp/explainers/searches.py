"""The searches of ``LinearExplainer`` as objects, each with the settings that it has, and no others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any, ClassVar, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from linexp._internal.checks import check_at_least, check_choice, check_whole, check_within
from linexp.explainers.fit import Method
from linexp.solve import (
    Moments,
    Sign,
    Solution,
    search_greedy,
    search_greedy_nonzero,
    search_stepwise,
    search_swaps,
    search_top,
    solve_elastic_net,
    solve_elastic_net_batched,
)


@dataclass(frozen=True, repr=False)
class Search:
    """Settings of one search, named as those of ``LinearExplainer``."""

    find: ClassVar[Callable[..., Solution]]

    max_terms: int = 10
    sign: Sign = field(default="any", kw_only=True)

    def __post_init__(self) -> None:
        check_search(self)

    def __repr__(self) -> str:
        """Return what makes it in Python; without the sign where that is any, as in older results."""
        names = [one.name for one in fields(self) if one.name != "sign" or self.sign != "any"]
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"

    def method(self, device: torch.device) -> Method:
        """Return how terms are found, with the elastic net's ranking where the search needs one."""
        own = {field.name: getattr(self, field.name) for field in fields(self)}
        net = {name: own.pop(name) for name in _NET if name in own}
        return Method(partial(_rank, device=device, **net) if net else None, partial(self.find, **own))


@dataclass(frozen=True, repr=False)
class Greedy(Search):
    """The paper's Algorithm 1 to the letter: the settings are those of ``LinearExplainer``."""

    find = staticmethod(search_greedy)

    n_candidates: int = 10
    min_gain: float = 0.02
    strength: float = 0.05
    l1_ratio: float = 0.99
    tolerance: float = 1e-6


@dataclass(frozen=True, repr=False)
class GreedyNonzero(Greedy):
    """The paper's Algorithm 1, concepts of weight zero being no candidates."""

    find = staticmethod(search_greedy_nonzero)


@dataclass(frozen=True, repr=False)
class Stepwise(Search):
    """Each term by training fit over all concepts; ``min_gain``: correlation it shall add on other images."""

    find = staticmethod(search_stepwise)

    min_gain: float = 0.02


@dataclass(frozen=True, repr=False)
class Swaps(Search):
    """The best subset, found by swapping terms; ``min_gain``: correlation each shall add on other images."""

    find = staticmethod(search_swaps)

    min_gain: float = 0.02


@dataclass(frozen=True, repr=False)
class Top(Search):
    """The ``max_terms`` largest elastic-net weights (Appendix B.4)."""

    find = staticmethod(search_top)

    strength: float = 0.05
    l1_ratio: float = 0.99
    tolerance: float = 1e-6


SearchName = Literal["greedy", "greedy-nonzero", "stepwise", "swaps", "top"]
SEARCHES: dict[str, type[Search]] = {
    "greedy": Greedy,
    "greedy-nonzero": GreedyNonzero,
    "stepwise": Stepwise,
    "swaps": Swaps,
    "top": Top,
}
_CHECKS: dict[str, Callable[[str, Any], None]] = {
    "strength": partial(check_at_least, least=0),
    "l1_ratio": partial(check_within, least=1e-12, most=1),
    "max_terms": partial(check_whole, least=1),
    "n_candidates": partial(check_whole, least=1),
    "min_gain": partial(check_at_least, least=0),
    "tolerance": partial(check_at_least, least=1e-15),
    "sign": partial(check_choice, choices=get_args(Sign)),
}
SEARCH_SETTINGS = tuple(_CHECKS)
_NET = ("strength", "l1_ratio", "tolerance")


def check_search(settings: object) -> None:
    """Raise ``ValueError`` if a setting of a search, or of an explainer that has them all, is outside its range."""
    for name, check in _CHECKS.items():
        if hasattr(settings, name):
            check(name, getattr(settings, name))


def _rank(train: Moments, *, device: torch.device, **settings: float) -> NDArray[np.float64]:
    """Return the weights of the elastic net."""
    moments = (train.gram, train.cross, train.neuron_variance)
    if _has_compiled(device):
        return solve_elastic_net(*(part.numpy() for part in moments), **settings).weights
    return solve_elastic_net_batched(*(part.to(device) for part in moments), **settings).weights


def _has_compiled(device: torch.device) -> bool:
    """Tell whether compiled loops run on the device."""
    return device.type == "cpu"
