"""Compare the elastic net with that of other packages: the same problem, to the same objective, ms per neuron.

The problem is planted (present or absent concepts, their superclasses, some of these equal), or, with ``--folder``, a
recorded run (see ``against_authors_run.py``). Every solver starts from the same standardised columns. Those with a
tolerance run with ever finer ones until the objective, averaged over the neurons, is close enough to the optimum; the
time of the last run counts. glm-saga goes on, epoch by epoch, until it is as close. The optimum is known to 1e-12 of
its scale by a duality gap. A solver that runs out of ``--seconds`` is stopped, and its row says where it got to.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

import linexp as le
from linexp.solve import accumulate_moments, solve_elastic_net

STRENGTH, L1_RATIO = 0.05, 0.99
PACKAGES = {"glm_saga": "glm-saga", "celer": "celer", "skglm": "skglm", "sklearn": "scikit-learn"}
TOLERANCES = [10.0**-power for power in range(2, 11)]
STEPS = (1e-2, 3e-3, 1e-3, 5e-4, 1e-4)  # of glm-saga; the paper uses 5e-4

Array = np.ndarray
Attempts = Iterator[tuple[float, Array]]  # seconds so far in this attempt, and the weights it reached


@dataclass(frozen=True)
class Problem:
    """Standardised columns [images, ·] and their covariances."""

    concepts: Array
    neurons: Array
    gram: Array
    cross: Array

    def objective(self, weights: Array) -> float:
        """Return the objective averaged over the neurons."""
        loss = 0.5 * ((self.neurons**2).mean(0) - (weights * (2 * self.cross - self.gram @ weights)).sum(0))
        ridge = STRENGTH * (1 - L1_RATIO) / L1_RATIO
        return float((loss + STRENGTH * np.abs(weights).sum(0) + ridge / 2 * (weights**2).sum(0)).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="a problem that takes seconds")
    parser.add_argument("--folder", type=Path, help="folder of a recorded run, instead of the planted problem")
    parser.add_argument("--neurons", type=int, default=64, help="how many neurons")
    parser.add_argument("--goal", type=float, default=1e-4, help="how near the optimum, as a share of the objective")
    parser.add_argument("--seconds", type=float, default=300, help="most seconds for one package")
    options = parser.parse_args()
    if options.folder:
        concepts, neurons = read_recorded(options.folder, options.neurons)
    else:
        concepts, neurons = plant(2000, 60, 8) if options.small else plant(20_000, 500, options.neurons)
    problem = make_problem(concepts, neurons)
    found = {name: importlib.util.find_spec(name) is not None for name in PACKAGES}
    missing = [PACKAGES[name] for name, is_there in found.items() if not is_there]
    if missing:
        print(f"Not installed, so left out: {', '.join(missing)} (python -m pip install {' '.join(missing)}).\n")
    solvers: dict[str, Callable[[Problem], Attempts]] = {"linexp": solve_here}
    if found["sklearn"]:
        solvers |= {"scikit-learn": solve_sklearn, "scikit-learn, Gram given": solve_sklearn_gram}
    if found["celer"]:
        solvers["celer"] = solve_celer
    if found["skglm"]:
        solvers["skglm"] = solve_skglm
    if found["glm_saga"]:
        solvers["glm-saga"] = solve_saga
    compare(problem, solvers, options.goal / 2, min(options.seconds, 5) if options.small else options.seconds)


def plant(n_images: int, n_concepts: int, n_neurons: int) -> tuple[Array, Array]:
    """Make a planted layer, a fifth more concepts that are superclasses of three, and a few of these twice."""
    planted = le.make_planted(n_images, n_concepts, n_neurons, n_terms=5, noise=1.0)
    present = planted.concepts.values.numpy()
    rng = np.random.default_rng(0)
    members = [rng.choice(n_concepts, 3, replace=False) for _ in range(n_concepts // 5)]
    above = np.stack([present[:, three].max(1) for three in members], 1)
    return np.concatenate([present, above, above[:, : n_concepts // 20]], 1), planted.activations.values.numpy()


def read_recorded(folder: Path, n_neurons: int) -> tuple[Array, Array]:
    arrays = np.load(folder / "tinyimagenet_effnetlite0_head.npz", allow_pickle=False)
    concepts, neurons = arrays["labels_concepts"][arrays["train"]], arrays["activations"][arrays["train"], :n_neurons]
    return concepts[:, concepts.std(0) > 0], neurons[:, neurons.std(0) > 0]


def make_problem(concepts: Array, neurons: Array) -> Problem:
    columns = [np.asfortranarray((part - part.mean(0)) / part.std(0)) for part in (concepts.astype(float), neurons)]
    return Problem(*columns, columns[0].T @ columns[0] / len(concepts), columns[0].T @ columns[1] / len(concepts))


def compare(problem: Problem, solvers: dict[str, Callable[[Problem], Attempts]], goal: float, limit: float) -> None:
    variance = (problem.neurons**2).mean(0)
    settings = {"strength": STRENGTH, "l1_ratio": L1_RATIO}
    exact = solve_elastic_net(problem.gram, problem.cross, variance, tolerance=1e-12, **settings)
    optimum = problem.objective(exact.weights)
    n_images, n_neurons = problem.neurons.shape
    print(f"{n_images} images, {len(problem.gram)} concepts, {n_neurons} neurons, {os.cpu_count()} cores")
    print(f"{(exact.weights != 0).sum(0).mean():.1f} weights a neuron")
    print(f"optimum {optimum:.6f} (gap {exact.gaps.max():.0e}); goal {goal:.0e} above it\n")
    print("| solver | ms per neuron | ratio | objective above the optimum |\n|---|---|---|---|")
    ours = 0.0
    for name, solver in solvers.items():
        seconds, above = attempt(problem, solver, optimum, goal, limit)
        ours = ours or seconds
        stopped = "" if above <= goal else " (stopped)"
        cells = (f"{seconds / n_neurons * 1e3:.2f}", f"{seconds / ours:.1f}", f"{above:.1e}{stopped}")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def attempt(
    problem: Problem, solver: Callable[[Problem], Attempts], optimum: float, goal: float, limit: float
) -> tuple[float, float]:
    """Return the seconds of the first attempt that is near enough, and how near."""
    needed, above = 0.0, np.inf
    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # rough tolerances are not always reached in the iterations allowed
        for seconds, weights in solver(problem):
            needed = seconds
            above = problem.objective(weights) - optimum
            if above <= goal or time.perf_counter() - started > limit:
                break
    return needed, above


def solve_here(problem: Problem) -> Attempts:
    """Take moments of the rows, in float32 as they are recorded, and solve on them, as ``LinearExplainer`` does."""
    columns = (torch.from_numpy(problem.concepts).float(), torch.from_numpy(problem.neurons).float())
    moments = accumulate_moments([tuple(part[:1000] for part in columns)])  # compiles, and wakes threads
    solve_elastic_net(moments.gram.numpy(), moments.cross.numpy(), moments.neuron_variance.numpy())
    started = time.perf_counter()
    moments = accumulate_moments([columns])
    gram, cross, variance = moments.gram.numpy(), moments.cross.numpy(), moments.neuron_variance.numpy()
    weights = solve_elastic_net(gram, cross, variance, strength=STRENGTH, l1_ratio=L1_RATIO).weights
    yield time.perf_counter() - started, weights


def refine(problem: Problem, fit: Callable[[Array, float], Array]) -> Attempts:
    """Run a solver of one neuron on each of them, with ever finer tolerances."""
    fit(problem.neurons[:, 0], 1e-2)  # compiles, where something is compiled
    for tolerance in TOLERANCES:
        started = time.perf_counter()
        found = [fit(neuron, tolerance) for neuron in problem.neurons.T]
        yield time.perf_counter() - started, np.stack(found, 1)


def solve_sklearn(problem: Problem, **settings: object) -> Attempts:
    from sklearn.linear_model import ElasticNet

    def fit(neuron: Array, tolerance: float) -> Array:
        penalty = {"alpha": STRENGTH / L1_RATIO, "l1_ratio": L1_RATIO, "fit_intercept": False, "max_iter": 100_000}
        return ElasticNet(**penalty, tol=tolerance, **settings).fit(problem.concepts, neuron).coef_

    yield from refine(problem, fit)


def solve_sklearn_gram(problem: Problem) -> Attempts:
    """Give scikit-learn the Gram matrix too; its time, once for all neurons, is counted."""
    started = time.perf_counter()
    gram = problem.concepts.T @ problem.concepts
    spent = time.perf_counter() - started
    for seconds, weights in solve_sklearn(problem, precompute=gram):
        yield spent + seconds, weights


def solve_celer(problem: Problem) -> Attempts:
    from celer import ElasticNet

    def fit(neuron: Array, tolerance: float) -> Array:
        model = ElasticNet(alpha=STRENGTH / L1_RATIO, l1_ratio=L1_RATIO, fit_intercept=False, tol=tolerance)
        return model.fit(problem.concepts, neuron).coef_

    yield from refine(problem, fit)


def solve_skglm(problem: Problem) -> Attempts:
    from skglm import ElasticNet

    def fit(neuron: Array, tolerance: float) -> Array:
        model = ElasticNet(alpha=STRENGTH / L1_RATIO, l1_ratio=L1_RATIO, fit_intercept=False, tol=tolerance)
        return model.fit(problem.concepts, neuron).coef_

    yield from refine(problem, fit)


def solve_saga(problem: Problem) -> Attempts:
    """Epochs of 512 rows, all neurons together, at the largest of a few step sizes that lowers the objective."""
    best = min(STEPS, key=lambda step: next(run_saga(problem, step))[2])
    seconds = 0.0
    for spent, weights, _ in run_saga(problem, best):
        seconds += spent
        yield seconds, weights


def run_saga(problem: Problem, step: float) -> Iterator[tuple[float, Array, float]]:
    """Yield, after every epoch, the seconds it took, the weights, and the objective (infinite if it diverged)."""
    from glm_saga.elasticnet import train_saga

    torch.manual_seed(0)
    columns = [torch.from_numpy(part).float() for part in (problem.concepts, problem.neurons)]
    rows = torch.utils.data.TensorDataset(*columns, torch.arange(len(columns[0])))
    sampler = torch.utils.data.BatchSampler(torch.utils.data.RandomSampler(rows), 512, drop_last=False)
    loader = torch.utils.data.DataLoader(rows, sampler=sampler, batch_size=None)
    linear = torch.nn.Linear(columns[0].shape[1], columns[1].shape[1])
    for parameter in linear.parameters():
        torch.nn.init.zeros_(parameter)
    fixed = {
        "group": False,
        "family": "gaussian",
        "n_ex": len(rows),
        "tol": 0,
        "lookbehind": 10**9,
        "logger": lambda _: None,
    }
    state = None
    while True:
        started = time.perf_counter()
        state = train_saga(linear, loader, step, 1, STRENGTH / L1_RATIO, L1_RATIO, state=state, **fixed)
        seconds = time.perf_counter() - started
        weights = linear.weight.detach().double().numpy().T.copy()
        value = problem.objective(weights)
        yield seconds, weights, value if np.isfinite(value) else np.inf


if __name__ == "__main__":
    main()
