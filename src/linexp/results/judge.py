"""Who judges explanations, and how much of their concepts that judge finds in the images."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias, TypeVar

import torch

from linexp._internal.checks import closest
from linexp.concepts import TextConcepts
from linexp.concepts.encoders import same_model
from linexp.explanations import first_unknown
from linexp.images import Images, ImageSubset
from linexp.matrix import ConceptMatrix, EmbeddedConceptMatrix, Split
from linexp.results.folder import slug
from linexp.results.judges import suggest_judge
from linexp.results.result import Result
from linexp.store import Store, with_store

T = TypeVar("T")
Describe: TypeAlias = Callable[[Images], ConceptMatrix]


@dataclass(frozen=True, eq=False)
class Judge:
    """A model that says which concepts are in the images of some cases.

    Parameters
    ----------
    name
        What it was called.
    source
        It finds every concept that occurs in any explanation; see ``said_in``.
    pictures
        The pictures behind each recorded matrix, by the ``id`` of that.
    templates
        What it is told for a concept, where that was asked for.
    store
        Where its embeddings are kept.
    """

    name: str
    source: TextConcepts
    pictures: Mapping[int, Images]
    templates: tuple[str, ...] = ()
    store: Store | None = None

    def ask(
        self, cases: Sequence[Result], look: Callable[[Result, Images, Callable[[Images], ConceptMatrix]], T]
    ) -> list[T]:
        """Look at the pictures of each case; every collection is described once.

        A case gets presences of the sharpness that its explanations were fitted on.
        """
        described: dict[str, ConceptMatrix] = {}

        def describe(images: Images) -> ConceptMatrix:
            if images.fingerprint not in described:
                described[images.fingerprint] = with_store(
                    self.store, lambda store: self.source.describe(images, store=store)
                )
            return described[images.fingerprint]

        def describe_for(case: Result) -> Callable[[Images], ConceptMatrix]:
            return lambda images: describe(images).with_sharpness(case.sharpness)

        try:
            return [look(case, self.pictures[id(case.activations)], describe_for(case)) for case in cases]
        except ValueError as error:
            raise ValueError(f"{error}{_who_says(cases, str(error))}") from error


def said_in(cases: Sequence[Result]) -> tuple[str, ...]:
    """Return every concept of any explanation, once."""
    names = dict.fromkeys(name for case in cases for name in case.explanations.names)
    if not names:
        raise ValueError("No explanation names a concept, so there is nothing to simulate. Explain anew.")
    return tuple(names)


def shared_pictures(cases: Sequence[Result], pictures: Mapping[int, Images]) -> tuple[Images, Split]:
    """Return the pictures of all cases and their split, for a judge that is fitted on their training images.

    Raises ``ValueError`` if the cases are not all of the same pictures with the same training images.
    """
    first = cases[0]
    images, split = pictures[id(first.activations)], first.split
    for case in cases[1:]:
        own = pictures[id(case.activations)]
        if own.fingerprint != images.fingerprint or not torch.equal(case.split.train, split.train):
            raise ValueError(
                f"'{first.shown}' and '{case.shown}' have different pictures or training images, so one judge "
                "cannot be fitted on both. Score them one by one, or fit one with linexp encoder fit."
            )
    return images, split


def file_name(kind: str, case: Result, judge: Judge | None, part: str = "test", metric: str = "correlation") -> str:
    """Tell the files of different scores apart, so that none takes the place of another.

    What is usual is not said: the result's own explanations and concepts, the test images, correlation.
    """
    by = () if judge is None else ("by", judge.name, *judge.templates)
    on = () if part == "test" else ("on", part)
    return slug(kind, case.name, *by, *on, "" if metric == "correlation" else metric)


def judge_cases(cases: Sequence[Result], judge: Judge | None) -> list[ConceptMatrix]:
    """Return, for each case, how much of the concepts is in all of its images; ``None``: what explained judges."""
    return _own_judges(cases) if judge is None else judge.ask(cases, lambda _, images, describe: describe(images))


class Judgement(NamedTuple):
    """How much of the concepts is in some images, and which of its rows are the images scored on, and of validation.

    ``images`` are all of the result and ``seen`` those that were looked at; ``None`` where only matrices were opened.
    """

    concepts: ConceptMatrix
    scored: torch.Tensor
    val: torch.Tensor | None
    images: Images | None = None
    seen: Images | None = None


def judge_parts(cases: Sequence[Result], judge: Judge | None, part: str = "test") -> list[Judgement]:
    """Return, for each case, how much of the concepts is in the images that scoring needs.

    Without a judge what explained also judges: on all images, and there is nobody to measure. With one, the images
    scored on and the validation images, by which the judge is measured, are looked at, and no others.
    """
    if judge is None:
        own = zip(cases, _own_judges(cases), strict=True)
        return [Judgement(concepts, case.rows(part), None) for case, concepts in own]

    def look(case: Result, images: Images, describe: Describe) -> Judgement:
        parts = [case.rows(part), *([] if part == "val" else [case.rows("val")])]
        places = torch.arange(sum(map(len, parts))).split([len(part) for part in parts])
        seen = ImageSubset(images, torch.cat(parts).tolist())
        return Judgement(describe(seen), places[0], places[-1], images, seen)

    return judge.ask(cases, look)


def _own_judges(cases: Sequence[Result]) -> list[ConceptMatrix]:
    first: dict[int, Result] = {}
    for case in cases:
        first.setdefault(id(case.activations), case)
    for case in first.values():  # once for each recorded layer
        _warn_of_own_judge(case)
    for case in cases:
        _check_known(case)
    return [case.concepts for case in cases]


def _check_known(case: Result) -> None:
    for item in case.explanations:
        unknown = first_unknown(case.concepts, item.concepts)
        if unknown is not None:
            names = case.concepts.names
            raise ValueError(
                f"The concept '{unknown}' is not among the {len(names)} of the result in '{case.folder}', but "
                f"'{case.shown}' says it of neuron {item.neuron}.{closest(unknown, names)} Name a model that judges "
                "any text, with --simulator."
            )


def _who_says(cases: Sequence[Result], complaint: str) -> str:
    """Name the first explanation with a text that a complaint quotes."""
    for case in cases:
        for item in case.explanations:
            if any(f"'{name}'" in complaint for name in item.names):
                return f" It is said of neuron {item.neuron} in '{case.shown}'."
    return ""


def _warn_of_own_judge(run: Result) -> None:
    judged, remedy = f"'{run.folder}' is judged by", ""
    if run.settings.get("concepts") == "labels":
        judge, _ = suggest_judge(str(run.settings.get("model") or ""), None)
        remedy = (
            "the labels that also explained it, so the scores are higher than by a model that only sees the pictures. "
            f"Name one with --simulator, such as {judge}."
        )
    elif isinstance(run.concepts, EmbeddedConceptMatrix):
        encoder = run.settings.get("encoder")
        remedy = f"'{encoder}', which also explained, so the scores are too high. Name another model with --simulator."
    if remedy:
        warnings.warn(f"{judged} {remedy}", UserWarning, stacklevel=2)


def warn_of_same_model(cases: Sequence[Result], simulator: str) -> None:
    """Warn where the judge is the model that explained, or that is explained; once for each recorded layer."""
    for case in {id(case.activations): case for case in cases}.values():
        explainer, explained = str(case.settings.get("encoder") or ""), case.settings.get("model")
        if explainer and same_model(explainer, simulator):
            who = "explained"
        elif same_model(f"conse:{explained}", simulator):
            who = "is explained"
        else:
            continue
        warnings.warn(
            f"The simulator '{simulator}' is the model that {who}, so the scores are too high. Choose another.",
            UserWarning,
            stacklevel=2,
        )
