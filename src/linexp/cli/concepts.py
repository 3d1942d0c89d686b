"""Where concepts come from: the options of ``linexp explain`` for labels and for words."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from linexp.cli.groups import CalibrationName, Labelled, Running, Template
from linexp.cli.masks import Placed
from linexp.cli.options import ENCODERS, option

if TYPE_CHECKING:
    from collections.abc import Callable

    from linexp.concepts import ConceptSource
    from linexp.concepts.encoders import Encoder
    from linexp.images import ImageFolder

_VOCABULARY = "imagenet+nouns"
_OF_TEXT = ("vocabulary", "encoder", "calibration", "template", "sharpness")


@dataclass(frozen=True, kw_only=True)
class Concepts(Placed):
    """Where concepts come from."""

    concepts: str = option(
        "labels",
        "SOURCE",
        "labels: the classes and their groups. text: words, which an encoder finds. pixels: what --masks say. colours: "
        "the eleven basic colour terms. segmenter:NAME: what a segmentation model says, hf:NAME or "
        "package.module:function.",
    )
    vocabulary: str | None = option(
        None,
        "WORDS",
        "Words for --concepts text: files of one word a line, labels, superclasses, imagenet, nouns, nouns:2000, "
        "wordnet:animal, broden:label.csv, or several joined by +.",
        _VOCABULARY,
    )
    encoder: str | None = option(
        None, "NAME", f"What finds the words: {ENCODERS}.", "hf:google/siglip-large-patch16-384"
    )
    calibration: CalibrationName = None
    template: Template = None
    sharpness: str | None = option(
        None,
        "X|auto",
        "Presence is σ(X·a·(cos + b)): 1: the calibrated probability, the paper's. Less: flatter, as activations are. "
        "auto: for each layer what explains its validation images best.",
        "1",
    )

    def check(self) -> None:
        """Check what needs neither files nor the encoder."""
        from linexp._internal.checks import check_choice
        from linexp.concepts import read_sharpness

        if not self.concepts.startswith("segmenter:"):
            check_choice("concepts", self.concepts, ("labels", "text", "pixels", "colours", "segmenter:NAME"))
        given = [f"--{name}" for name in _OF_TEXT if getattr(self, name)]
        if self.concepts != "text" and given:
            raise ValueError(
                f"{given[0]} is of no use with concepts from {self.concepts}. Add --concepts text, or leave it out."
            )
        self.check_masks(self.concepts)
        read_sharpness(self.sharpness)

    @property
    def chosen_by_data(self) -> bool:
        """Whether the sharpness is to be chosen when the activations are there."""
        from linexp.concepts import read_sharpness

        return read_sharpness(self.sharpness) is None

    @property
    def fits(self) -> bool:
        """Whether the encoder is fitted on the pictures that are explained, and so cannot be opened before them."""
        return self.concepts == "text" and (self.encoder or "").startswith("fit:")

    def open(
        self, labelled: Labelled, images: ImageFolder, running: Running, fit: Callable[[str], Encoder] | None = None
    ) -> ConceptSource:
        """Read groups, words or masks and load the encoder, if one is needed; ``fit`` makes one that is fitted here."""
        if self.concepts not in ("labels", "text"):
            return self.open_masks(self.concepts, images, running.device)
        from linexp.concepts import LabelConcepts, TextConcepts, find_calibration, read_sharpness
        from linexp.concepts.vocabulary import (
            IMAGENET,
            IMAGENET_PAPER,
            WORDNET,
            group_names,
            open_groups,
            read_vocabulary,
        )
        from linexp.results import ENCODER

        groups = labelled.open_groups(images)
        if self.concepts == "labels":
            return LabelConcepts(groups)
        if groups is None and labelled.class_names in (IMAGENET, IMAGENET_PAPER):
            groups = open_groups(WORDNET, images)  # from the words alone, WordNet would not know the paper's
        vocabulary = read_vocabulary(
            self.vocabulary or _VOCABULARY,
            labels=images.label_names or None,
            superclasses=group_names(groups) if groups else None,
        )
        print(f"vocabulary: {vocabulary}")
        name = self.encoder or ENCODER
        encoder = running.encoder(name) if fit is None else fit(name)
        calibration = find_calibration(self.calibration, encoder)
        templates, sharpness = tuple(self.template or ()) or ("{}",), read_sharpness(self.sharpness) or 1.0
        return TextConcepts(vocabulary.words, encoder, calibration, templates, sharpness)

    def settings(self, source: ConceptSource) -> dict[str, Any]:
        """Return what a result says of them: of words, what was not said too."""
        from linexp.concepts import TextConcepts
        from linexp.concepts.encoders import same_model
        from linexp.results import ENCODER

        own = ("concepts", *_OF_TEXT)
        plain = {name: value for name, value in vars(self).items() if value or name in own}
        plain["template"] = tuple(self.template or ())
        if isinstance(source, TextConcepts):
            calibration = dataclasses.asdict(source.calibration)
            plain |= {"encoder": source.encoder.name, "calibration": calibration}
            plain |= {"vocabulary": self.vocabulary or _VOCABULARY, "template": source.templates}
            plain |= {"sharpness": source.sharpness}
            asked = self.encoder or ENCODER
            # A function of the user's calls itself as it likes; what is fitted here is called by what came out.
            if self.fits or not same_model(asked, source.encoder.name):
                plain["encoder_asked"] = asked
        return plain
