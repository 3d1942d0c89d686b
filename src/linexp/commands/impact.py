"""``linexp impact``: remove neurons, measure what the network loses, and where in their range that is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from linexp._internal.checks import AUTO
from linexp._internal.files import check_writable_folder
from linexp.ablation import find_outputs
from linexp.ablation.impact import BETAS, Impact, count_images, impact_layers
from linexp.commands.sources import only_readable
from linexp.concepts.vocabulary import open_pictures
from linexp.forward import find_layers, reuse_large_buffers
from linexp.models import load_model, tell_device, tell_model
from linexp.report import tell_impact
from linexp.store import open_store, with_store

OWN = "own"


@dataclass(frozen=True)
class ImpactOptions:
    """The options of ``linexp impact``."""

    model: str
    layers: tuple[str, ...]
    images: Path
    out: Path
    betas: str | None = None
    outputs: str | None = None
    weights: Path | None = None
    preprocess: str | None = None
    n_images: int | None = None
    n_neurons: int | None = None
    seed: int = 0
    temperature: float | None = None
    pool: str = "mean"
    channels: str = "auto"
    token: int = 0
    output: str | None = None
    precision: str = "float32"
    as_published: bool = False
    device: str = AUTO
    batch_size: int | None = None
    skip_broken: bool = False
    trust_remote_code: bool = False
    store: Path | None = None


def run_impact(options: ImpactOptions) -> dict[str, Impact]:
    """Measure, print the table, write it with every neuron's figures and the curves."""
    betas = read_betas(options.betas)
    count_images(1, betas)  # says what is wrong with one
    folder = open_pictures(options.images, None)
    labels = OWN if options.outputs == OWN else find_outputs(options.outputs, folder)
    if labels is None and folder.labels is None:
        raise ValueError(
            f"The pictures in '{options.images}' are in no sub-folders, so they have no labels. Put those of each "
            "class into a sub-folder, or compare with the model's own answers (--outputs own)."
        )
    store = open_store(options.store)
    check_writable_folder(options.out)
    model = load_model(
        options.model,
        weights=options.weights,
        device=options.device,
        trust_remote_code=options.trust_remote_code,
        preprocess=options.preprocess,
    )
    find_layers(model.module, options.layers)
    images = only_readable(folder, leave_out=options.skip_broken, store=options.store)
    if images is not folder and isinstance(labels, list):
        labels = find_outputs(options.outputs, images)
    reuse_large_buffers()
    tell_model(model, options.model)
    tell_device(options.device)
    found = with_store(
        store,
        lambda store: impact_layers(
            model,
            options.layers,
            images,
            labels=cast(Any, labels),
            neurons=options.n_neurons,
            n_images=options.n_images,
            seed=options.seed,
            temperature=options.temperature,
            pool=cast(Any, options.pool),
            channels=cast(Any, options.channels),
            token=options.token,
            output=options.output,
            precision=cast(Any, options.precision),
            batch_size=options.batch_size,
            store=store,
        ),
    )
    tell_impact(list(found.values()), betas, options.out, as_published=options.as_published)
    return found


def read_betas(text: str | None) -> tuple[float, ...]:
    """Read numbers with commas or spaces between them; ``None``: Table 1's.

    Raises
    ------
    ValueError
        One is no number.
    """
    if text is None:
        return BETAS
    betas: list[float] = []
    for word in text.replace(",", " ").split():
        try:
            betas.append(float(word))
        except ValueError as error:
            raise ValueError(f"'{word}' in --betas is no number. Write shares such as 0.002,0.02,0.1.") from error
    return tuple(betas)
