"""``linexp ablate``: replace neurons by their simulations and measure what that does to the model's loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from linexp._checks import listing
from linexp.commands.score import ScoreOptions, run_simulate
from linexp.commands.sources import IMAGENET, reopen_pictures
from linexp.concepts.files import read_class_names
from linexp.concepts.wordnet import imagenet_classes
from linexp.images import Images
from linexp.models import load_model
from linexp.recording.memory import reuse_large_buffers
from linexp.score import AblationScorer, AblationScores
from linexp.store import load_run, save_scores


@dataclass(frozen=True)
class AblateOptions:
    """The options of ``linexp ablate`` beside those of simulating."""

    scaling: str = "optim"
    temperature: float | None = None
    replace: str = "set"
    outputs: str | None = None


def run_ablate(result: Path, simulating: ScoreOptions, options: AblateOptions) -> AblationScores:
    """Simulate a result's neurons, put the simulations into the model, save and print the scores."""
    run = load_run(result)
    settings = run.settings
    how = {name: settings[name] for name in ("pool", "channels", "token")}
    scorer = AblationScorer(cast(Any, options.scaling), options.temperature, cast(Any, options.replace), **how)
    images = reopen_pictures(run, simulating.images)
    known = IMAGENET if settings.get("class_names") == IMAGENET else None
    labels = _outputs(options.outputs or known, images)
    model = load_model(
        settings["model"],
        weights=settings["weights"],
        device=simulating.device,
        trust_remote_code=simulating.trust_remote_code,
    )
    simulated = run_simulate(result, simulating, None)
    reuse_large_buffers()
    size = simulating.batch_size
    scores = scorer.score(simulated, run.activations, run.split, model, images, labels=labels, batch_size=size)
    path = save_scores(result, scores, "scores-ablation")
    norm = scores.norm[~scores.norm.isnan()]
    print(f"layer {run.activations.layer}: test {scores}; temperature {scores.temperature:.3f}")
    print(f"  with least-squares scaling {float(norm.mean()):.4f}; {scores.n_improved} neurons score higher than so")
    print(f"  saved in {path}")
    return scores


def _outputs(outputs: str | None, images: Images) -> list[int] | None:
    """Return which output of the model each image's class is; ``None``: its position among the classes."""
    if outputs is None:
        return None
    place = _imagenet() if outputs == IMAGENET else _read(Path(outputs))
    names = images.label_names
    missing = [name for name in names if name not in place]
    if missing or images.labels is None:
        raise ValueError(
            f"{outputs} does not say which output the class '{listing(missing, 1)}' is. "
            "Give a line for each sub-folder: its name, a tab, the output's number from 0."
        )
    return [place[names[label]] for label in images.labels]


def _imagenet() -> Mapping[str, int]:
    return {one.wnid: number for number, one in enumerate(imagenet_classes())}


def _read(path: Path) -> Mapping[str, int]:
    numbers = read_class_names(path)
    wrong = [text for text in numbers.values() if not text.isdecimal()]
    if wrong:
        raise ValueError(f"'{wrong[0]}' in '{path}' is no number of an output. Number the outputs from 0.")
    return {name: int(text) for name, text in numbers.items()}
