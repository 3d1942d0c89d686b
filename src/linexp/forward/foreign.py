"""Activations that somebody else has recorded: arrays in files, and saev's shards."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from linexp._internal.checks import listing
from linexp.forward.units import Pool, Unit, choose_units
from linexp.images import Images
from linexp.matrix import ActivationMatrix
from linexp.matrix import load_activations as load_own

_AT_A_TIME = 64  # images that are read and pooled together: those of a ViT-L/16 are 51 MB


def load_activations(
    path: str | Path,
    layer: str | int = "",
    *,
    key: str | None = None,
    units: Unit | None = None,
    pool: Pool = "mean",
    token: int = 0,
    names: Sequence[str] | None = None,
    images: Images | None = None,
) -> ActivationMatrix:
    """Read a matrix of activations that linexp or anybody else has written.

    Parameters
    ----------
    path
        ``.npy``, ``.npz`` or ``.safetensors`` with one array [images, neurons] or [images, tokens, neurons] or
        [images, channels, height, width]; or a folder of saev's shards (protocol 2), which is read shard by shard and
        never held whole. Nothing is unpickled.
    layer
        What the layer is called; of saev's shards the number of one that was recorded.
    key
        Which array of several. Default: the only one.
    units, pool, token
        What of each image is a unit, as in ``record``: a ``SparseAutoencoder`` makes latents of recorded tokens.
        Default: ``Channels("mean")``.
    names
        Which image each row is, by name. Default: what an array "names" of an ``.npz`` says.
    images
        The images, in the order of the rows. Their names must be ``names``, as far as these are known, and the matrix
        gets their fingerprint.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        It is no such file, has no such array or layer (the message lists those there are), or its rows are not these
        images.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise FileNotFoundError(f"There is no '{path}'. Pass a .npy, .npz or .safetensors file, or saev's folder.")
    if path.suffix == ".safetensors" and _is_own(path):
        own = load_own(path)
        _check_order(own.n_images, names, images, path)
        return own
    if path.is_dir():
        blocks = _shards(path, layer)
    else:
        try:
            array, told = _array(path, key)
        except (ValueError, EOFError, SafetensorError) as error:
            if str(path) in str(error):
                raise
            raise ValueError(f"'{path}' cannot be read ({error}). Save one array of plain numbers.") from error
        names = told if names is None else names
        blocks = (array[start : start + _AT_A_TIME] for start in range(0, len(array), _AT_A_TIME))
    chosen = choose_units(units, pool, "auto", token)
    values = torch.cat([chosen.read(_tensor(block, path), str(path), len(block)) for block in blocks])
    _check_order(len(values), names, images, path)
    return ActivationMatrix(values, layer=str(layer), images=None if images is None else images.fingerprint)


def _tensor(block: Any, path: Path) -> Tensor:
    tensor = block if isinstance(block, Tensor) else torch.from_numpy(np.array(block))  # a copy: maps are read-only
    if tensor.ndim < 2:
        raise ValueError(f"'{path}' holds an array of one axis. Give one of [images, neurons].")
    return tensor if tensor.is_floating_point() else tensor.to(torch.float32)


def _is_own(path: Path) -> bool:
    with safe_open(path, "pt") as file:  # pyright: ignore[reportUnknownVariableType] - it has no annotations
        return "linexp" in (file.metadata() or {}) and "activations" in file.keys()  # noqa: SIM118 - no dict


def _array(path: Path, key: str | None) -> tuple[Any, list[str] | None]:
    """Return the array of a file, and the names of its rows where the file says them."""
    if path.suffix == ".npy":
        return np.load(path, mmap_mode="r", allow_pickle=False), None
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as file:
            found = _only(path, [name for name in file.files if name != "names"], key)
            return file[found], [str(name) for name in file["names"]] if "names" in file.files else None
    if path.suffix == ".safetensors":
        with safe_open(path, "pt") as file:  # pyright: ignore[reportUnknownVariableType] - it has no annotations
            return file.get_tensor(_only(path, list(file.keys()), key)), None
    raise ValueError(f"'{path}' is no .npy, .npz or .safetensors file. Save the array as one of these.")


def _only(path: Path, there: list[str], key: str | None) -> str:
    if key is None and len(there) == 1:
        return there[0]
    if key not in there:
        asked = "several arrays" if key is None else f"no array '{key}'"
        raise ValueError(f"'{path}' has {asked}, but {listing(there)}. Say which: key='{there[0] if there else ''}'.")
    return key


def _shards(folder: Path, layer: str | int) -> Iterator[Any]:
    """Yield one layer's tokens [images, tokens, width] of saev's shards, mapped into memory."""
    if not (folder / "metadata.json").is_file():
        raise ValueError(f"The folder '{folder}' has no metadata.json, so it is not saev's. Pass the one that has it.")
    told = json.loads((folder / "metadata.json").read_text(encoding="utf-8"))
    protocol = str(told.get("protocol"))
    if not protocol.startswith("2.") or told.get("dtype", "float32") != "float32":
        raise ValueError(
            f"'{folder}' is of saev's protocol {protocol} and dtype {told.get('dtype')}, and 2.0 and 2.1 in float32 "
            "are read. Record it anew with saev."
        )
    layers = [str(one) for one in told["layers"]]
    if str(layer) not in layers:
        raise ValueError(f"'{folder}' has no layer '{layer}'. Layers: {listing(layers)}.")
    n_tokens = told.get("content_tokens_per_example", told.get("patches_per_ex")) + bool(told["cls_token"])
    shape, n_left = (len(layers), n_tokens, told["d_model"]), told.get("n_examples", told.get("n_ex"))
    for file in sorted(folder.glob("acts*.bin")):
        n_there = min(file.stat().st_size // (4 * math.prod(shape)), n_left)  # the last may have room for more
        mapped: Any = np.memmap(file, np.float32, "r", shape=(n_there, *shape)) if n_there else []
        for start in range(0, n_there, _AT_A_TIME):
            yield mapped[start : start + _AT_A_TIME, layers.index(str(layer))]
        n_left -= n_there
    if n_left:
        raise ValueError(f"'{folder}' lacks {n_left} images of its metadata.json. Bring all shards, or record anew.")


def _check_order(n_rows: int, names: Sequence[str] | None, images: Images | None, path: Path) -> None:
    for what, count in (("names", names), ("images", images)):
        if count is not None and len(count) != n_rows:
            raise ValueError(f"'{path}' has {n_rows} rows and there are {len(count)} {what}. Give one for each row.")
    if names is None or images is None:
        return
    for row, name in enumerate(names):
        if PurePath(name).name != PurePath(images.name(row)).name:
            raise ValueError(
                f"Row {row} of '{path}' is '{name}', and image {row} is '{images.name(row)}'. Bring the "
                "images into the order of the rows."
            )
