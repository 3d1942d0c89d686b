"""Which metrics notice that labels are missing, and that labels are wrong? Prints the table of docs/scoring.md.

First for neurons that are their concepts, in 0.499 to 0.0001 of 500,000 images. Then, given recorded activations and
labels (``tinyimagenet_effnetlite0_head.npz``: ``activations``, ``labels_concepts``), for every neuron with the concept
of the highest IoU, as the reference does for hidden layers, and for the quarter of them whose IoU is highest. The last
column is the reference's verdict (Oikarinen, Yan & Weng, ICML 2025). Takes about ten minutes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

import linexp as le
from linexp.score import FAILING, METRICS, is_constant, scorers_of
from linexp.score.threshold import cut

SHARE = 0.005  # of the images; what the reference takes for hidden layers
FREQUENCIES = (0.499, 0.1, 0.01, 0.001, 0.0001)
N_IMAGES = 500_000
CHECKS = ("missing", "extra")
ENOUGH = 0.9  # shares below this are printed in bold


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recorded", type=Path, nargs="?", help="activations and labels, as .npz")
    parser.add_argument("--metrics", nargs="+", choices=METRICS, default=tuple(METRICS))
    arguments = parser.parse_args()
    path = arguments.recorded
    known = make_known()
    real = [] if path is None else read_real(path)
    columns = [f"{check}, {neurons}" for neurons in ("known", "real", "best")[: 1 + len(real)] for check in CHECKS]
    print(f"| metric | {' | '.join(columns)} | reference |\n|{'---|' * (len(columns) + 2)}")
    for name, scorer in zip(arguments.metrics, scorers_of(arguments.metrics, SHARE), strict=True):
        checks = [le.check_metric(scorer, le.ActivationMatrix(known), known)]
        checks += [le.check_metric(scorer, *neurons) for neurons in real]
        cells = [str_of(share) for check in checks for share in (check.missing, check.extra)]
        print(f"| {name} | {' | '.join(cells)} | {'**fails**' if name in FAILING else 'passes'} |", flush=True)


def str_of(share: float) -> str:
    return f"{100 * share:.2f}" if share >= ENOUGH else f"**{100 * share:.2f}**"


def make_known() -> torch.Tensor:
    """Return neurons that are their concepts [images, frequencies]; which images does not matter, so the first."""
    counts = torch.tensor([round(N_IMAGES * frequency) for frequency in FREQUENCIES])
    return (torch.arange(N_IMAGES)[:, None] < counts).to(torch.float32)


def read_real(path: Path) -> list[tuple[le.ActivationMatrix, torch.Tensor]]:
    """Return recorded neurons with the labels of the concept that fits each best; then those that it fits best."""
    arrays = np.load(path, allow_pickle=False)
    values = torch.from_numpy(arrays["activations"].astype(np.float32))
    values = values[:, ~is_constant(values)]
    concepts = torch.from_numpy(arrays["labels_concepts"]).to(torch.float32)
    concepts = concepts[:, ~is_constant(concepts)]
    active = cut(values, SHARE).to(torch.float32)
    both = active.T @ concepts
    iou, best = (both / (active.sum(0)[:, None] + concepts.sum(0) - both)).max(1)
    labels = concepts[:, best]
    fitting = iou.argsort(descending=True)[: len(iou) // 4]
    print(
        f"{len(values)} images; {len(iou)} neurons, IoU {iou.mean():.3f}, {len(set(best.tolist()))} concepts;", end=" "
    )
    print(f"best: {len(fitting)} neurons, IoU {iou[fitting].mean():.3f}, {len(set(best[fitting].tolist()))} concepts\n")
    return [(le.ActivationMatrix(values), labels), (le.ActivationMatrix(values[:, fitting]), labels[:, fitting])]


if __name__ == "__main__":
    main()
