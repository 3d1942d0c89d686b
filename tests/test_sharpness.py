"""The sharpness of presences: chosen by the data, kept in results, and given to the judge of each case."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import linexp as le
from linexp.concepts import read_sharpness
from linexp.results import open_cases
from linexp.results.folder import load_explanations, load_run
from tests.colour_encoder import WorldEncoder
from tests.colour_world import make_world
from tests.command_line import Run, command_line

A, B, N_IMAGES = 14.0, -0.25, 420
QUICK = le.LinearExplainer(n_groups=0, n_repeats=0, min_activity=0.3)


def unit(rows: int, seed: int) -> torch.Tensor:
    vectors = np.random.default_rng(seed).standard_normal((rows, 12))
    return torch.from_numpy((vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32))


def planted(sharpness: float, n_neurons: int = 30) -> tuple[le.ActivationMatrix, le.EmbeddedConceptMatrix, le.Split]:
    """Neurons that are sums of two presences of this sharpness, with noise."""
    concepts = le.EmbeddedConceptMatrix(unit(N_IMAGES, 0), unit(15, 1), [f"c{n}" for n in range(15)], A, B)
    random, presence = np.random.default_rng(2), concepts.with_sharpness(sharpness).values.numpy()
    presence = presence / presence.std(0)
    pairs = [random.choice(15, 2, replace=False) for _ in range(n_neurons)]
    values = np.stack([presence[:, pair] @ (1.0, 0.7) for pair in pairs], 1)
    values += random.standard_normal(values.shape) * 0.15
    return le.ActivationMatrix(values.astype(np.float32), layer="l"), concepts, le.Split.random(N_IMAGES)


@pytest.mark.parametrize("true", [1.0, 0.3, 0.1])
def test_the_sharpness_of_planted_neurons_is_found(true: float):
    assert le.choose_sharpness(*planted(true, 60), QUICK).sharpness == true


def test_equals_the_literal_loop():
    activations, concepts, split = planted(0.4)
    found = le.choose_sharpness(activations, concepts, split, le.LinearExplainer(min_activity=0.3))
    cosines = (concepts.image_embeddings.double() @ concepts.text_embeddings.double().T).numpy()
    tops = np.sort(1 / (1 + np.exp(-A * (cosines[split.train.numpy()] + B))), 0)[-5:]
    kept = np.flatnonzero(tops.mean(0) >= 0.3)
    means, columns = [], []
    for sharpness in (1.0, 0.7, 0.5, 0.3, 0.2, 0.1):
        presence = 1 / (1 + np.exp(-sharpness * A * (cosines[:, kept] + B)))
        matrix = le.ConceptMatrix(presence.astype(np.float32), [concepts.names[column] for column in kept])
        both = []
        for chooses, counts in ((split.val[::2], split.val[1::2]), (split.val[1::2], split.val[::2])):
            said = replace(QUICK, min_activity=0.0).explain(activations, matrix, le.Split(split.train, chooses, counts))
            predicted = le.simulate(said, matrix).block(counts).double().numpy()
            recorded = activations.block(counts).double().numpy()
            both.append(
                [
                    np.corrcoef(*pair)[0, 1] if pair[0].std() else 0.0
                    for pair in zip(predicted.T, recorded.T, strict=True)
                ]
            )
        columns.append(np.mean(both, 0))
        means.append(np.mean(columns[-1]))
    np.testing.assert_allclose([trial.correlation for trial in found.trials], means, atol=1e-6)
    best = columns[int(np.argmax(means))]
    for trial, column in zip(found.trials, columns, strict=True):
        lost = np.subtract(best, column)
        assert trial.behind == pytest.approx(lost.mean(), abs=1e-6)
        assert trial.error == pytest.approx(lost.std(ddof=1) / len(lost) ** 0.5, abs=1e-6)
    enough = [trial.sharpness for trial in found.trials if trial.behind <= trial.error]
    assert found.sharpness == max(enough)
    assert str(found).startswith(f"sharpness {found.sharpness:g}: the largest within one standard error of the best")


def test_test_images_play_no_part():
    activations, concepts, split = planted(0.3)
    spoilt = activations.values.clone()
    spoilt[split.test] = 99.0
    before = le.choose_sharpness(activations, concepts, split, QUICK)
    assert le.choose_sharpness(le.ActivationMatrix(spoilt, layer="l"), concepts, split, QUICK) == before
    assert le.choose_sharpness(activations, concepts.with_sharpness(0.2), split, QUICK) == before


def test_many_neurons_are_sampled_evenly():
    activations, concepts, split = planted(0.3, 300)
    few = activations.select([round(place * 299 / 255) for place in range(256)])
    assert le.choose_sharpness(activations, concepts, split, QUICK, sharpnesses=[1, 0.3]) == le.choose_sharpness(
        few, concepts, split, QUICK, sharpnesses=[0.3, 1]
    )


def test_what_is_refused():
    with pytest.raises(ValueError, match="There is no sharpness to try"):
        le.choose_sharpness(*planted(1.0), sharpnesses=())
    with pytest.raises(ValueError, match=r"sharpness is 0\. It must lie between"):
        le.choose_sharpness(*planted(1.0), sharpnesses=(1, 0))
    activations, concepts, split = planted(1.0)
    with pytest.raises(ValueError, match="There are 5 validation images, and to choose a sharpness takes at least 6"):
        le.choose_sharpness(activations, concepts, le.Split(split.train, split.val[:5], split.test))
    for text in ("flat", "0", "-1", "nan", "inf"):
        with pytest.raises(ValueError, match=rf"sharpness is '{text}'\. It must be a number from 0\.001 to 1000, or"):
            read_sharpness(text)
    assert (read_sharpness(None), read_sharpness("0.3"), read_sharpness("auto")) == (1.0, 0.3, None)


TEXT = ("explain", "--model", "mymodels:build", "--layer", "stem", "--images", "pictures", "--concepts", "text")
TEXT = (*TEXT, "--encoder", "mymodels:see", "--vocabulary", "words.txt", "--calibration", "see.json", "--no-store")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = make_world(tmp_path_factory.mktemp("world"))
    for name in ("see", "judge"):
        le.Calibration(9.0, -0.4, name).to_json(home / f"{name}.json")
    return home


@pytest.fixture
def linexp(world: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    yield from command_line(world, monkeypatch, capfd)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_result_keeps_its_sharpness_and_its_judge_has_it(linexp: Run, world: Path):
    for out, flags in (("sharp", ()), ("flat", ("--sharpness", "0.3"))):
        assert linexp(*TEXT, *flags, "--out", out).code == 0
    assert load_run(world / "flat").sharpness == 0.3
    assert load_run(world / "sharp").sharpness == 1
    assert "sharpness" not in json.loads((world / "sharp/run.json").read_text())["calibration"]
    together = linexp("score", "sharp", "flat", "--simulator", "mymodels:judge", "--calibration", "judge.json")
    assert together.code == 0, together.err
    run, explanations = load_run(world / "flat"), load_explanations(world / "flat")
    images = le.ImageFolder(world / "pictures")
    test = le.ImageSubset(images, run.split.test.tolist())
    judge, calibration = WorldEncoder("judge", seed=5), le.Calibration.from_json(world / "judge.json")
    seen = run.activations.take(run.split.test, images)
    for sharpness, same in ((0.3, True), (1.0, False)):
        presence = le.TextConcepts(explanations.names, judge, calibration, sharpness=sharpness).describe(test)
        scores = le.CorrelationScorer().score(le.simulate(explanations, presence), seen, range(len(test)))
        kept = le.read_result(world / "flat").known[0].values
        assert (list(kept.values()) == pytest.approx(scores.values[:3].tolist(), abs=1e-6)) == same
    # Its own file among others' explanations is the same case; a stranger's is judged by probabilities.
    (world / "theirs.csv").write_text("0,red\n1,green\n")
    cases = open_cases([world / "flat", world / "flat/explanations.csv", world / "theirs.csv"])
    assert [case.sharpness for case in cases] == [0.3, 0.3, 1.0]


def test_a_sharpness_chosen_by_data_is_told_kept_and_replayed(linexp: Run, world: Path):
    chosen = linexp(*TEXT, "--sharpness", "auto", "--n-repeats", "0", "--out", "auto")
    assert chosen.code == 0, chosen.err
    assert "layer stem: sharpness " in chosen.out
    assert "behind the best" in chosen.out
    run = load_run(world / "auto")
    assert run.settings["sharpness"] == run.sharpness
    assert f"layer stem: sharpness {run.sharpness:g}: the largest" in chosen.out
    again = linexp("run", "auto/run.json", "--out", "again", "--no-store")
    assert again.code == 0, again.err
    assert content(world / "again") == content(world / "auto")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((*TEXT, "--sharpness", "flat", "--out", "x"), "sharpness is 'flat'. It must be a number from 0.001 to 1000"),
        (
            (*TEXT[:8], "labels", "--sharpness", "0.3", "--out", "x"),
            "--sharpness is of no use with concepts from labels",
        ),
    ],
)
def test_what_the_command_line_refuses(linexp: Run, arguments: tuple[str, ...], message: str):
    ended = linexp(*arguments)
    assert ended.code == 1
    assert message in ended.err
