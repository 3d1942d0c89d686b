"""The explainers by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

from linexp._internal.checks import check_choice, closest, device_for_doubles
from linexp._internal.settings import read_settings, settings_of
from linexp.explainers.base import Explainer
from linexp.explainers.best import BestConceptExplainer
from linexp.explainers.clip_dissect import CLIPDissectExplainer
from linexp.explainers.clustered import ClusteredExplainer
from linexp.explainers.compositional import CompositionalExplainer
from linexp.explainers.dissection import DissectionExplainer
from linexp.explainers.falcon import FalconExplainer
from linexp.explainers.invert import InvertExplainer
from linexp.explainers.linear import LinearExplainer
from linexp.explainers.others import OthersExplainer
from linexp.explainers.random_concept import RandomConceptExplainer
from linexp.explainers.searches import SEARCHES
from linexp.explainers.splice import SpLiCEExplainer
from linexp.explainers.www import WWWExplainer

EXPLAINERS: Mapping[str, Callable[..., Explainer]] = {
    "linear": LinearExplainer,
    "clip-dissect": CLIPDissectExplainer,
    "www": WWWExplainer,
    "splice": SpLiCEExplainer,
    "falcon": FalconExplainer,
    "best": BestConceptExplainer,
    "random": RandomConceptExplainer,
    "others": OthersExplainer,
    "invert": InvertExplainer,
    "dissection": DissectionExplainer,
    "compositional": CompositionalExplainer,
    "clustered": ClusteredExplainer,
}
"""Name → class of settings; whatever is here can be named on the command line."""


def explainer_of(method: str, pairs: Sequence[str] = (), **given: Any) -> Explainer:
    """Return a method of ``EXPLAINERS`` with settings as ``name=value`` pairs, and as values.

    The device is not among the pairs: it is that of the network.

    Raises
    ------
    ValueError
        There is no such method, or a pair is no setting of it.
    """
    check_choice("method", method, tuple(EXPLAINERS))
    kind: Any = EXPLAINERS[method]
    return kind(**{**given, **read_settings(kind, pairs, f"The method '{method}'", besides=("device",))})


def explainers_of(methods: Sequence[str], pairs: Sequence[str] = ()) -> dict[str, Explainer]:
    """Return several methods by name, with settings as ``method.name=value`` pairs.

    A name is one of ``EXPLAINERS``, or one of a search, which is the linear method with that search.

    Raises
    ------
    ValueError
        A name is unknown or comes twice, none is given, or a pair is no setting of one of them.
    """
    known = (*EXPLAINERS, *SEARCHES)
    for method in methods:
        check_choice("method", method, known)
        if methods.count(method) > 1:
            raise ValueError(f"The method '{method}' is named twice. Leave one out.")
    if not methods:
        raise ValueError(f"There is no method to explain by. Choose some of: {', '.join(known)}.")
    given: dict[str, list[str]] = {method: [] for method in methods}
    for pair in pairs:
        method, dot, setting = pair.partition(".")
        if not dot or "=" in method:
            raise ValueError(f"'{pair}' does not say which method it sets. Write method.name=value.")
        if method not in given:
            raise ValueError(
                f"'{pair}' sets a method that is not named.{closest(method, given)} Methods: {', '.join(given)}."
            )
        given[method].append(setting)
    return {
        method: explainer_of("linear", [f"search={method}", *own]) if method in SEARCHES else explainer_of(method, own)
        for method, own in given.items()
    }


def tell_method(method: str) -> str:
    """Return a method's settings with their defaults and what they mean, a paragraph each."""
    check_choice("method", method, tuple(EXPLAINERS))
    kind: Any = EXPLAINERS[method]
    told = [f"{one.name} (default: {one.default})\n    {one.text}" for one in settings_of(kind, ("device",)).values()]
    return "\n".join(told) or f"The method '{method}' has no settings."


def on_device(explainer: Explainer, device: str) -> Explainer:
    """Return the explainer as one that computes there, if it can be told where to."""
    if "device" not in {field.name for field in fields(explainer)}:
        return explainer
    changes: dict[str, Any] = {"device": str(device_for_doubles(device))}
    return replace(explainer, **changes)


def describe_explainer(explainer: Explainer) -> dict[str, Any]:
    """Return name and settings as JSON can hold them; settings that are objects as they are written in Python."""
    names = [name for name, kind in EXPLAINERS.items() if kind is type(explainer)]
    values = {field.name: getattr(explainer, field.name) for field in fields(explainer)}
    told = {name: repr(value) if is_dataclass(value) else value for name, value in values.items()}
    return {**({"method": names[0]} if names and names[0] != "linear" else {}), **told}
