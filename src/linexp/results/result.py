"""What a report is made from: layers, each explained in one way, with their scores."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from linexp._internal.checks import DifferentImagesError, check_same_images
from linexp._internal.version import __version__
from linexp.explanations import Explanations, simulate
from linexp.images import Images, as_images
from linexp.results.columns import Column, column_of
from linexp.results.folder import Run, load_explanations, load_run
from linexp.results.score_files import free_name, read_columns
from linexp.score import CorrelationScorer, Simulability, check_unseen, read_simulability


@dataclass(frozen=True, eq=False)
class Finding:
    """One layer explained in one way.

    Parameters
    ----------
    method
        What a report calls the way: "labels", "text".
    run
        Activations, concepts and split.
    explanations
        Explanations of neurons of the run.
    columns
        Scores and whatever else is known of the neurons. Default: the correlation on the test images, predicted from
        the run's own concepts.
    images
        The pictures behind the rows of the run; ``None``: a report shows none of it.
    version
        The version of linexp that made it; "" if unknown.
    simulability
        How well each judge knows the concepts.

    Raises
    ------
    ValueError
        An explained neuron was not recorded; the explanations were fitted or chosen on test images of the run.
    DifferentImagesError
        ``images`` are not those of the run.
    """

    method: str
    run: Run
    explanations: Explanations
    columns: tuple[Column, ...] = ()
    images: Images | None = None
    version: str = __version__
    simulability: tuple[Simulability, ...] = ()

    def __post_init__(self) -> None:
        unknown = set(self.explanations.neurons).difference(self.run.activations.neurons)
        if unknown:
            raise ValueError(
                f"'{self.method}' explains neuron {min(unknown)}, which was not recorded. "
                "Explain neurons of the same layer."
            )
        check_unseen(self.explanations, self.run.activations, self.run.split.test)
        if self.images is not None:
            recorded = self.run.activations
            fingerprint = self.images.fingerprint if recorded.images is not None else None
            check_same_images(fingerprint, recorded.images, len(self.images), recorded.n_images)
        if not self.columns:
            object.__setattr__(self, "columns", (_own_score(self.run, self.explanations),))

    def with_images(self, images: Any) -> Finding:
        """Return the same with pictures."""
        return replace(self, images=as_images(images))


def read_finding(folder: Path | str) -> Finding:
    """Read a result folder: its run, its explanations, and every score on its test images that lies in it.

    If none of these is of the result's own explanations, their correlation is measured.

    Raises
    ------
    FileNotFoundError
        The folder holds no result, or no explanations.
    StoreMismatchError
        A file is damaged or of another result.
    """
    folder = Path(folder)
    run, explanations = load_run(folder), load_explanations(folder)
    columns = read_columns(folder, run)
    if not any(column.is_score and not column.method for column in columns):
        columns = (_own_score(run, explanations), *columns)
    known = tuple(read_simulability(path) for path in sorted(folder.glob("simulability-by-*.csv")))
    return Finding(folder.resolve().name, run, explanations, columns, None, _version(folder), known)


def same_layer(first: Finding, second: Finding) -> bool:
    """Say whether two findings are about the same neurons on the same images, split alike."""
    one, other = first.run, second.run
    return (
        _identity(first) == _identity(second)
        and one.activations.n_images == other.activations.n_images
        and one.activations.images == other.activations.images
        and torch.equal(one.split.test.sort().values, other.split.test.sort().values)
    )


def by_layer(findings: Sequence[Finding]) -> list[list[Finding]]:
    """Gather the findings about one layer, methods with names of their own, layers in the order first met."""
    layers: list[list[Finding]] = []
    for finding in findings:
        home = next((layer for layer in layers if same_layer(layer[0], finding)), None)
        if home is None:
            layers.append([finding])
        else:
            home.append(replace(finding, method=free_name(finding.method, [other.method for other in home])))
    return layers


def give_images(findings: Sequence[Finding], images: Any) -> list[Finding]:
    """Give pictures to the findings that have none and are about them.

    Raises
    ------
    DifferentImagesError
        No finding is about these pictures.
    """
    collection = as_images(images)
    given: list[Finding] = []
    complaint: DifferentImagesError | None = None
    for finding in findings:
        try:
            given.append(finding if finding.images is not None else finding.with_images(collection))
        except DifferentImagesError as error:
            complaint = error
            given.append(finding)
    if complaint is not None and all(finding.images is None for finding in given):
        raise complaint
    return given


def _version(folder: Path) -> str:
    try:
        return str(json.loads((folder / "run.json").read_text(encoding="utf-8", errors="surrogateescape"))["linexp"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _own_score(run: Run, explanations: Explanations) -> Column:
    return column_of(CorrelationScorer().score(simulate(explanations, run.concepts), run.activations, run.split.test))


def _identity(finding: Finding) -> tuple[Any, ...]:
    settings = finding.run.settings
    return finding.run.activations.layer, settings.get("model"), settings.get("pool"), settings.get("token")
