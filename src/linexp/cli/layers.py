"""``linexp layers``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linexp.cli.app import app
from linexp.cli.command import command
from linexp.cli.groups import Network, TrustRemoteCode
from linexp.cli.options import option

if TYPE_CHECKING:
    from linexp.forward import LayerInfo
    from linexp.models import VisionModel


@command(app)
def layers(
    *,
    network: Network,
    depth: int | None = option(None, "N", "How many levels to show.", "all"),
    side: int = option(224, "N", "Side of the grey picture the model is tried on, in pixels."),
    trust_remote_code: TrustRemoteCode = False,
) -> None:
    """Show the tree of a model's layers with the shapes they return, to choose one from."""
    from rich.console import Console
    from rich.markup import escape
    from rich.tree import Tree

    from linexp._internal.checks import check_at_least
    from linexp.models import load_model

    check_at_least("depth", 1 if depth is None else depth, 1)
    check_at_least("side", side, 1)
    model = load_model(
        network.model,
        weights=network.weights,
        trust_remote_code=trust_remote_code,
        preprocess=network.preprocess,
    )
    root = Tree(escape(model.name))
    branches = {"": root}
    for layer in _try_layers(model, side):
        parent, _, _ = layer.name.rpartition(".")
        if parent not in branches or (depth is not None and layer.name.count(".") >= depth):
            continue
        shape = "×".join(map(str, layer.shape)) if layer.shape is not None else "no tensor"
        note = {0: "does not run", 1: shape}.get(layer.n_calls, f"{shape}, runs {layer.n_calls} times")
        style = "" if layer.n_calls == 1 and layer.shape is not None else "dim"
        line = f"{escape(layer.name)}  [cyan]{escape(layer.kind)}[/]  {note}"
        branches[layer.name] = branches[parent].add(line, style=style)
    Console(soft_wrap=True, highlight=False).print(root)


def _try_layers(model: VisionModel, side: int) -> list[LayerInfo]:
    from linexp.forward import list_layers

    try:
        return list_layers(model, side=side)
    except (RuntimeError, MemoryError) as error:
        reason = (str(error).splitlines() or ["not enough memory"])[0].rstrip(".")
        raise RuntimeError(
            f"The model fails on a grey picture of {side} by {side} pixels ({reason}). "
            "Give the side that it expects with --side."
        ) from error
