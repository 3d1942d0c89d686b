"""``linexp calibrate``."""

from __future__ import annotations

import datetime
from pathlib import Path

from linexp.cli.app import app
from linexp.cli.command import command
from linexp.cli.groups import Keeping, Labelled, Running, Template
from linexp.cli.options import ENCODERS, Seed, option


@command(app)
def calibrate(
    *,
    encoder: str = option(..., "NAME", f"What to calibrate: {ENCODERS}."),
    labelled: Labelled,
    out: Path = option(..., "FILE", "Where to write the calibration: a name that ends in .json."),
    template: Template = None,
    max_share: float = option(0.3, "X", "Leave out concepts in more than this share of the images."),
    seed: Seed = 0,
    running: Running,
    keeping: Keeping,
) -> None:
    """Fit what turns an encoder's similarities into probabilities, on pictures whose classes are known.

    Fits on the training part of the split and measures on its validation part; the test part is not looked at.
    Draws the reliability curve beside the file.
    """
    from linexp.concepts import LabelConcepts
    from linexp.concepts.calibration import fit_calibration
    from linexp.concepts.encoders import embed_prompts, storing
    from linexp.images import ImageSubset
    from linexp.matrix import Split
    from linexp.models import tell_device
    from linexp.report import draw_reliability
    from linexp.store import open_store, with_store

    kept = keeping.folder()
    _check(out, max_share, seed, running)
    folder = labelled.open()
    split = Split.random(len(folder), seed)
    n_train = len(split.train)
    images = ImageSubset(folder, [*split.train.tolist(), *split.val.tolist()])
    labels = LabelConcepts(labelled.open_groups(folder)).describe(images)
    loaded = running.encoder(encoder)
    tell_device(running.device)
    store, templates = open_store(kept), tuple(template or ("{}",))
    texts = with_store(store, lambda store: embed_prompts(loaded, labels.names, templates, store=store))
    fit = fit_calibration(
        with_store(store, lambda store: loaded.encode_images(images, **storing(loaded.encode_images, store))),
        texts,
        labels,
        encoder=loaded.name,
        source=f"{n_train} of the {len(folder)} images in '{folder.folder.name}' (train part of seed {seed})",
        images=folder.fingerprint,
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        fitted_on=range(n_train),
        measured_on=range(n_train, len(images)),
        max_share=max_share,
    )
    found = fit.calibration
    found.to_json(out)
    figure = draw_reliability(fit, out.with_suffix(".png"))
    print(f"P(concept | image) = σ({found.a:.4g}·(cos {found.b:+.4g}))   for {found.encoder}")
    print(f"on validation images: cross-entropy {found.bce:.4f} nats, expected calibration error {found.ece:.4f}")
    if fit.left_out:
        print(fit.left_out_in_words)
    print(f"  saved in {out}, reliability curve in {figure}")


def _check(out: Path, max_share: float, seed: int, running: Running) -> None:
    """Check what needs neither pictures nor the encoder."""
    from linexp._internal.checks import check_at_least, check_within
    from linexp._internal.files import check_writable_folder

    check_within("max_share", max_share, 0, 1)
    check_at_least("seed", seed, 0)
    running.check()
    if out.suffix != ".json":
        raise ValueError(f"The calibration would be written to '{out}'. Give --out a name that ends in .json.")
    check_writable_folder(out.absolute().parent)
