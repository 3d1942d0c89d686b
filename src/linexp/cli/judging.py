"""Options that say which explanations are judged, and by whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from linexp.cli.groups import CalibrationName, Running, Template
from linexp.cli.options import ENCODERS, flag, option

if TYPE_CHECKING:
    from linexp.concepts.encoders import Encoder
    from linexp.images import Images
    from linexp.results import Judge, Result
    from linexp.score import Scorer
    from linexp.store import Store


_WHOLE = "--simulator looks at whole ones. Leave it out: what explained judges them"


@dataclass(frozen=True, kw_only=True)
class Judging:
    """Which explanations are judged, and by whom."""

    explanations: Path | None = option(
        None, "FILE", "Other explanations, CSV or JSON: ours, the paper's, neuron and text.", "those in DIR"
    )
    simulator: str | None = option(
        None, "NAME", f"What judges which concepts are in an image: {ENCODERS}.", "what explained"
    )
    calibration: CalibrationName = None
    template: Template = None
    images: Path | None = option(None, "DIR", "Where the pictures of the result are now.", "where they were")

    def open(self, cases: Sequence[Result], running: Running, kept: Path | None) -> Judge | None:
        """Open the pictures and the model that judges them; ``None``: what explained judges, too."""
        if self.simulator is None:
            return None
        from linexp.results import check_whole_images, reopen_pictures
        from linexp.store import open_store

        check_whole_images(cases, _WHOLE)
        pictures = {id(case.activations): reopen_pictures(case, self.images, kept) for case in cases}
        return self.judge(cases, pictures, running, open_store(kept))

    def judge(
        self,
        cases: Sequence[Result],
        pictures: Mapping[int, Images],
        running: Running,
        store: Store | None,
        encoder: Encoder | None = None,
    ) -> Judge | None:
        """Return the model that judges pictures that are open; ``encoder`` is that model, where it is open, too."""
        if self.simulator is None:
            return None
        from linexp.concepts import TextConcepts, find_calibration
        from linexp.models import tell_device
        from linexp.results import Judge, said_in, shared_pictures, warn_of_same_model

        texts = said_in(cases)
        if encoder is None and self.simulator.startswith("fit:"):
            images, split = shared_pictures(cases, pictures)
            encoder = running.fit(self.simulator, images, split, store, "second")
        elif encoder is None:
            encoder = running.encoder(self.simulator)
        calibration, templates = find_calibration(self.calibration, encoder), tuple(self.template or ())
        source = TextConcepts(texts, encoder, calibration, templates or ("{}",))
        tell_device(running.device)
        warn_of_same_model(cases, encoder.name)
        return Judge(self.simulator, source, pictures, templates, store)


@dataclass(frozen=True, kw_only=True)
class Comparing:
    """By whom and by what methods are compared; the encoder that explains has the plain names of options."""

    simulator: str | None = option(
        None, "NAME", f"What judges which concepts are in an image: {ENCODERS}.", "what explained"
    )
    simulator_calibration: str | None = option(
        None, "FILE", "Calibration of the simulator, as --calibration is of the encoder.", "comes with linexp"
    )
    simulator_template: list[str] | None = option(
        None, "TEXT", "What the simulator is told for a concept; repeated: averaged.", "{}"
    )
    metrics: str = option(
        "correlation", "LIST", "Which scores, with commas: correlation, cosine, auprc, f1, iou, spearman, auroc."
    )
    top_share: float = option(
        0.05, "X", "On this share of the images a neuron is called active (auprc, f1, iou, auroc)."
    )
    ablate: bool = flag(
        "--ablate", "Also put the simulations, scaled by least squares, into the network and compare its loss."
    )
    outputs: str | None = option(
        None, "FILE", "With --ablate: which output of the model a class is, as in linexp ablate.", "as there"
    )

    def check(self) -> tuple[Scorer, ...]:
        """Return the scorers, and check what needs no model."""
        from linexp.score import scorers_of

        for name, value in (("calibration", self.simulator_calibration), ("template", self.simulator_template)):
            if value and self.simulator is None:
                raise ValueError(f"--simulator-{name} is of no use without --simulator. Name one, or leave it out.")
        if self.outputs is not None and not self.ablate:
            raise ValueError("--outputs is of no use without --ablate. Add it, or leave it out.")
        return scorers_of(tuple(metric.strip() for metric in self.metrics.split(",")), self.top_share)

    def check_rows(self, *, regional: bool) -> None:
        """Refuse what is of whole images where the rows are regions."""
        if regional and (self.simulator is not None or self.ablate):
            flag = "--ablate" if self.simulator is None else "--simulator"
            raise ValueError(f"{flag} is of whole images, and there are regions of them. Leave it out.")

    def load(self, running: Running) -> Encoder | None:
        """Load the simulator; ``None`` if there is none, or one that is fitted on the pictures."""
        if self.simulator is None or self.simulator.startswith("fit:"):
            return None
        from linexp.concepts import find_calibration

        encoder = running.encoder(self.simulator)
        find_calibration(self.simulator_calibration, encoder)  # is known
        return encoder

    @property
    def judging(self) -> Judging:
        """What it comes to for explanations that are there."""
        return Judging(
            simulator=self.simulator, calibration=self.simulator_calibration, template=self.simulator_template
        )
