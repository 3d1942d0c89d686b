"""Units as they are called on the command line: channels, random:3, sae:FILE, directions:FILE."""

from __future__ import annotations

from linexp._internal.checks import closest
from linexp.forward.outputs import Output
from linexp.forward.units.autoencoder import SparseAutoencoder
from linexp.forward.units.base import Unit
from linexp.forward.units.channels import ChannelAxis
from linexp.forward.units.choose import Pool, choose_units
from linexp.forward.units.directions import Directions
from linexp.forward.units.rotation import Rotation

_KINDS = "channels, random, random:SEED, sae:FILE, directions:FILE"


def units_of(
    name: str,
    pool: Pool = "mean",
    channels: ChannelAxis = "auto",
    token: int = 0,
    output: Output = None,
) -> Unit:
    """Return the units of a name, pooled as the shorthand says.

    Parameters
    ----------
    name
        "channels"; "random" or "random:3": a random rotation of that seed; "sae:FILE": the latents of an autoencoder,
        as in ``SparseAutoencoder.load``; "directions:FILE": a matrix, as in ``Directions.load``.
    pool, channels, token, output
        As in ``record``.

    Raises
    ------
    ValueError
        The name is none of these, or the file no autoencoder.
    FileNotFoundError
        There is no such file.
    """
    plain = choose_units(None, pool, channels, token, output)
    kind, _, rest = name.partition(":")
    if name == "channels":
        return plain
    if kind == "random" and (rest.isdecimal() or name == "random"):
        return Rotation(int(rest or 0), pool, channels, token, output)
    if kind == "sae" and rest:
        return SparseAutoencoder.load(rest, pool=pool, channels=channels, token=token, output=output)
    if kind == "directions" and rest:
        return Directions.load(rest, pool=pool, channels=channels, token=token, output=output)
    near = closest(kind, ("channels", "random", "sae", "directions"))
    raise ValueError(f"There are no units '{name}'.{near} Choose one of: {_KINDS}.")
