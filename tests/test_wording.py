"""Terms that people can accept: one word for one thing, the more common word where it does as well, stable terms."""

import numpy as np
import pytest
import torch

import linexp as le
from linexp.cli.explain import open_explainer
from linexp.concepts.vocabulary import commonness, imagenet_classes, kinds, superclasses
from linexp.solve import merge_alike, prefer_words, search_swaps
from tests.problems import make_problem, measure
from tests.test_stepwise import residual

SPLIT = le.Split.random(600)


def by_likeness(pairs):
    """Mean the same, of some concepts: these pairs."""
    return lambda some: np.array([[a == b or {a, b} in pairs for b in some] for a in some], bool).reshape(
        2 * some.shape
    )


def literal_merge(concepts, neuron, terms, pairs):
    """What stays, and what it stands for, with every fit done on rows."""
    terms, stands = list(terms), {}

    def loss(term):
        rest = [other for other in terms if other != term]
        return float((residual(concepts[:, rest], neuron) ** 2).sum())

    while doubled := [term for term in terms if any({term, other} in pairs for other in terms)]:
        goes = min(doubled, key=loss)
        stays = max((other for other in terms if {goes, other} in pairs), key=loss)
        terms.remove(goes)
        stands[stays] = [*stands.get(stays, []), goes, *stands.pop(goes, [])]
    return terms, stands


@pytest.mark.parametrize("seed", range(3))
def test_merging_is_the_literal_one(seed):
    train, val = make_problem(seed, duplicate=False)
    moments = measure(train, val)
    found = search_swaps(*moments, min_gain=0.0)
    rng = np.random.default_rng(seed)
    pairs = [{a, b} for a in range(30) for b in range(a) if rng.random() < 0.15]
    wanted, merged = merge_alike(moments[0], found.concepts, by_likeness(pairs))
    n_gone = 0
    for neuron, row in enumerate(found.concepts):
        terms, stands = literal_merge(train[0], train[1][:, neuron], row[row >= 0].tolist(), pairs)
        assert wanted[neuron][wanted[neuron] >= 0].tolist() == terms
        assert merged[neuron] == stands
        n_gone += sum(map(len, stands.values()))
    assert n_gone > 10


def correlate(columns, neuron):
    fitted = neuron - residual(columns, neuron)
    return np.corrcoef(fitted, neuron)[0, 1], fitted


def literal_as_good(concepts, neuron, rest, old, new):
    """Whether ``new`` does as well as ``old`` beside the rest, by Steiger's standard error, on rows."""
    one, first = correlate(concepts[:, [*rest, old]], neuron)
    two, second = correlate(concepts[:, [*rest, new]], neuron)
    both = np.corrcoef(first, second)[0, 1]
    overlap = both * (1 - one**2 - two**2) - one * two * (1 - one**2 - two**2 - both**2) / 2
    spread = (1 - one**2) ** 2 + (1 - two**2) ** 2 - 2 * overlap
    return one - two <= np.sqrt(max(spread, 0) / len(neuron))


def last_weight(concepts, neuron, rest, last):
    design = np.column_stack([concepts[:, [*rest, last]], np.ones(len(concepts))])
    return np.linalg.lstsq(design, neuron, rcond=None)[0][-2]


def near_copies(seed):
    """Noisy neurons of ten concepts, each of which has a copy of lower number that differs in some images."""
    rng = np.random.default_rng(seed)
    concepts = (rng.random((600, 20)) < 0.3).astype(float)
    concepts[:, :10] = np.where(rng.random((600, 10)) < 0.04, 1 - concepts[:, 10:], concepts[:, 10:])
    weights = np.where(rng.random((10, 8)) < 0.3, rng.uniform(-2, 2, (10, 8)), 0)
    neurons = concepts[:, 10:] @ weights + 2 * rng.standard_normal((600, 8))
    return (concepts[:450], neurons[:450]), (concepts[450:], neurons[450:])


