"""What commands that explain do before they explain: open everything, say what is wrong, and record."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from linexp.cli.concepts import Concepts
    from linexp.cli.groups import Keeping, Labelled, Network, Running, Units
    from linexp.concepts import ConceptSource
    from linexp.explainers import Explainer, Given, Usable
    from linexp.forward.units import Unit
    from linexp.images import ImageFolder, Images
    from linexp.matrix import Split
    from linexp.models import VisionModel
    from linexp.results import Prepared, Run
    from linexp.store import Store


def check_one_split(split: Path | None, seed: int) -> None:
    """Raise ``ValueError`` if a split is both read and drawn."""
    if split is not None and seed:
        raise ValueError(f"--seed {seed} and --split '{split}' contradict each other. Leave one out.")


@dataclass(frozen=True, kw_only=True)
class Recording:
    """What was asked for, as options say it."""

    network: Network
    layers: list[str]
    labelled: Labelled
    concepts: Concepts
    units: Units
    seed: int
    split: Path | None
    workers: int | None
    skip_broken: bool
    running: Running
    keeping: Keeping

    def open(self, explainers: Sequence[Explainer], out: Path) -> Opened:
        """Open pictures and concepts, and check what needs no network; ``explainers`` are put on the device."""
        from linexp._internal.checks import check_at_least, choose_device
        from linexp._internal.files import check_writable_folder
        from linexp.concepts import LabelConcepts
        from linexp.explainers import on_device
        from linexp.matrix import Split
        from linexp.results import prepare_unread
        from linexp.store import open_store

        kept = self.keeping.folder()
        self.concepts.check()
        units = self.concepts.units_of(self.units)
        opened = units.open()
        self.concepts.check_place(opened, self.concepts.concepts)
        check_at_least("seed", self.seed, 0)
        self.running.check()
        check_at_least("workers", self.workers or 0, 0)
        running = dataclasses.replace(self.running, device=str(choose_device(self.running.device)))
        placed = tuple(on_device(explainer, running.device) for explainer in explainers)
        folder, store = self.labelled.open(), open_store(kept)
        parts = None if self.split is None else Split.from_file(self.split, folder)
        source = None if self.concepts.fits else self.concepts.open(self.labelled, folder, running)
        prepared = None
        if source is None:
            LabelConcepts().describe(folder)  # says what is wrong with the labels it will be fitted on
        elif self.concepts.concepts == "labels":  # it takes no time, and says what is wrong with labels and groups
            prepared = prepare_unread(folder, source, placed[0], parts, self.seed)
        check_writable_folder(out)
        asked = dataclasses.replace(self, running=running, units=units)
        return Opened(asked, opened, placed, out, folder, source, prepared, parts, kept, store)


@dataclass(frozen=True, eq=False)
class Opened:
    """Pictures and concepts that are open; of labels also what they say."""

    asked: Recording
    units: Unit
    explainers: tuple[Explainer, ...]
    out: Path
    folder: ImageFolder
    source: ConceptSource | None
    prepared: Prepared | None
    parts: Split | None
    kept: Path | None
    store: Store | None

    @property
    def given(self) -> Given:
        """What methods will get, as far as it is known."""
        from linexp.concepts import TextConcepts
        from linexp.explainers import Given
        from linexp.matrix import Split

        if self.prepared is not None:
            return Given.of(self.prepared.concepts, self.prepared.split)
        split = Split.random(len(self.folder), self.asked.seed) if self.parts is None else self.parts
        names = tuple(self.source.texts) if isinstance(self.source, TextConcepts) else None
        return Given(len(split.train), True, names)

    def record(self) -> Recorded:
        """Open the network and record its layers, all in one pass."""
        from linexp.forward import find_layers, find_regions, look_at_layers, reuse_large_buffers
        from linexp.matrix import Split
        from linexp.models import tell_device, tell_model
        from linexp.results import choose_folders, leave_out, only_readable, prepare, prepare_regions, record_runs

        asked, running, prepared, parts = self.asked, self.asked.running, self.prepared, self.parts
        model = asked.network.open(running)
        find_layers(model.module, asked.layers)
        outs = choose_folders(self.out, asked.layers)
        images = only_readable(self.folder, workers=asked.workers, leave_out=asked.skip_broken, store=self.kept)
        taken = look_at_layers(model, asked.layers, images, self.units)
        reuse_large_buffers()
        tell_model(model, asked.network.model)
        tell_device(running.device)
        if prepared is None or images is not self.folder:
            parts = None if parts is None else leave_out(parts, self.folder, images)
        source = self.source
        if source is None:
            drawn = Split.random(len(images), asked.seed) if parts is None else parts
            source = asked.concepts.open(
                asked.labelled, self.folder, running, lambda name: running.fit(name, images, drawn, self.store)
            )
        how = images, source, self.explainers[0], parts, asked.seed
        if self.units.is_regional:
            of = prepare_regions(*how, find_regions(model, asked.layers, images, self.units))
        else:
            if prepared is None or images is not self.folder:
                prepared = prepare(*how, self.store)
            of = dict.fromkeys(asked.layers, prepared)
        settings = self._settings(source, len(images))
        runs = record_runs(model, taken, images, self.units, of, settings, self.explainers[0], self.store)
        return Recorded(self.explainers, runs, outs, {name: one.usable for name, one in of.items()}, images, model)

    def _settings(self, source: ConceptSource, n_images: int) -> dict[str, Any]:
        """Return what a result says of how it was made."""
        asked = self.asked
        # else nothing was drawn
        drawn = {
            "layers": tuple(asked.layers),
            "split": asked.split,
            "seed": asked.seed if asked.split is None else None,
        }
        settings = {**drawn, "workers": asked.workers, "skip_broken": asked.skip_broken}
        settings |= {**vars(asked.labelled), **vars(asked.units), **vars(asked.network)}
        settings |= asked.running.settings(n_images)
        return settings | asked.concepts.settings(source)


@dataclass(frozen=True, eq=False)
class Recorded:
    """Recorded layers, and what explaining them needs.

    Parameters
    ----------
    explainers
        Methods, where they compute.
    runs
        What was recorded, by layer.
    outs
        The folder of each layer.
    usable
        Concepts that the first method can use, by layer.
    images
        The pictures that could be read.
    model
        The network.
    """

    explainers: tuple[Explainer, ...]
    runs: dict[str, Run]
    outs: dict[str, Path]
    usable: dict[str, Usable]
    images: Images
    model: VisionModel
