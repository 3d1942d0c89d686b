"""Run a model over images and keep what chosen layers did: one pass for all of them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from PIL.Image import Image
from torch import Tensor, nn

from linexp._internal.checks import check_at_least, check_device, listing
from linexp.forward.batches import Source, decoders_on, open_module, open_source, size_on
from linexp.forward.engines import Engine, choose_engine, find_engine, takes_fold
from linexp.forward.hooks import evaluating
from linexp.forward.key import activations_key
from linexp.forward.layers import find_layers
from linexp.forward.loop import Recording, over_rows
from linexp.forward.outputs import Output
from linexp.forward.units import ChannelAxis, Pool, Unit, choose_units
from linexp.forward.windows import find_windows
from linexp.matrix import ActivationMatrix, Regions
from linexp.models import VisionModel
from linexp.store import Store


@takes_fold
def record(
    model: nn.Module | VisionModel,
    layer: str,
    images: Any,
    *,
    units: Unit | None = None,
    pool: Pool = "mean",
    channels: ChannelAxis = "auto",
    token: int = 0,
    output: Output = None,
    preprocess: Callable[[Image], Tensor] | None = None,
    device: str | torch.device | None = None,
    batch_size: int | None = None,
    workers: int | None = None,
    engine: Engine | str = "auto",
    show_progress: bool = True,
    store: Store | None = None,
) -> ActivationMatrix:
    """Record one layer; see ``record_layers`` for all parameters but this one.

    Parameters
    ----------
    layer
        Dotted name from ``model.named_modules()``, such as "layer4" or "blocks.10.mlp".

    Examples
    --------
    >>> import torch
    >>> model = torch.nn.Sequential(torch.nn.Conv2d(3, 5, 3), torch.nn.ReLU())
    >>> record(model, "1", torch.rand(4, 3, 8, 8), show_progress=False).values.shape
    torch.Size([4, 5])
    """
    recorded = record_layers(
        model,
        [layer],
        images,
        units=units,
        pool=pool,
        channels=channels,
        token=token,
        output=output,
        preprocess=preprocess,
        device=device,
        batch_size=batch_size,
        workers=workers,
        engine=engine,
        show_progress=show_progress,
        store=store,
    )
    return recorded[layer]


@takes_fold
def record_layers(
    model: nn.Module | VisionModel,
    layers: Sequence[str],
    images: Any,
    *,
    units: Unit | None = None,
    pool: Pool = "mean",
    channels: ChannelAxis = "auto",
    token: int = 0,
    output: Output = None,
    preprocess: Callable[[Image], Tensor] | None = None,
    device: str | torch.device | None = None,
    batch_size: int | None = None,
    workers: int | None = None,
    engine: Engine | str = "auto",
    show_progress: bool = True,
    store: Store | None = None,
) -> dict[str, ActivationMatrix]:
    """Record several layers in one forward pass over the images.

    The model is used in eval mode without gradients and comes back as it was: training flags, parameters, device,
    hooks, also after an error or Ctrl-C. Only one batch of feature maps is in memory at a time. The pass ends as soon
    as every wanted layer has run. Before that the first batch runs once to the end, and its first four images up to
    four times more, to check the layers and to find the fastest way that gives the same activations.

    Parameters
    ----------
    model
        Any PyTorch module, or what ``load_model`` returns.
    layers
        Dotted names from ``model.named_modules()``.
    images
        An image collection, a folder, a list of files or an array of pictures; or a floating-point tensor
        [images, …] of inputs that are ready for the model.
    units
        What of a layer's output is a unit: ``Channels("mean")``, ``Token(0)`` or a kind of your own. Default: what the
        shorthand pool, channels, token and output says.
    pool
        "mean", "max" or "none", as in ``Channels``; "token": as in ``Token``; "grid" (the layer's own positions) or
        "grid:7" (7 x 7 cells): as in ``Grid``, with a row for each cell.
    channels
        Where outputs with four axes have their channels: "first" or "last". "auto" takes the first, but refuses
        outputs that look like [images, height, width, channels], such as Swin's, until you say it.
    token
        Which token pool "token" takes.
    output
        Which tensor to record where a layer returns several: its name (key, field or place in the tuple, "0.1" inside
        others) or its place. Default: the first, with a warning that lists the others.
    preprocess
        From one RGB picture to the tensor the model expects. Default: the one the model was loaded with. Refused beside
        inputs that are ready.
    device
        Where to run. Default: where the model is.
    batch_size
        Images at a time; does not change the result beyond rounding. Where memory does not suffice, half of them run
        at a time from then on. Default: 8 on a CPU, 64 on a GPU.
    workers
        Processes that decode pictures; 0: none. Default: one for every four processors if the model runs on the
        CPU, else one for each, at most eight, unless there are few images.
    engine
        How passes are run: "eager", the model as it is; "fused" or "torch", with batch normalisations folded into
        convolutions; "onnxruntime", exported (the extra ``fast``); "compile", by torch.compile; or an ``Engine``, such
        as ``LowPrecision``. Where one would change, on the first images, more than rounding, the model is run as it is;
        the last two names refuse it. Default: ONNX Runtime where it is installed, the model is on a CPU, there are at
        least 512 images and the model exports; else torch.
    show_progress
        Show images per second on standard error.
    store
        Where to keep what is recorded, shard by shard: what was interrupted goes on there, what was done is read, and
        several processes fill it together.
        Its key is the content of model and images, not their names; layers recorded together are stored together.
        Default: nothing is stored.

    Returns
    -------
    dict
        From layer name to its ``ActivationMatrix`` [images, neurons], float32.

    Raises
    ------
    ValueError
        The model has no such layer (the message suggests one), a layer does not run, runs several times, or returns
        no activations; a shape does not go with the units; an activation is NaN or infinite; no preprocessing is known;
        the device cannot be used; the content of something a stored result would depend on cannot be known.
    TypeError
        The model is no PyTorch module.
    RuntimeError
        An operation of torch in the model fails; the message gives the shape of the batch. Every other exception
        of the model is passed on as it is.
    OSError
        A picture cannot be read, or the store not be used; the message names it.

    Warns
    -----
    UserWarning
        A batch normalisation has no running statistics, so that activations depend on the batch; a file of the store is
        damaged and recorded anew; a layer returns several tensors and nothing says which is meant.
    """
    module, _ = open_module(model)
    found, _ = find_layers(module, layers), find_engine(engine)  # what is no engine is said before pictures are read
    _warn_of_batch_statistics(module)
    chosen = choose_units(units, pool, channels, token, output)
    check_at_least("batch_size", 1 if batch_size is None else batch_size, 1)
    with on_device(module, device) as place:
        source = open_source(images, model, preprocess, size_on(place, batch_size), decoders_on(place, workers))
        runs = choose_engine(engine, source.n_images, place)
        windows = find_windows(images, model, preprocess) if chosen.is_regional else None
        recording = Recording(found, chosen, source)
        values = over_rows(
            module,
            source,
            list(found),
            partial(recording.over_batches, runs, module, place),
            partial(activations_key, model, list(found), chosen, source, place, runs),
            store=store,
            doing="recording",
            what="recorded activations",
            show_progress=show_progress,
        )
        if chosen.is_regional and not recording.grids:  # all was read from the store
            with evaluating(module):
                recording.look(module, place)
    return {name: _matrix(values[name], name, source, recording.grids.get(name), windows) for name in found}


def _matrix(
    values: Tensor, layer: str, source: Source, grid: tuple[int, int] | None, windows: Tensor | None
) -> ActivationMatrix:
    """Return the matrix of one layer; where cells give rows, those that stand side by side are put below each other."""
    if grid is None:
        return ActivationMatrix(values, layer=layer, images=source.fingerprint)
    regions = Regions(source.n_images, *grid, source.fingerprint, windows)
    return ActivationMatrix(values.reshape(regions.n_rows, -1), layer=layer, regions=regions)


@contextmanager
def on_device(module: nn.Module, device: str | torch.device | None) -> Generator[torch.device, None, None]:
    """Move the model for the time of the context, if it is elsewhere."""
    homes = list(dict.fromkeys(tensor.device for tensor in [*module.parameters(), *module.buffers()]))
    home = homes[0] if homes else torch.device("cpu")
    place = home if device is None else check_device(device)
    if len(homes) > 1 and device is not None:
        raise ValueError(
            f"The model is spread over the devices {listing(homes)}, and would not come back so from '{place}'. "
            "Leave device out, or bring the model to one device."
        )
    try:
        if place != home:
            module.to(place)
        yield place
    finally:
        if place != home:
            module.to(home)


def _warn_of_batch_statistics(module: nn.Module) -> None:
    found = [
        name
        for name, layer in module.named_modules()
        if isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.running_mean is None  # pyright: ignore[reportPrivateUsage]
    ]
    if found:
        warnings.warn(
            f"These layers normalise by the statistics of whatever batch an image is in, also in eval mode, so that "
            f"activations depend on batch_size and on the other images: {listing(found)}. Use a model whose batch "
            "normalisations track running statistics.",
            UserWarning,
            stacklevel=4,  # the caller of record_layers, beyond what translates its older arguments
        )
