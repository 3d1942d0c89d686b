"""The command line: thin commands over the same functions the Python interface has."""

from __future__ import annotations

import io
import os
import sys
import warnings
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from linexp._version import __version__

_TOLD = (ValueError, TypeError, KeyError, OSError, ImportError, RuntimeError, MemoryError)
"""Errors whose message says what to do; anything else is a mistake of the program and keeps its traceback."""


class _Commands(TyperGroup):
    """The commands, with errors in one sentence and exit code 1; Typer itself would end silently on Ctrl-C."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            _fail("Interrupted. Files that were already written are complete; run the same command to start again.")
        except (typer.Exit, typer.Abort, BrokenPipeError):
            raise  # no errors: --help, or the reader of a pipe who has seen enough
        except _TOLD as error:
            if os.environ.get("LINEXP_TRACEBACK"):
                raise
            text = str(error.args[0] if isinstance(error, KeyError) and error.args else error)
            _fail(f"Error: {text or type(error).__name__}")


app = typer.Typer(
    cls=_Commands,
    name="linexp",
    help="Explain the single neurons of a vision network in words, and measure how true each explanation is.",
    epilog="Set LINEXP_TRACEBACK=1 to see where in the program an error arose.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _option(metavar: str, text: str, default: str | bool = True) -> Any:
    """Make an option; ``default`` is what the help says where the default is None."""
    return typer.Option(metavar=metavar, help=text, show_default=default)


ModelName = Annotated[
    str,
    typer.Option(
        "--model",
        metavar="NAME",
        help="efficientnet_lite0, hf:NAME, torchvision:NAME, timm:NAME, or package.module:function for your own "
        "(a function without arguments that returns the model).",
    ),
]
WeightsFile = Annotated[
    Path | None,
    typer.Option("--weights", metavar="FILE", help="Weights on this machine: .safetensors or a state dict."),
]
TrustRemoteCode = Annotated[
    bool, typer.Option("--trust-remote-code", help="Run Python code that comes with an hf: model. Read it first.")
]
ResultFolder = Annotated[
    Path,
    typer.Argument(metavar="DIR", help="Folder of one layer that linexp explain wrote (--out).", show_default=False),
]


def _print_version(wanted: bool) -> None:  # called by typer, by position
    if wanted:
        print(f"linexp {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass


@app.command()
def explain(
    *,
    model: ModelName,
    layer: Annotated[list[str], _option("NAME", "Layer to explain; may be repeated. linexp layers lists them.")],
    images: Annotated[Path, _option("DIR", "Folder of pictures, one sub-folder per class.")],
    out: Annotated[Path, _option("DIR", "Folder for the result; with several layers, a sub-folder for each.")],
    concepts: Annotated[
        str, _option("SOURCE", "Where concepts come from. labels: the classes and their groups.")
    ] = "labels",
    groups: Annotated[Path | None, _option("FILE", 'Groups of classes in JSON: {"animal": ["cat", "dog"]}.')] = None,
    class_names: Annotated[
        Path | None, _option("FILE", "Names of the sub-folders: lines of sub-folder, tab, name.")
    ] = None,
    weights: WeightsFile = None,
    pool: Annotated[
        str, _option("HOW", "From a feature map to one number per neuron: mean, max, token or none.")
    ] = "mean",
    channels: Annotated[str, _option("WHERE", "Where feature maps have their channels: first or last.")] = "first",
    token: Annotated[int, _option("N", "Which token --pool token takes; 0 is the class token.")] = 0,
    search: Annotated[
        str, _option("HOW", "greedy: term by term (the paper's); top: largest elastic-net weights.")
    ] = "greedy",
    max_terms: Annotated[int, _option("N", "Most terms of an explanation.")] = 10,
    n_candidates: Annotated[int, _option("N", "Concepts the greedy search tries for each term.")] = 10,
    min_gain: Annotated[float, _option("X", "Validation correlation each term after the first must add.")] = 0.02,
    strength: Annotated[float, _option("X", "Weight of the elastic net's penalty; more: fewer candidates.")] = 0.05,
    l1_ratio: Annotated[float, _option("X", "Share of the L1 norm in that penalty, above 0, at most 1.")] = 0.99,
    min_activity: Annotated[
        float, _option("X", "Leave out concepts whose five highest presences have a lower mean.")
    ] = 0.5,
    seed: Annotated[int, _option("N", "Seed of the split into 70 % train, 10 % validation, 20 % test images.")] = 0,
    device: Annotated[str | None, _option("NAME", "Where the model runs: cpu, cuda, cuda:1, …", "cpu")] = None,
    batch_size: Annotated[int | None, _option("N", "Images at a time.", "8 on cpu, 64 on cuda")] = None,
    workers: Annotated[int | None, _option("N", "Processes that decode pictures; 0: none.", "by processors")] = None,
    skip_broken: Annotated[bool, typer.Option("--skip-broken", help="Leave out pictures that cannot be read.")] = False,
    trust_remote_code: TrustRemoteCode = False,
) -> None:
    """Explain every neuron of one or more layers in terms of concepts.

    Fits and chooses the terms on 80 % of the pictures and keeps the rest for linexp score.
    """
    from linexp.commands import ExplainOptions, run_explain
    from linexp.explain import LinearExplainer

    explainer = LinearExplainer(
        strength=strength,
        l1_ratio=l1_ratio,
        max_terms=max_terms,
        n_candidates=n_candidates,
        min_gain=min_gain,
        search=search,  # pyright: ignore[reportArgumentType] - checked by the explainer itself
        min_activity=min_activity,
    )
    options = ExplainOptions(
        model=model,
        weights=weights,
        layers=tuple(layer),
        images=images,
        class_names=class_names,
        concepts=concepts,
        groups=groups,
        out=out,
        pool=pool,
        channels=channels,
        token=token,
        seed=seed,
        device=device,
        batch_size=batch_size,
        workers=workers,
        skip_broken=skip_broken,
        trust_remote_code=trust_remote_code,
    )
    run_explain(options, explainer)


@app.command()
def score(
    result: ResultFolder,
    explanations: Annotated[
        Path | None, _option("FILE", "CSV of other explanations: ours, or the paper's published.", "those in DIR")
    ] = None,
) -> None:
    """Measure how true explanations are: predict the neurons on the test images and correlate with what they did."""
    from linexp.commands import run_score

    run_score(result, explanations)


@app.command()
def show(
    result: ResultFolder,
    neuron: Annotated[int, typer.Argument(metavar="NEURON", help="Number of the neuron, from 0.", show_default=False)],
) -> None:
    """Show one neuron: its explanation, scores, and the images at the two ends of its range."""
    from linexp.commands import run_show

    run_show(result, neuron)


@app.command()
def layers(
    *,
    model: ModelName,
    weights: WeightsFile = None,
    depth: Annotated[int | None, _option("N", "How many levels to show.", "all")] = None,
    side: Annotated[int, _option("N", "Side of the grey picture the model is tried on, in pixels.")] = 224,
    trust_remote_code: TrustRemoteCode = False,
) -> None:
    """Show the tree of a model's layers with the shapes they return, to choose one from."""
    from linexp.commands import run_layers

    run_layers(model, weights, depth, side, trust_remote_code=trust_remote_code)


@app.command()
def demo(
    *,
    out: Annotated[Path, _option("DIR", "Folder for the results.")] = Path("linexp-demo"),
    neurons: Annotated[int | None, _option("N", "Only the first N neurons of each layer.", "all")] = None,
) -> None:
    """Explain two layers of EfficientNet-Lite0 on OpenMoji pictures; nothing is downloaded."""
    from linexp.demo.run import run_demo

    run_demo(out, neurons)


def main() -> None:
    """Run the command line: exit code 0 on success, 1 on an error in one sentence, 2 on wrong usage."""
    # Before torch is imported: threads that wait for each other let go of their core after 10,000 rounds instead of
    # 300,000. Alone on a machine that costs a few percent; beside other work recording is several times faster.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that knows no "≈" shall not end hours of work
            stream.reconfigure(errors="backslashreplace")
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        app(prog_name="linexp")


def _fail(message: str) -> NoReturn:
    print(" ".join(message.split()), file=sys.stderr)
    sys.exit(1)


def _show_warning(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    if issubclass(category, UserWarning):
        print(f"Warning: {message}", file=sys.stderr)
