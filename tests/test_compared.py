"""Methods that compare neurons with concepts: each against what it says literally, and what they cannot be given."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
import torch
from sklearn.linear_model import Lasso

import linexp as le
from linexp.solve import find_contrast, top_rows
from tests.reference import compared as literal

N_IMAGES, NAMES = 40, tuple("abcdef")
SPLIT = le.Split(range(0, 30), range(30, 35), range(35, 40))
SIMILARITIES = ("soft_wpmi", "wpmi", "rank_reorder", "cos_similarity", "cos_similarity_cubed")


def embedded(seed: int = 0, n_images: int = N_IMAGES, names: tuple[str, ...] = NAMES) -> le.EmbeddedConceptMatrix:
    vectors = torch.randn(n_images + len(names), 8, generator=torch.Generator().manual_seed(seed))
    vectors = torch.nn.functional.normalize(vectors + 0.8)
    return le.EmbeddedConceptMatrix(vectors[:n_images], vectors[n_images:], names, 8.0, -0.1, "i")


def labels(seed: int = 0) -> le.ConceptMatrix:
    return le.ConceptMatrix(
        (torch.rand(N_IMAGES, 6, generator=torch.Generator().manual_seed(seed)) < 0.4).float(), NAMES
    )


def layer(seed: int = 0, n_images: int = N_IMAGES) -> le.ActivationMatrix:
    values = torch.randn(n_images, 4, generator=torch.Generator().manual_seed(seed)) * torch.tensor([1.0, 10, 0.1, 3])
    values[:, 1].clamp_min_(2)  # half of its values are the same
    return le.ActivationMatrix(values, (3, 1, 4, 15), "layer")


def similar_of(concepts: le.ConceptMatrix) -> np.ndarray:
    """Similarities on the training images, in float64."""
    if isinstance(concepts, le.EmbeddedConceptMatrix):
        return (concepts.image_embeddings.double() @ concepts.text_embeddings.double().T).numpy()[SPLIT.train]
    return concepts.values.double().numpy()[SPLIT.train]


def active_of(activations: le.ActivationMatrix) -> np.ndarray:
    return activations.values.double().numpy()[SPLIT.train]


def literal_scores(similarity: str, similar: np.ndarray, active: np.ndarray) -> np.ndarray:
    if similarity == "soft_wpmi":
        return literal.wpmi(similar, active, 12, 10, 1.0, soft=True)
    if similarity == "wpmi":
        return literal.wpmi(similar, active, 8, 2, 0.6, soft=False)
    if similarity == "rank_reorder":
        return literal.reorder(similar, active, 6)
    return literal.cosine(similar, active, *((False, 1, 0) if similarity == "cos_similarity" else (True, 3, 1e-3)))


def dissect(similarity: str) -> le.CLIPDissectExplainer:
    own = {"soft_wpmi": {"n_top": 12}, "wpmi": {"n_top": 8}, "rank_reorder": {"top_share": 0.2}}
    return le.CLIPDissectExplainer(similarity, **own.get(similarity, {}))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("concepts", [embedded, labels])
@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_clip_dissect_is_the_literal_twin(similarity: str, concepts, seed: int):
    activations, present = layer(seed), concepts(seed)
    scores = literal_scores(similarity, similar_of(present), active_of(activations))
    found = dissect(similarity).explain(activations, present, SPLIT)
    for item, row in zip(found, scores, strict=True):
        assert item.measure is not None
        assert item.measure.value == pytest.approx(row.max(), rel=1e-5, abs=1e-7)
        assert row[NAMES.index(item.names[0])] == pytest.approx(row.max(), rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("concepts", [embedded(), labels()])
@pytest.mark.parametrize("method", ["clip-dissect", "www", "best", "random", "falcon", "splice"])
def test_weights_are_least_squares_and_nothing_but(method: str, concepts: le.ConceptMatrix):
    if method == "splice" and not isinstance(concepts, le.EmbeddedConceptMatrix):
        return
    settings = {"clip-dissect": {"n_top": 12}, "www": {"n_top": 12}, "falcon": {"n_deviations": 1, "min_images": 2}}
    found = le.EXPLAINERS[method](**settings.get(method, {})).explain(layer(), concepts, SPLIT)
    fitted = le.fit_weights([item.concepts for item in found], layer(), concepts, SPLIT)
    for item, other in zip(found, fitted, strict=True):
        one, two = ({term.concept: term.weight for term in some.terms} for some in (item, other))
        assert one == pytest.approx(two, rel=1e-9)
        assert item.bias == pytest.approx(other.bias, rel=1e-9)
        assert (item.val_correlation is None) == (not item.terms)


def test_calibration_changes_no_similarity():
    """Only the presences that weights are fitted on."""
    concepts = embedded()
    other = le.EmbeddedConceptMatrix(concepts.image_embeddings, concepts.text_embeddings, NAMES, 20.0, -0.3, "i")
    for similarity in SIMILARITIES:
        one, two = (dissect(similarity).explain(layer(), some, SPLIT) for some in (concepts, other))
        assert [item.measure for item in one] == [item.measure for item in two]
        assert [item.concepts for item in one] == [item.concepts for item in two]


@pytest.mark.parametrize("similarity", [one for one in SIMILARITIES if one != "rank_reorder"])
def test_more_rows_and_neurons_than_a_block_give_the_same(similarity: str):
    """Against the literal twin over 700 images, with 70 neurons sharing the threads."""
    concepts = embedded(n_images=800)
    split = le.Split(range(0, 700), range(700, 750), range(750, 800))
    values = torch.randn(800, 70, generator=torch.Generator().manual_seed(1))
    settings = {"soft_wpmi": {"n_top": 90}, "wpmi": {"n_top": 40}}.get(similarity, {})
    explainer = le.CLIPDissectExplainer(similarity, **settings)  # pyright: ignore
    found = explainer.explain(le.ActivationMatrix(values), concepts, split)
    similar = (concepts.image_embeddings.double() @ concepts.text_embeddings.double().T).numpy()[:700]
    active = values.double().numpy()[:700]
    if similarity == "soft_wpmi":
        scores = literal.wpmi(similar, active, 90, 10, 1.0, soft=True)
    elif similarity == "wpmi":
        scores = literal.wpmi(similar, active, 40, 2, 0.6, soft=False)
    else:
        scores = literal.cosine(
            similar, active, *((False, 1, 0) if similarity == "cos_similarity" else (True, 3, 1e-3))
        )
    assert [item.measure.value for item in found] == pytest.approx(scores.max(1), rel=1e-5)  # pyright: ignore


@pytest.mark.parametrize("method", ["clip-dissect", "www", "best", "random", "splice", "falcon"])
def test_the_same_bytes_whatever_the_threads(method: str):
    concepts, values = embedded(n_images=600), torch.randn(600, 40, generator=torch.Generator().manual_seed(2))
    split, explainer = le.Split.random(600), le.EXPLAINERS[method]()
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = explainer.explain(le.ActivationMatrix(values), concepts, split)
        torch.set_num_threads(4)
        four = explainer.explain(le.ActivationMatrix(values), concepts, split)
    finally:
        torch.set_num_threads(before)
    assert one == four


@pytest.mark.parametrize("method", ["www", "best", "random", "splice"])
def test_neurons_do_not_depend_on_each_other(method: str):
    explainer = le.EXPLAINERS[method](**({"n_top": 12} if method == "www" else {}))
    whole, part = (explainer.explain(some, embedded(), SPLIT) for some in (layer(), layer().select([15, 3])))
    assert part.items == (whole[15], whole[3])


def test_top_rows_spread_ties_over_the_rows():
    values = torch.zeros(20, 2)
    values[3, 0], values[7, 0], values[5, 1] = 2.0, 1.0, 1.0
    assert top_rows(values, 6).tolist() == [[3, 7, 2, 8, 13, 17], [5, 1, 6, 10, 14, 18]]
    for seed in range(5):
        some = torch.randint(0, 4, (30, 3), generator=torch.Generator().manual_seed(seed)).float()
        assert top_rows(some, 11).tolist() == [literal.top(column, 11) for column in some.T.numpy()]


@pytest.mark.parametrize("concepts", [embedded, labels])
@pytest.mark.parametrize("base", [None, "c"])
def test_www_is_the_literal_twin(concepts, base: str | None):
    activations, present = layer(), concepts()
    similar = similar_of(present)
    prompt = similar.mean(1) if base is None else similar[:, 2]
    words = [name for name in NAMES if name != base]
    columns = [NAMES.index(name) for name in words]
    expected = literal.www(similar[:, columns], prompt, active_of(activations), 12, 0.6)
    found = le.WWWExplainer(n_top=12, share=0.6, base=base).explain(activations, present, SPLIT)
    assert [set(item.names) for item in found] == [{words[place] for place in some} for some in expected]
    short = le.WWWExplainer(n_top=12, share=0.6, base=base, max_terms=1).explain(activations, present, SPLIT)
    assert [len(item.names) for item in short] == [min(len(some), 1) for some in expected]
    assert all(one.names[:1] in [(), *((name,) for name in more.names)] for one, more in zip(short, found, strict=True))
    assert any(expected)
    rows = literal.top(active_of(activations)[:, 0], 12)
    highest = (similar[rows][:, columns].mean(0) - prompt[rows].mean()).max()
    measure = short[3].measure
    assert measure is None or measure.value == pytest.approx(highest, rel=1e-5)


@pytest.mark.parametrize("strength", [0.05, 0.25, 0.6])
def test_splice_is_the_positive_lasso(strength: float):
    """Of scikit-learn, with the penalty as SpLiCE's own code gives it."""
    activations, concepts = layer(), embedded()
    found = le.SpLiCEExplainer(strength=strength, tolerance=1e-12).explain(activations, concepts, SPLIT)
    images, words = concepts.image_embeddings.double().numpy(), concepts.text_embeddings.double().numpy()
    words = words - words.mean(0)
    words /= np.linalg.norm(words, axis=1, keepdims=True)
    for item, active in zip(found, activations.values.double().numpy().T, strict=True):
        weights = active[SPLIT.train] - active[SPLIT.train].min()
        vector = weights @ images[SPLIT.train] / weights.sum() - images[SPLIT.train].mean(0)
        vector /= np.linalg.norm(vector)
        lasso = Lasso(strength / (2 * 8), positive=True, fit_intercept=False, max_iter=100_000, tol=1e-14)
        expected = lasso.fit(words.T, vector).coef_
        assert set(item.names) == {NAMES[place] for place in np.flatnonzero(expected > 1e-9)}
        if item.terms:
            made = words.T @ expected
            assert item.measure is not None
            assert item.measure.value == pytest.approx(made @ vector / np.linalg.norm(made), rel=1e-6)
    assert {len(item.terms) for item in found} != {0} or strength == 0.6


