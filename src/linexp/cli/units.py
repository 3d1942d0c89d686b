"""``linexp units fit`` and ``pca``: from a layer to other units than its channels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from linexp.cli.app import app
from linexp.cli.command import command
from linexp.cli.groups import Keeping, Network, Running
from linexp.cli.options import SkipBroken, option

if TYPE_CHECKING:
    from linexp.images import Images
    from linexp.matrix import ActivationMatrix

units_app = typer.Typer(help="Make units other than channels, for --units.", no_args_is_help=True, add_completion=False)


app.add_typer(units_app, name="units")


@command(units_app, "fit")
def fit(
    *,
    network: Network,
    layer: str = option(..., "NAME", "The layer whose positions are encoded. linexp layers lists them."),
    images: Path = option(..., "DIR", "Folder of pictures to train on; best those that are not explained later."),
    out: Path = option(
        ..., "FILE", "The file of the autoencoder, .safetensors; a checkpoint lies beside it until then."
    ),
    latents: int = option(..., "N", "How many latents; 8 times the channels is usual."),
    k: int = option(32, "N", "How many latents are active at a position, at most."),
    steps: int = option(2000, "N", "Batches of 1,024 positions to train on."),
    n_images: int | None = option(None, "N", "Train on so many pictures, drawn by --seed.", "all"),
    pool: str = option("grid", "HOW", "What is encoded: grid, every position; or mean, max, token or none."),
    seed: int = option(0, "N", "Seed of everything that is drawn."),
    skip_broken: SkipBroken = False,
    running: Running,
    keeping: Keeping,
) -> None:
    """Train a TopK sparse autoencoder on what a layer does; explain its latents with --units sae:FILE.

    All positions of the pictures are held in memory: take fewer pictures for a layer with large maps. For more than
    this, use SAELens, overcomplete or saev, whose files --units reads, too.
    """
    from linexp.forward.units import AutoencoderTraining, fit_autoencoder

    training = AutoencoderTraining(n_latents=latents, k=k, n_steps=steps, seed=seed)
    recorded = _recorded(network, layer, images, out, n_images, pool, seed, running, keeping, skip_broken=skip_broken)
    checkpoint = out.with_name(f"{out.name}.checkpoint")
    fitted = fit_autoencoder(recorded, training, checkpoint=checkpoint)
    fitted.autoencoder.save(out)
    checkpoint.unlink()
    print(f"{fitted.told()}\n  saved in {out}\nNext: linexp explain --units sae:{out}")


@command(units_app, "pca")
def pca(
    *,
    network: Network,
    layer: str = option(..., "NAME", "The layer whose positions are decomposed. linexp layers lists them."),
    images: Path = option(..., "DIR", "Folder of pictures; best those that are not explained later."),
    out: Path = option(..., "FILE", "The file of the components, .safetensors."),
    n: int | None = option(None, "N", "How many components.", "all"),
    n_images: int | None = option(None, "N", "Use so many pictures, drawn by --seed.", "all"),
    pool: str = option("grid", "HOW", "What is decomposed: grid, every position; or mean, max, token or none."),
    seed: int = option(0, "N", "Seed of everything that is drawn."),
    skip_broken: SkipBroken = False,
    running: Running,
    keeping: Keeping,
) -> None:
    """Find the principal components of what a layer does; explain them with --units directions:FILE."""
    from linexp.forward.units import Directions

    recorded = _recorded(network, layer, images, out, n_images, pool, seed, running, keeping, skip_broken=skip_broken)
    found = Directions.principal(recorded, n)
    found.save(out)
    print(f"{found.n_units} principal components of {recorded.n_images:,} vectors\n  saved in {out}")
    print(f"Next: linexp explain --units directions:{out}")


def _recorded(
    network: Network,
    layer: str,
    images: Path,
    out: Path,
    n_images: int | None,
    pool: str,
    seed: int,
    running: Running,
    keeping: Keeping,
    *,
    skip_broken: bool,
) -> ActivationMatrix:
    """Record what the units are made of."""
    from linexp._internal.checks import choose_device
    from linexp._internal.files import check_writable_folder
    from linexp.forward import find_layers, record, reuse_large_buffers
    from linexp.images import ImageFolder
    from linexp.models import tell_device, tell_model
    from linexp.results import only_readable
    from linexp.store import open_store, with_store

    kept = keeping.folder()
    running.check()
    check_writable_folder(out.absolute().parent)
    running = replace(running, device=str(choose_device(running.device)))
    model = network.open(running)
    find_layers(model.module, [layer])
    readable = only_readable(ImageFolder(images), leave_out=skip_broken, store=kept)
    chosen = _drawn(readable, n_images, seed)
    reuse_large_buffers()
    tell_model(model, network.model)
    tell_device(running.device)
    return with_store(
        open_store(kept),
        lambda store: record(model, layer, chosen, pool=pool, batch_size=running.batch_size, store=store),
    )


def _drawn(images: Images, n_images: int | None, seed: int) -> Images:
    """Return so many of the images, in their order."""
    import torch

    from linexp._internal.checks import check_within
    from linexp.images import ImageSubset

    if n_images is None:
        return images
    check_within("n_images", n_images, 1, len(images))
    drawn = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))[:n_images]
    return ImageSubset(images, sorted(drawn.tolist()))
