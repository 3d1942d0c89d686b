"""``linexp show``."""

from __future__ import annotations

from typing import Annotated

from linexp.cli.app import app
from linexp.cli.command import command
from linexp.cli.options import ResultFolder, argument


@command(app)
def show(result: ResultFolder, neuron: Annotated[int, argument("NEURON", "Number of the neuron, from 0.")]) -> None:
    """Show one neuron: its explanation, scores, and the images at the two ends of its range."""
    from linexp.results import tell_neuron, with_methods

    folders = with_methods([result])
    for folder in folders:
        if folders != [result]:
            print(f"{'' if folder == folders[0] else chr(10)}{folder.name}")
        print(tell_neuron(folder, neuron))
