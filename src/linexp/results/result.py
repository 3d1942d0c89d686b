"""A layer explained in one way, with its scores: what commands write, judges score, tables compare and pages show."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from linexp._internal.checks import check_same_images
from linexp._internal.files import csv_text, replacing, write_atomically
from linexp._internal.version import __version__
from linexp.explanations import Explanations, simulate
from linexp.images import Images
from linexp.results.columns import Column, column_of
from linexp.results.folder import load_explanations, load_run, save_explanations, save_run, save_scores, slug
from linexp.results.looking import peek
from linexp.results.run import LABELS as LABELS
from linexp.results.run import Run
from linexp.results.score_files import read_columns
from linexp.score import CorrelationScorer, Origin, Scores, Simulability, check_unseen, count_seen, read_simulability


@dataclass(frozen=True, eq=False)
class Result(Run):
    """One layer explained in one way: what was recorded, the explanations, and what is known of how true they are.

    Parameters
    ----------
    activations, concepts, split
        The recorded layer, the concepts of the same images, and what each image is for.
    explanations
        Explanations of recorded neurons.
    image_names, settings, contents
        As in a result folder: what images are called, how it was made, and the SHA-256 of each picture's file.
    method
        What tables and pages call the way it was explained: "labels", "text".
    scores
        Scores of the explanations. Default: the correlation on the test images, predicted from the concepts that also
        explained, measured when it is first asked for.
    known
        Scores that were read from files, and whatever else is known of the neurons.
    simulability
        How well each judge knows the concepts.
    images
        The pictures behind the rows; ``None``: a page shows none of it.
    version
        The version of linexp that made it; "" if unknown.
    folder, source
        Where it lies, and the file its explanations are from if that is another; ``None``: it was made in Python.

    Raises
    ------
    ValueError
        An explained neuron was not recorded; the explanations were fitted or chosen on test images.
    DifferentImagesError
        Activations, concepts, split, names or ``images`` are not of the same images.

    Examples
    --------
    >>> import linexp as le
    >>> planted, split = le.make_planted(200), le.Split.random(200)
    >>> explanations = le.LinearExplainer().explain(planted.activations, planted.concepts, split)
    >>> result = le.Result(planted.activations, planted.concepts, split, explanations)
    >>> [column.title for column in result.columns]
    ['correlation']
    """

    explanations: Explanations
    method: str = field(default="ours", kw_only=True)
    scores: tuple[Scores, ...] = field(default=(), kw_only=True)
    known: tuple[Column, ...] = field(default=(), kw_only=True)
    simulability: tuple[Simulability, ...] = field(default=(), kw_only=True)
    images: Images | None = field(default=None, kw_only=True)
    version: str = field(default=__version__, kw_only=True)
    folder: Path | None = field(default=None, kw_only=True)
    source: Path | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        unknown = set(self.explanations.neurons).difference(self.activations.neurons)
        if unknown:
            raise ValueError(
                f"'{self.method}' explains neuron {min(unknown)}, which was not recorded. "
                "Explain neurons of the same layer."
            )
        if self.folder is None:  # else whoever opened it checks it, and may insist
            check_unseen(self.explanations, self.activations, self.split.test)
        if self.images is not None:
            fingerprint = self.images.fingerprint if self.pictures is not None else None
            check_same_images(fingerprint, self.pictures, len(self.images), self.n_pictures)

    @classmethod
    def of(cls, run: Run, explanations: Explanations, **more: Any) -> Result:
        """Return the result of explaining what was recorded; ``more`` are its other parameters."""
        recorded: dict[str, Any] = {item.name: getattr(run, item.name) for item in fields(Run)}
        return cls(**recorded, explanations=explanations, **more)

    @property
    def shown(self) -> str:
        """What messages call it: the path of the folder, or of the file the explanations are from."""
        return str(self.source or self.folder or self.method)

    @property
    def name(self) -> str:
        """What tells its files of scores from those of others in the folder; "" for the folder's own explanations."""
        if self.source is None:
            return ""
        # Files are often called alike, in folders that are not.
        return "-".join(part for part in (self.source.absolute().parent.name, self.source.stem) if part)

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """All that is known of the neurons, as tables and pages take it; the scores first."""
        scores = self.scores if self.scores or self.known else (own_score(self),)
        return (*(column_of(one, self._judge_of(one)) for one in scores), *self.known)

    @cached_property
    def dead(self) -> frozenset[int]:
        """The neurons whose activation is below 0.01 on all recorded images, not on those scored on alone."""
        recorded = self.activations
        return frozenset(n for n, dead in zip(recorded.neurons, recorded.is_dead.tolist(), strict=True) if dead)

    def rows(self, part: str) -> torch.Tensor:
        """Return the rows of a part of the split: images, or regions of images."""
        return {"test": self.split.test, "val": self.split.val, "train": self.split.train}[part]

    def n_seen(self, part: str) -> int | None:
        """Count the images of a part that the explanations were fitted or chosen on; ``None``: not known."""
        rows = self.rows(part)
        if self.explanations.fitted_on is None and self.source is None:  # a result's own keep to its split
            return 0 if part == "test" else len(rows)
        return count_seen(self.explanations, self.activations, rows)

    def only(self, neurons: Sequence[int]) -> Result:
        """Return what is known of some of the explained neurons, in the order asked for."""
        return replace(
            self,
            activations=self.activations.select(neurons),
            explanations=self.explanations.only(neurons),
            scores=tuple(one.only(neurons) for one in self.scores),
            known=tuple(column.only(neurons) for column in self.known),
        )

    def save(self, folder: Path | str) -> Path:
        """Write the folder that ``linexp explain`` and ``linexp score`` write, and return it; see ``read_result``.

        Raises
        ------
        OSError
            The folder cannot be written.
        """
        folder = Path(folder)
        scores = self.scores if self.scores or self.known else (own_score(self),)
        save_run(folder, self)
        save_explanations(folder, self.explanations)
        taken: list[str] = []
        for one in scores:
            taken.append(_free_slug(taken, *_parts("scores", "", self._judge_of(one), one.metric)))
            origin = one.origin or Origin(simulator=self.judge, images=self.activations.images or "", part="test")
            save_scores(folder, replace(one, origin=replace(origin, method=origin.method or folder.name)), taken[-1])
        for column in self.known:
            kind = "scores" if column.is_score else "impact"
            taken.append(_free_slug(taken, *_parts(kind, column.method, column.judge, column.metric)))
            write_atomically(folder / f"{taken[-1]}.csv", self._csv_of(column, folder).encode(errors="surrogateescape"))
        for one in self.simulability:
            with replacing(folder / f"{slug('simulability', 'by', one.simulator)}.csv") as draft:
                one.to_csv(draft, self.explanations)
        return folder

    def _judge_of(self, scores: Scores) -> str:
        """Say who judged, "" if it was what explained."""
        judge = "" if scores.origin is None else scores.origin.simulator
        return "" if judge == self.judge else judge

    def _csv_of(self, column: Column, folder: Path) -> str:
        origin = (column.method or folder.name, column.judge or self.judge, self.activations.images or "", "test")
        head = ("method", "simulator", "images", "part") if column.is_score else ()
        lines: list[tuple[str, ...]] = [("neuron", column.metric, f"{column.metric}_error", "silent", *head)]
        for n in self.explanations.neurons:
            numbers = (repr(side[n]) if n in side else "" for side in (column.values, column.errors))
            lines.append((str(n), *numbers, str(int(n in column.silent)), *origin[: len(head)]))
        return csv_text(lines)