@pytest.mark.parametrize("seed", range(3))
def test_preferring_is_the_literal_one(seed):
    """Concepts of lower number are preferred; each term in turn, the weightiest first."""
    train, val = near_copies(seed)
    everything = tuple(np.concatenate(sides) for sides in zip(train, val, strict=True))
    moments = measure(train, val)
    found = search_swaps(*moments, min_gain=0.03)
    wanted = prefer_words(moments[0].merge(moments[1]), found, lambda concept: dict.fromkeys(range(concept), 0.0))
    n_changed = 0
    for neuron, row in enumerate(found.concepts):
        terms = row[row >= 0].tolist()
        target = everything[1][:, neuron]
        for place in np.argsort(-np.abs(found.weights[neuron, : len(terms)]), kind="stable"):
            rest = terms[:place] + terms[place + 1 :]
            sign = last_weight(everything[0], target, rest, terms[place])
            for new in set(range(terms[place])) - set(terms):
                same_sign = last_weight(everything[0], target, rest, new) * sign > 0
                if same_sign and literal_as_good(everything[0], target, rest, terms[place], new):
                    terms[place] = new
                    n_changed += 1
                    break
        assert wanted[neuron][wanted[neuron] >= 0].tolist() == terms
    assert n_changed > 0


def test_the_error_of_a_difference_is_how_far_it_moves():
    """What is within one standard error is so in about as many draws as a normal deviate is."""
    rng = np.random.default_rng(0)
    within = []
    for _ in range(600):
        shared = rng.standard_normal((200, 1))
        columns = shared + rng.standard_normal((200, 2))
        neuron = columns.sum(1) + 2 * rng.standard_normal(200)
        within.append(literal_as_good(columns, neuron, [], 0, 1))
    assert abs(np.mean(within) - 0.841) < 0.045


def make_words(sizes=(400, 200)):
    """Activations of one neuron, and words of which two mean almost the same and both tell of it."""
    generator = torch.Generator().manual_seed(0)
    pictures = torch.randn(sum(sizes), 16, generator=generator)
    texts = torch.randn(6, 16, generator=generator)
    texts[1] = texts[0] + 0.3 * torch.randn(16, generator=generator)
    unit = torch.nn.functional.normalize
    names = ["puppy", "dog", "sea", "wheel", "people", "house"]
    concepts = le.EmbeddedConceptMatrix(unit(pictures, dim=1), unit(texts, dim=1), names, a=6.0, b=0.0)
    noise = 0.02 * torch.randn(sum(sizes), generator=generator)
    active = concepts.values[:, 0] + concepts.values[:, 1] + 0.5 * concepts.values[:, 3] + noise
    return le.ActivationMatrix(active[:, None]), concepts


def explain(**settings):
    activations, concepts = make_words()
    plain = {"search": "swaps", "min_gain": 0.001, "n_repeats": 0, "min_activity": 0.0}
    return le.LinearExplainer(**{**plain, **settings}).explain(activations, concepts, SPLIT)[0]


def test_of_words_that_mean_the_same_one_stays_and_lists_the_other():
    apart, one = explain(), explain(same=0.9)
    assert set(apart.concepts) == {"puppy", "dog", "wheel"}
    assert all(term.synonyms == () for term in apart.terms)
    assert {len(term.synonyms) for term in one.terms} == {0, 1}
    assert {term.concept: term.synonyms for term in one.terms}["wheel"] == ()
    assert {word for term in one.terms for word in (term.concept, *term.synonyms)} == {"puppy", "dog", "wheel"}
    weight = next(term.weight for term in one.terms if term.synonyms)
    assert weight > 1.4 > max(term.weight for term in apart.terms)


