"""What methods need beside two matrices: said of all of them at once, before anything long begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from linexp._internal.checks import closest
from linexp.matrix import ConceptMatrix, EmbeddedConceptMatrix, Split


@dataclass(frozen=True)
class Given:
    """What methods will get, as far as it is known before the images are looked at.

    Parameters
    ----------
    n_train
        Number of training images.
    embedded
        Whether the concepts have embeddings, as texts have; otherwise they are columns, as labels are.
    names
        The concepts; ``None``: not known yet.
    """

    n_train: int
    embedded: bool
    names: tuple[str, ...] | None = None

    @staticmethod
    def of(concepts: ConceptMatrix, split: Split) -> Given:
        """Return what is known of matrices that are there."""
        return Given(len(split.train), isinstance(concepts, EmbeddedConceptMatrix), concepts.names)

    def check_enough(self, name: str, n_top: int) -> None:
        """Raise ``ValueError`` if there are fewer training images than a method looks at for each neuron."""
        if n_top > self.n_train:
            raise ValueError(
                f"{name} is {n_top}, and there are {self.n_train} training images. Set {name} to fewer, best to a "
                "small share of these, or use more images."
            )

    @property
    def concepts(self) -> str:
        """What messages call the concepts."""
        return "the concepts" if self.names is None else f"these {len(self.names)} concepts"

    def check_named(self, name: str, concept: str) -> None:
        """Raise ``ValueError`` if a setting names a concept that there is not."""
        if self.names is not None and concept not in self.names:
            raise ValueError(
                f"The concept '{concept}' is not among the {len(self.names)} of this matrix."
                f"{closest(concept, self.names)} Give one of them as {name}."
            )


@runtime_checkable
class Needs(Protocol):
    """An explainer that does not take whatever there is."""

    def check(self, given: Given) -> None:
        """Raise ``ValueError`` if something is lacking."""
        ...


def check_needs(explainers: Mapping[str, Any], given: Given) -> None:
    """Raise ``ValueError`` if methods lack what they need; one message says it of all of them."""
    lacking: dict[str, str] = {}
    for name, explainer in explainers.items():
        try:
            if isinstance(explainer, Needs):
                explainer.check(given)
        except ValueError as error:
            lacking[name] = str(error)
    if lacking:
        told = " ".join(f"{name}: {text}" for name, text in lacking.items())
        raise ValueError(f"{len(lacking)} of {len(explainers)} methods cannot explain by what there is. {told}")


def tell_stand_ins(explainers: Mapping[str, Any], given: Given) -> list[str]:
    """Return a line about methods that take something else than what they were made for."""
    if given.embedded:
        cuts = {name: getattr(one, "present_from", None) for name, one in explainers.items()}
        told = ", ".join(f"{name} from {cut:g} on (present_from)" for name, cut in cuts.items() if cut is not None)
        return [f"probabilities become present and absent: {told}"] if told else []
    cosines = [name for name, one in explainers.items() if getattr(one, "compares_embeddings", False)]
    return [f"concepts without embeddings, whose presences are taken for cosines: {', '.join(cosines)}"] * bool(cosines)
