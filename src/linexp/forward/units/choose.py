"""The shorthand of units: pool, channels, token and output."""

from __future__ import annotations

from typing import Literal

from linexp._internal.checks import check_at_least, check_choice
from linexp.forward.outputs import Output
from linexp.forward.units.base import Unit
from linexp.forward.units.channels import ChannelAxis, Channels
from linexp.forward.units.token import Token

Pool = Literal["mean", "max", "token", "none"]


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
    check_choice("pool", pool, ("mean", "max", "token", "none"))
    check_choice("channels", channels, ("auto", "first", "last"))
    check_at_least("token", token, 0)
    return Token(token, output) if pool == "token" else Channels(pool, channels, output)
