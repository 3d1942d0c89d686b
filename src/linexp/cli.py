"""The command line: thin commands over the same functions the Python interface has."""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer

from linexp._version import __version__

app = typer.Typer(
    name="linexp",
    help="Explain the single neurons of a vision network in words, and measure how true each explanation is.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

ModelName = Annotated[
    str,
    typer.Option(
        "--model",
        help="efficientnet_lite0, hf:NAME, torchvision:NAME, timm:NAME, or package.module:function for your own.",
    ),
]
WeightsFile = Annotated[Path | None, typer.Option("--weights", help="Local weights: .safetensors or a state dict.")]
Device = Annotated[str | None, typer.Option("--device", help="cpu, cuda, cuda:1, …  [default: cpu]")]
TrustRemoteCode = Annotated[
    bool, typer.Option("--trust-remote-code", help="Run model code that comes with an hf: model.")
]
ResultFolder = Annotated[Path, typer.Argument(help="Folder that linexp explain wrote (--out).", show_default=False)]


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
    layer: Annotated[
        list[str], typer.Option("--layer", help="Layer to explain; may be given several times. See linexp layers.")
    ],
    images: Annotated[Path, typer.Option(help="Folder of pictures, one sub-folder per class.")],
    out: Annotated[Path, typer.Option(help="Folder for the result (a sub-folder per layer if there are several).")],
    concepts: Annotated[str, typer.Option(help="Where concepts come from: labels.")] = "labels",
    groups: Annotated[Path | None, typer.Option(help='JSON of superclasses: {"animal": ["cat", "dog"], …}.')] = None,
    class_names: Annotated[
        Path | None, typer.Option(help="Names of the class folders: lines of folder, tab, name.")
    ] = None,
    weights: WeightsFile = None,
    pool: Annotated[str, typer.Option(help="mean, max, token or none.")] = "mean",
    channels: Annotated[str, typer.Option(help="Where feature maps have their channels: first or last.")] = "first",
    token: Annotated[int, typer.Option(help="Which token --pool token takes.")] = 0,
    search: Annotated[str, typer.Option(help="greedy (the paper's) or top.")] = "greedy",
    max_terms: Annotated[int, typer.Option(help="Most terms per explanation.")] = 10,
    n_candidates: Annotated[int, typer.Option(help="Candidates tried for each term.")] = 10,
    min_gain: Annotated[float, typer.Option(help="Validation correlation each further term must add.")] = 0.02,
    strength: Annotated[float, typer.Option(help="Weight of the elastic net's L1 penalty.")] = 0.05,
    l1_ratio: Annotated[float, typer.Option(help="Share of L1 in the penalty.")] = 0.99,
    min_activity: Annotated[
        float, typer.Option(help="Least mean of a concept's five highest presences on train.")
    ] = 0.5,
    seed: Annotated[int, typer.Option(help="Seed of the 70/10/20 split.")] = 0,
    device: Device = None,
    batch_size: Annotated[int | None, typer.Option(help="Images at a time.  [default: 8 on CPU, 64 on GPU]")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that decode pictures.  [default: by size]")] = None,
    skip_broken: Annotated[bool, typer.Option("--skip-broken", help="Leave out unreadable pictures.")] = False,
    trust_remote_code: TrustRemoteCode = False,
) -> None:
    """Explain every neuron of one or more layers."""
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
        Path | None, typer.Option(help="Score these explanations instead (CSV, ours or the paper's layout).")
    ] = None,
) -> None:
    """Predict the neurons on the test images and correlate with what they did."""
    from linexp.commands import run_score

    run_score(result, explanations)


@app.command()
def show(
    result: ResultFolder,
    neuron: Annotated[int, typer.Argument(help="Number of the neuron.", show_default=False)],
) -> None:
    """Show one neuron: its explanation, scores, and the images at the two ends of its range."""
    from linexp.commands import run_show

    run_show(result, neuron)


@app.command()
def layers(
    *,
    model: ModelName,
    weights: WeightsFile = None,
    depth: Annotated[int | None, typer.Option(help="How many levels to show.  [default: all]")] = None,
    trust_remote_code: TrustRemoteCode = False,
) -> None:
    """Show the tree of a model's layers with the shapes they return, to choose one from."""
    from linexp.commands import run_layers

    run_layers(model, weights, depth, trust_remote_code=trust_remote_code)


@app.command()
def demo(
    *,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("linexp-demo"),
    neurons: Annotated[
        int | None, typer.Option(help="Explain only the first N neurons of each layer.  [default: all]")
    ] = None,
) -> None:
    """Explain two layers of EfficientNet-Lite0 on OpenMoji pictures; nothing is downloaded."""
    from linexp.demo.run import run_demo

    run_demo(out, neurons)


def main() -> None:
    """Run the command line: exit code 0 on success, 1 on an error in one sentence, 2 on wrong usage."""
    warnings.showwarning = _show_warning
    try:
        app()
    except KeyboardInterrupt:
        _fail("Interrupted. Files that were already written are complete; run the same command to start again.")
    except (ValueError, OSError, ImportError, RuntimeError, MemoryError) as error:
        if os.environ.get("LINEXP_TRACEBACK"):
            raise
        _fail(str(error) or type(error).__name__)
    except KeyError as error:
        if os.environ.get("LINEXP_TRACEBACK"):
            raise
        _fail(str(error.args[0]))


def _fail(message: str) -> None:
    print(f"Error: {message}", file=sys.stderr)
    sys.exit(1)


def _show_warning(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    if issubclass(category, UserWarning):
        print(f"Warning: {message}", file=sys.stderr)