def test_splice_does_not_see_a_constant_added():
    activations, concepts = layer(), embedded()
    moved = le.ActivationMatrix(activations.values - 7, activations.neurons, activations.layer)
    one, two = (le.SpLiCEExplainer().explain(some, concepts, SPLIT) for some in (activations, moved))
    assert [set(item.concepts) for item in one] == [set(item.concepts) for item in two]


FALCON = {
    "n_deviations": 1.0,
    "min_images": 3,
    "n_low": 4,
    "low_alike": 0.1,
    "scale": 30.0,
    "n_words": 3,
    "low_score": 0.15,
    "max_terms": 2,
}


@pytest.mark.parametrize("concepts", [embedded, labels])
@pytest.mark.parametrize("seed", range(4))
def test_falcon_is_the_literal_twin(concepts, seed: int):
    activations = replace_values(layer(seed), torch.randn(N_IMAGES, 4, generator=torch.Generator().manual_seed(seed)))
    present, explainer = concepts(seed), le.FalconExplainer(**FALCON)
    similar, active = similar_of(present), active_of(activations)
    for groups in ([[0], [1], [2], [3]], [[0, 2], [3], [1, 3]]):
        said, contrasted = literal.falcon(similar, active, groups, **FALCON)
        names = [[activations.neurons[place] for place in group] for group in groups]
        found = explainer.explain_groups(names, activations, present, SPLIT)
        assert [set(item.names) for item in found] == [{NAMES[place] for place in terms} for terms in said]
        contrast = find_contrast(torch.from_numpy(active), groups, 1.0, 4, 0.1)
        assert [torch.nonzero(column).flatten().tolist() for column in contrast.low.T] == contrasted
    alone = explainer.explain(activations, present, SPLIT)
    said, contrasted = literal.falcon(similar, active, [[0], [1], [2], [3]], **FALCON)
    assert [set(item.names) for item in alone] == [{NAMES[place] for place in terms} for terms in said]
    assert any(contrasted)
    assert any(said)


