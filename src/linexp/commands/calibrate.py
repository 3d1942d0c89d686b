"""``linexp calibrate``: fit what turns an encoder's similarities into probabilities, and show how well it does."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path

from linexp._internal.checks import AUTO, check_at_least, check_within
from linexp._internal.files import check_writable_folder
from linexp.concepts import LabelConcepts
from linexp.concepts.calibration import CalibrationFit, fit_calibration
from linexp.concepts.encoders import embed_prompts, load_encoder, storing
from linexp.concepts.vocabulary import open_groups, open_pictures
from linexp.images import ImageSubset
from linexp.matrix import Split
from linexp.models import tell_device
from linexp.report import draw_reliability
from linexp.store import open_store, with_store


@dataclass(frozen=True)
class CalibrateOptions:
    """The options of ``linexp calibrate``."""

    encoder: str
    images: Path
    out: Path
    class_names: str | None = None
    groups: str | None = None
    merge_homonyms: bool = False
    template: tuple[str, ...] = ()
    max_share: float = 0.3
    seed: int = 0
    device: str = AUTO
    batch_size: int | None = None
    trust_remote_code: bool = False
    store: Path | None = None


def run_calibrate(options: CalibrateOptions) -> CalibrationFit:
    """Fit on the training images of the split, measure on its validation images, leave the test images alone."""
    _check(options)
    folder = open_pictures(options.images, options.class_names)
    split = Split.random(len(folder), options.seed)
    n_train = len(split.train)
    images = ImageSubset(folder, [*split.train.tolist(), *split.val.tolist()])
    labels = LabelConcepts(open_groups(options.groups, folder, merge_homonyms=options.merge_homonyms)).describe(images)
    encoder = load_encoder(
        options.encoder,
        device=options.device,
        batch_size=options.batch_size,
        trust_remote_code=options.trust_remote_code,
    )
    tell_device(options.device)
    store = open_store(options.store)
    texts = with_store(
        store, lambda store: embed_prompts(encoder, labels.names, options.template or ("{}",), store=store)
    )
    fit = fit_calibration(
        with_store(store, lambda store: encoder.encode_images(images, **storing(encoder.encode_images, store))),
        texts,
        labels,
        encoder=encoder.name,
        source=f"{n_train} of the {len(folder)} images in '{folder.folder.name}' (train part of seed {options.seed})",
        images=folder.fingerprint,
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        fitted_on=range(n_train),
        measured_on=range(n_train, len(images)),
        max_share=options.max_share,
    )
    fit.calibration.to_json(options.out)
    figure = draw_reliability(fit, options.out.with_suffix(".png"))
    _print(fit, options.out, figure)
    return fit


def _check(options: CalibrateOptions) -> None:
    check_within("max_share", options.max_share, 0, 1)
    check_at_least("seed", options.seed, 0)
    check_at_least("batch_size", 1 if options.batch_size is None else options.batch_size, 1)
    if options.out.suffix != ".json":
        raise ValueError(f"The calibration would be written to '{options.out}'. Give --out a name that ends in .json.")
    check_writable_folder(options.out.absolute().parent)


def _print(fit: CalibrationFit, out: Path, figure: Path) -> None:
    found = fit.calibration
    print(f"P(concept | image) = σ({found.a:.4g}·(cos {found.b:+.4g}))   for {found.encoder}")
    print(f"on validation images: cross-entropy {found.bce:.4f} nats, expected calibration error {found.ece:.4f}")
    if fit.left_out:
        print(fit.left_out_in_words)
    print(f"  saved in {out}, reliability curve in {figure}")