def read_result(folder: Path | str) -> Result:
    """Read a result folder: what was recorded, the explanations, and every score on the test images that lies in it.

    If none of these is of the result's own explanations, their correlation is measured.

    Raises
    ------
    FileNotFoundError
        The folder holds no result, or no explanations.
    StoreMismatchError
        A file is damaged or of another result.
    ValueError
        The explanations were fitted or chosen on test images.
    """
    folder = Path(folder)
    run, explanations = load_run(folder), load_explanations(folder)
    known = read_columns(folder, run)
    judges = tuple(read_simulability(path) for path in sorted(folder.glob("simulability-by-*.csv")))
    names = {"method": folder.resolve().name, "version": str(peek(folder).get("linexp", "")), "folder": folder}
    result = Result.of(run, explanations, known=known, simulability=judges, **names)
    check_unseen(explanations, run.activations, run.split.test)
    has_own = any(column.is_score and not column.method for column in known)
    return result if has_own else replace(result, scores=(own_score(result),))


def own_score(result: Result) -> Scores:
    """Measure the correlation on the test images, predicted from the concepts that explained."""
    simulated = simulate(result.explanations, result.concepts)
    scores = CorrelationScorer().score(simulated, result.activations, result.split.test)
    return replace(scores, origin=Origin("", result.judge, result.activations.images or "", "test"))


def _parts(kind: str, method: str, judge: str, metric: str) -> tuple[str, ...]:
    """Say what tells a file of scores from others; what is usual is not said."""
    by = ("by", judge) if judge else ()
    return (kind, method, *by, "" if metric in ("correlation", kind) else metric)


def _free_slug(taken: Sequence[str], *parts: str) -> str:
    name = slug(*parts)
    return next(free for n in itertools.count(1) if (free := f"{name}-{n}" if n > 1 else name) not in taken)