def replace_values(activations: le.ActivationMatrix, values: torch.Tensor) -> le.ActivationMatrix:
    return le.ActivationMatrix(values, activations.neurons, activations.layer)


def test_falcon_groups():
    """Neurons that are high together are a group; what is predicted is the mean of them, standardised."""
    values = torch.full((60, 6), 0.1)
    values[:20, [1, 4]] = 3.0
    values[20:32, 2] = 3.0
    values[32:35, 5] = 3.0
    values[:, 0] += torch.arange(60) * 1e-3
    activations = le.ActivationMatrix(values, (10, 11, 12, 13, 14, 15), "head")
    split = le.Split(range(0, 50), range(50, 55), range(55, 60))
    explainer = le.FalconExplainer(n_deviations=1.0, n_low=0)
    assert explainer.find_groups(activations, split) == ((11, 14), (12,))
    together = explainer.group_activations([(11, 14), (12,)], activations, split)
    assert (together.neurons, together.layer) == ((0, 1), "head (groups)")
    train = values[:50].double()
    expected = ((train - train.mean(0)) / train.std(0, correction=0).clamp_min(1e-9))[:, [1, 4]].mean(1)
    torch.testing.assert_close(together.values[:50, 0], expected)
    present = torch.zeros(60, 3)
    present[:20, 0] = present[20:32, 1] = present[32:, 2] = 1
    concepts = le.ConceptMatrix(present, ["dog", "cat", "bus"])
    found = explainer.explain_groups([(11, 14), (12,)], activations, concepts, split)
    assert [item.names for item in found] == [("dog",), ("cat",)]
    with pytest.raises(ValueError, match=r"A group has no neurons\. Give"):
        explainer.explain_groups([(11,), ()], activations, concepts, split)


