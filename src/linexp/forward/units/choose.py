"""The shorthand of units: pool, channels, token and output."""

from __future__ import annotations

import re
from typing import cast

from linexp._internal.checks import check_at_least, check_choice
from linexp.forward.outputs import Output
from linexp.forward.units.base import Unit
from linexp.forward.units.channels import ChannelAxis, Channels, Pooled
from linexp.forward.units.grid import Grid
from linexp.forward.units.token import Token

Pool = str
"""mean, max, token, none, grid, or grid:7 (grid:7x9)."""
_GRID = re.compile(r"grid:(\d+)(?:x(\d+))?")


def choose_units(
    units: Unit | None = None,
    pool: Pool = "mean",
    channels: ChannelAxis = "auto",
    token: int = 0,
    output: Output = None,
) -> Unit:
    """Return the units that are meant: ``units``, or else what the shorthand says, but never both."""
    if units is not None:
        if (pool, channels, token, output) != ("mean", "auto", 0, None):
            raise ValueError(
                f"units is {units}, and pool, channels, token or output says something too. Give one of them: "
                "units= holds all of it."
            )
        return units
    grid = _GRID.fullmatch(pool)
    if grid is None:
        check_choice("pool", pool, ("mean", "max", "token", "none", "grid", "grid:7"))
    check_choice("channels", channels, ("auto", "first", "last"))
    check_at_least("token", token, 0)
    if grid is not None:
        return Grid((int(grid[1]), int(grid[2] or grid[1])), channels, output)
    if pool == "grid":
        return Grid(None, channels, output)
    return Token(token, output) if pool == "token" else Channels(cast(Pooled, pool), channels, output)