def test_labels_mean_the_same_where_wordnet_has_one_above_the_other():
    above = kinds(["beagle", "hound", "dog", "animal", "entity", "sports car", "no such word"])
    assert list(above["beagle"]) == ["hound", "dog", "animal", "entity"]
    assert above["entity"] == {}
    assert "no such word" not in above
    assert "beagle" not in above["sports car"]
    alike = list(above["beagle"].values())
    assert alike == sorted(alike, reverse=True)
    assert 0.95 < alike[0] < 1
    assert 0 < alike[-1] < 0.2


def test_what_wordnet_has_above_holds_every_class_that_is_below():
    classes = [one.name for one in imagenet_classes()]
    groups = superclasses(classes)
    above = kinds([*classes, *groups])
    for group in ("dog", "hound", "vehicle", "musical instrument"):
        assert {name for name in classes if group in above.get(name, {})} == set(groups[group])


def make_labels():
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 4, 600)
    table = np.stack([kind == 0, kind <= 1, kind == 2, rng.random(600) < 0.3], 1).astype(np.float32)
    concepts = le.ConceptMatrix(table, ["beagle", "hound", "sports car", "meadow"])
    active = table @ [0.6, 1.0, 0.0, 0.4] + 0.1 * rng.standard_normal(600)
    return le.ActivationMatrix(active[:, None]), concepts


def test_a_label_and_its_group_are_one_term():
    settings = {"search": "swaps", "min_gain": 0.001, "n_repeats": 0}
    apart, one = (le.LinearExplainer(**settings, same=same).explain(*make_labels(), SPLIT)[0] for same in (None, 0.9))
    assert set(apart.concepts) == {"beagle", "hound", "meadow"}
    assert {term.concept: term.synonyms for term in one.terms} == {"hound": ("beagle",), "meadow": ()}


@pytest.mark.parametrize(("noise", "wanted"), [(0.7, "beagle"), (1.5, "hound")])
def test_the_more_general_word_where_nothing_tells_them_apart(noise, wanted):
    """A neuron for beagles, by pictures among which only three show another hound."""
    _, concepts = make_labels()
    close = concepts.values[:, 0]
    others = (torch.arange(600) < 3).float() * (1 - close)
    table = concepts.values.clone()
    table[:, 1] = close + others
    rest = torch.from_numpy(np.random.default_rng(2).standard_normal(600)).float() * (1 - others)
    activations = le.ActivationMatrix((close - 0.3 * others + noise * rest)[:, None])
    best, general = (
        le.LinearExplainer(search="swaps", min_gain=0.05, n_repeats=0, prefer=prefer).explain(
            activations, le.ConceptMatrix(table, list(concepts.names)), SPLIT
        )[0]
        for prefer in ("best", "general")
    )
    assert best.concepts == ("beagle",)
    assert general.concepts == (wanted,)


def test_the_most_common_noun_where_nothing_tells_them_apart():
    places = commonness(["people", "Dog", "puppy", "zzz"])
    assert places["people"] < places["Dog"] < places["puppy"]
    assert "zzz" not in places
    assert set(explain(prefer="common").concepts) <= {"dog", "puppy", "wheel", "people", "house", "sea"}
    _, concepts = make_words()
    noisy = concepts.values[:, 0] + 1.5 * torch.randn(600, generator=torch.Generator().manual_seed(1))
    settings = {"search": "swaps", "min_gain": 0.05, "n_repeats": 0, "min_activity": 0.0}
    best, common = (
        le.LinearExplainer(**settings, prefer=prefer).explain(le.ActivationMatrix(noisy[:, None]), concepts, SPLIT)[0]
        for prefer in ("best", "common")
    )
    assert best.concepts == ("puppy",)
    assert common.concepts == ("dog",)


def unstable():
    rng = np.random.default_rng(0)
    table = (rng.random((600, 20)) < 0.3).astype(np.float32)
    active = 2 * table[:, 0] + table[:, 1] + 0.12 * table[:, 2:10].sum(1) + 1.5 * rng.standard_normal(600)
    still = np.full(600, 3.0)
    only_noise = rng.standard_normal(600)
    activations = le.ActivationMatrix(np.stack([active, still, only_noise], 1).astype(np.float32))
    return activations, le.ConceptMatrix(table, [f"concept {place}" for place in range(20)])