def test_falcon_wants_images_that_are_alike():
    activations, concepts = layer(), embedded()
    settings = {"n_deviations": 0.5, "min_images": 2}
    kept = {}
    for bar in (-1.0, 0.999):
        found = le.FalconExplainer(min_alike=bar, **settings).explain(activations, concepts, SPLIT)
        kept[bar] = [item.outcome for item in found]
    assert kept[0.999] == ["empty"] * 4
    assert "explained" in kept[-1.0]
    with pytest.raises(ValueError, match=r"min_alike is 0\.8, and these 6 concepts are columns without embeddings"):
        le.FalconExplainer(min_alike=0.8).explain(activations, labels(), SPLIT)


def test_the_best_concept_is_the_one_of_the_largest_correlation():
    for concepts in (embedded(), labels()):
        present = concepts.values.double().numpy()[SPLIT.train]
        for negative in (True, False):
            found = le.BestConceptExplainer(negative=negative).explain(layer(), concepts, SPLIT)
            for item, active in zip(found, active_of(layer()).T, strict=True):
                alike = [np.corrcoef(column, active)[0, 1] for column in present.T]
                place = int(np.argmax(np.abs(alike) if negative else alike))
                assert item.names == (NAMES[place],)
                assert item.measure is not None
                assert item.measure.name == "train correlation"
                assert item.measure.value == pytest.approx(alike[place], rel=1e-5)
                if negative:
                    assert math.copysign(1, item.terms[0].weight) == math.copysign(1, alike[place])


def test_random_concepts_are_drawn_by_the_seed():
    drawn = [le.RandomConceptExplainer(seed=seed).explain(layer(), labels(), SPLIT) for seed in (0, 0, 1, 2)]
    assert drawn[0] == drawn[1]
    assert len({tuple(item.concepts for item in found) for found in drawn}) == 3
    values = torch.randn(N_IMAGES, 3000, generator=torch.Generator().manual_seed(0))
    many = le.RandomConceptExplainer(n_groups=0).explain(le.ActivationMatrix(values), labels(), SPLIT)
    counts = [sum(item.names == (name,) for item in many) for name in NAMES]
    assert max(abs(count - 500) for count in counts) < 100  # 5 standard deviations of a fair draw are 102
    three = le.RandomConceptExplainer(n_terms=3).explain(layer(), labels(), SPLIT)
    assert [len(set(item.names)) for item in three] == [3] * 4
    assert le.RandomConceptExplainer(n_terms=9).explain(layer(), labels(), SPLIT).mean_terms == 6


def test_others_are_the_explanations_of_other_neurons():
    planted = le.make_planted(n_images=400, n_neurons=8, n_terms=2, noise=0.05, seed=2)
    split, base = le.Split.random(400), le.BestConceptExplainer()
    own = base.explain(planted.activations, planted.concepts, split)
    found = le.OthersExplainer(base, seed=3).explain(planted.activations, planted.concepts, split)
    given = [[other.neuron for other in own if other.concepts == item.concepts] for item in found]
    assert all(item.neuron not in givers[:1] or len(givers) > 1 for item, givers in zip(found, given, strict=True))
    assert sorted(item.concepts for item in found) == sorted(item.concepts for item in own)
    rows, simulated = split.train, le.simulate(found, planted.concepts)
    theirs = le.simulate(own, planted.concepts)
    active = planted.activations.block(rows).double()
    for place, item in enumerate(found):
        (giver,) = [n for n in given[place] if n != item.neuron][:1]
        column, its = simulated.block(rows)[:, place].double(), theirs.select([giver]).block(rows)[:, 0].double()
        assert np.corrcoef(column, its)[0, 1] == pytest.approx(1, abs=1e-5)
        assert float(column.mean()) == pytest.approx(float(active[:, place].mean()), abs=1e-3)
        val = np.corrcoef(simulated.block(split.val)[:, place], planted.activations.block(split.val)[:, place])[0, 1]
        assert item.val_correlation == pytest.approx(val, abs=1e-5)
    assert le.OthersExplainer(base, seed=3).explain(planted.activations, planted.concepts, split) == found
    alone = le.OthersExplainer(base).explain(planted.activations.select([2]), planted.concepts, split)
    assert [item.outcome for item in alone] == ["empty"]