@pytest.mark.parametrize("sign", ["any", "positive"])
def test_terms_that_are_not_chosen_again_are_left_out_and_the_rest_fitted_anew(sign):
    settings = {"search": "greedy", "min_gain": 0.001, "sign": sign}
    given = unstable()
    every, stable = (le.LinearExplainer(**settings, min_kept=least).explain(*given, SPLIT) for least in (0.0, 0.6))
    kept = {term.concept: term.kept for term in every[0].terms}
    wanted = {concept for concept, share in kept.items() if share >= 0.6}
    assert 0 < len(wanted) < len(kept)
    assert set(stable[0].concepts) == wanted
    assert {term.concept: term.kept for term in stable[0].terms} == {concept: kept[concept] for concept in wanted}
    assert all(term.error is not None for term in stable[0].terms)
    fitted = le.fit_weights([stable[0].concepts, (), ()], *given, SPLIT)
    for own, other in zip(stable[0].terms, fitted[0].terms, strict=True):
        assert own.concept == other.concept
        assert own.weight == pytest.approx(other.weight, rel=1e-5)
    assert stable[1] == every[1]
    assert stable[1].outcome == "constant"
    assert every[2].outcome == "explained"
    assert stable[2].outcome == "empty"


def test_redraws_are_needed_to_leave_out():
    with pytest.raises(ValueError, match=r"min_kept is 0.5, but without redraws .* Set n_repeats=10, or min_kept=0"):
        le.LinearExplainer(min_kept=0.5, n_repeats=0)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"same": 1.5}, "same is 1.5"),
        ({"prefer": "rare"}, "prefer is 'rare'"),
        ({"min_kept": -0.1}, "min_kept is -0.1"),
    ],
)
def test_settings_outside_their_range_are_named(settings, told):
    with pytest.raises(ValueError, match=told):
        le.LinearExplainer(**settings)


def test_the_command_line_and_set_know_them():
    flat = {"sign": "positive", "same": 0.8, "prefer": "common", "min_kept": 0.5}
    wanted = le.LinearExplainer(**flat)
    assert open_explainer("linear", [], **flat) == wanted
    assert open_explainer("linear", [f"{name}={value}" for name, value in flat.items()]) == wanted
    with pytest.raises(ValueError, match=r"--min-kept 0\.5 is of the method linear\. With --method invert"):
        open_explainer("invert", [], min_kept=0.5)


def test_synonyms_come_back_from_a_file(tmp_path):
    terms = (le.Term("dog", 1.0, synonyms=("puppy", 'the "best", friend; of man')), le.Term("sea", 0.5))
    items = le.Explanations((le.Explanation(0, terms), le.Explanation(1, terms[1:])))
    items.to_csv(tmp_path / "some.csv")
    assert le.Explanations.from_csv(tmp_path / "some.csv") == items
    text = (tmp_path / "some.csv").read_text()
    assert "synonyms0" in text
    (tmp_path / "bad.csv").write_text(text.replace('"[""puppy""', '"{""puppy""', 1))
    with pytest.raises(ValueError, match=r"Line 2 .*synonyms0 is .*, not a list of words such as"):
        le.Explanations.from_csv(tmp_path / "bad.csv")
    le.Explanations(items.items[1:]).to_csv(tmp_path / "none.csv")
    assert "synonyms" not in (tmp_path / "none.csv").read_text()


def test_a_notebook_shows_synonyms():
    item = le.Explanation(0, (le.Term("dog", 1.0, kept=0.3, synonyms=("puppy",)),))
    assert "chosen again in 30% of redraws; also: puppy" in item._repr_html_()
    assert item.terms[0].is_unstable
    assert not le.Term("dog", 1.0).is_unstable
    assert not le.Term("dog", 1.0, kept=0.5).is_unstable