@pytest.mark.parametrize("method", ["clip-dissect", "www", "best", "random", "splice", "falcon", "others"])
def test_constant_neurons_are_said_to_be_constant(method: str):
    values = layer().values.clone()
    values[:, 2] = 0.25
    settings = {"clip-dissect": {"n_top": 12}, "www": {"n_top": 12}, "falcon": {"n_deviations": 0.5, "min_images": 2}}
    explainer = le.EXPLAINERS[method](**settings.get(method, {}))
    found = explainer.explain(replace_values(layer(), values), embedded(), SPLIT)
    assert (found[4].outcome, found[4].bias, found[4].measure) == ("constant", pytest.approx(0.25), None)
    assert any(item.outcome == "explained" for item in found)
    nobody = explainer.explain(replace_values(layer(), torch.ones(N_IMAGES, 4)), embedded(), SPLIT)
    assert [item.outcome for item in nobody] == ["constant"] * 4


def test_a_constant_neuron_takes_no_part_in_what_others_get():
    values = layer().values.clone()
    values[:, 3] = 0
    whole = le.CLIPDissectExplainer(n_top=12).explain(replace_values(layer(), values), labels(), SPLIT)
    part = le.CLIPDissectExplainer(n_top=12).explain(layer().select([3, 1, 4]), labels(), SPLIT)
    assert part.items == tuple(whole)[:3]


@pytest.mark.parametrize(
    ("explainer", "message"),
    [
        (le.CLIPDissectExplainer(), "n_top is 100, and there are 30 training images. Set n_top to fewer"),
        (le.WWWExplainer(), "n_top is 40, and there are 30 training images. Set n_top to fewer"),
        (
            le.CLIPDissectExplainer("rank_reorder"),
            "top_share is 0.05, which of 30 training images is less than 2. Nothing can be ordered",
        ),
        (
            le.SpLiCEExplainer(),
            "SpLiCE takes embeddings apart, and these 6 concepts are columns without any. Describe the images with "
            "le.TextConcepts, or on the command line with --concepts text",
        ),
        (le.WWWExplainer(n_top=3, base="g"), "The concept 'g' is not among the 6 of this matrix."),
    ],
)
def test_what_they_cannot_be_given(explainer: le.Explainer, message: str):
    with pytest.raises(ValueError, match=re.escape(message)):
        explainer.explain(layer(), labels(), SPLIT)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: le.CLIPDissectExplainer("soft-wpmi"), "similarity is 'soft-wpmi'. Did you mean 'soft_wpmi'?"),
        (lambda: le.CLIPDissectExplainer(n_top=0), "n_top is 0. It must be a whole number and at least 1."),
        (
            lambda: le.CLIPDissectExplainer("rank_reorder", n_top=50),
            "n_top is 50, and similarity 'rank_reorder' does not look at it. It has: top_share.",
        ),
        (
            lambda: le.CLIPDissectExplainer("cos_similarity", scale=3),
            "scale is 3, and similarity 'cos_similarity' does not look at it. It has no settings of its own.",
        ),
        (lambda: le.WWWExplainer(share=1.0), "share is 1.0. It must lie between 0 and"),
        (lambda: le.SpLiCEExplainer(strength=0), "strength is 0. It must be at least 1e-12."),
        (lambda: le.FalconExplainer(min_images=0), "min_images is 0. It must be a whole number"),
        (lambda: le.RandomConceptExplainer(seed=-1), "seed is -1. It must be a whole number and at least 0."),
        (lambda: le.BestConceptExplainer(n_groups=1), "n_groups is 1. It must be a whole number and at least 2."),
    ],
)
def test_settings_that_make_no_sense(make, message: str):
    with pytest.raises(ValueError, match=re.escape(message)):
        make()


def test_different_images_and_other_usable_concepts_are_refused():
    activations = le.ActivationMatrix(layer().values, images="other")
    with pytest.raises(le.DifferentImagesError):
        le.BestConceptExplainer().explain(activations, embedded(), SPLIT)
    from linexp.explainers import find_usable

    usable = find_usable(labels(), SPLIT, 0.5)
    with pytest.raises(ValueError, match="The usable concepts were found among 6 concepts"):
        le.BestConceptExplainer().explain(layer(), labels(), SPLIT, usable=usable)
