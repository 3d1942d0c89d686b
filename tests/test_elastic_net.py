"""The elastic net: optimal by its duality gap, equal to scikit-learn's, indifferent to company."""

import numpy as np
import pytest
from sklearn.linear_model import ElasticNet, Lasso

from linexp import NotConvergedWarning
from linexp.solve import solve_elastic_net
from linexp.solve.coordinate_descent import jump, solve_system
from linexp.solve.elastic_net import _find_directions
from tests.problems import PROBLEMS
from tests.reference import paper

STRENGTH, L1_RATIO = 0.05, 0.99


def make_problem(n_images=300, n_concepts=40, n_neurons=7, seed=0, *, nested=False, binary=False):
    rng = np.random.default_rng(seed)
    concepts = rng.standard_normal((n_images, n_concepts))
    if binary:
        concepts = (concepts > 1).astype(float)
    if nested:  # a class and its superclass, and two nearly equal columns
        concepts[:, 1] = np.maximum(concepts[:, 0] > 0.5, concepts[:, 2] > 0.5)
        concepts[:, 0] = concepts[:, 0] > 0.5
        concepts[:, 4] = concepts[:, 3] + 1e-5 * rng.standard_normal(n_images)
    weights = np.where(rng.random((n_concepts, n_neurons)) < 0.1, rng.standard_normal((n_concepts, n_neurons)), 0)
    neurons = concepts @ weights + 0.5 * rng.standard_normal((n_images, n_neurons))
    return paper.standardise(concepts, concepts), paper.standardise(neurons, neurons)


def moments(concepts, neurons):
    n = len(concepts)
    return concepts.T @ concepts / n, concepts.T @ neurons / n, (neurons**2).mean(0)


def with_duplicates():
    """Superclasses with equal members: exact copies, one of them three times, among them concepts that matter."""
    concepts, neurons = make_problem(binary=True, seed=3)
    neurons = neurons + 0.5 * concepts[:, [0]] + 0.3 * concepts[:, [2]]
    concepts[:, [1, 10, 11]] = concepts[:, [0]]
    concepts[:, 3] = concepts[:, 2]
    return concepts, paper.standardise(neurons, neurons)


def objectives(gram, cross, variance, weights, strength, l1_ratio):
    loss = 0.5 * (variance - 2 * (weights * cross).sum(0) + (weights * (gram @ weights)).sum(0))
    ridge = strength * (1 - l1_ratio) / l1_ratio
    return loss + strength * np.abs(weights).sum(0) + ridge / 2 * (weights**2).sum(0)


@pytest.mark.parametrize("kind", [{}, {"nested": True}, {"binary": True}, {"n_concepts": 400, "n_images": 100}])
@pytest.mark.parametrize("strength", [0.3, 0.05, 0.01])
def test_equals_scikit_learn(kind, strength):
    concepts, neurons = make_problem(**kind)
    fit = solve_elastic_net(*moments(concepts, neurons), strength=strength, l1_ratio=0.9, tolerance=1e-12)
    for neuron in range(neurons.shape[1]):
        referee = ElasticNet(alpha=strength / 0.9, l1_ratio=0.9, fit_intercept=False, tol=1e-13, max_iter=1_000_000)
        referee.fit(concepts, neurons[:, neuron])
        np.testing.assert_allclose(fit.weights[:, neuron], referee.coef_, atol=1e-6)


@pytest.mark.parametrize("strength", [0.2, 0.05, 0.01])
@pytest.mark.parametrize("make", PROBLEMS.values(), ids=PROBLEMS)
def test_equals_scikit_learn_on_hard_problems(make, strength):
    concepts, neurons = (paper.standardise(side, side) for side in make(0).train)
    fit = solve_elastic_net(*moments(concepts, neurons), strength=strength, l1_ratio=0.9, tolerance=1e-12)
    assert fit.n_not_converged == 0
    assert (fit.weights != 0).any()
    for neuron in range(neurons.shape[1]):
        referee = ElasticNet(alpha=strength / 0.9, l1_ratio=0.9, fit_intercept=False, tol=1e-13, max_iter=1_000_000)
        exact = referee.fit(concepts, neurons[:, neuron]).coef_
        np.testing.assert_allclose(fit.weights[:, neuron], exact, atol=1e-6)
        values = [
            paper.objective(weights, concepts, neurons[:, neuron], strength, 0.9)
            for weights in (fit.weights[:, neuron], exact)
        ]
        assert values[0] - values[1] <= fit.gaps[neuron] + 1e-12


@pytest.mark.parametrize("l1_ratio", [0.9, 0.99, 1.0])
@pytest.mark.parametrize("strength", [0.3, 0.05, 0.005])
def test_equals_scikit_learn_with_exact_copies(strength, l1_ratio):
    """With a ridge copies share the weight equally; without, only the prediction is the same."""
    concepts, neurons = with_duplicates()
    arrays = moments(concepts, neurons)
    fit = solve_elastic_net(*arrays, strength=strength, l1_ratio=l1_ratio, tolerance=1e-12)
    assert fit.n_not_converged == 0
    exact = np.zeros_like(fit.weights)
    for neuron in range(neurons.shape[1]):
        referee = ElasticNet(
            alpha=strength / l1_ratio, l1_ratio=l1_ratio, fit_intercept=False, tol=1e-13, max_iter=1_000_000
        )
        exact[:, neuron] = referee.fit(concepts, neurons[:, neuron]).coef_
    settings = (strength, l1_ratio)
    np.testing.assert_allclose(
        objectives(*arrays, fit.weights, *settings), objectives(*arrays, exact, *settings), atol=1e-9
    )
    np.testing.assert_allclose(concepts @ fit.weights, concepts @ exact, atol=1e-5)
    if l1_ratio < 1:
        np.testing.assert_allclose(fit.weights, exact, atol=1e-6)
        np.testing.assert_allclose(fit.weights[[1, 10, 11]], fit.weights[[0, 0, 0]], atol=1e-6)


@pytest.mark.parametrize("kind", [{}, {"nested": True}, {"binary": True}])
def test_gap_bounds_the_distance_to_the_optimum(kind):
    """Solved roughly, the objective exceeds that of a precise solution by at most the reported gap."""
    concepts, neurons = make_problem(**kind)
    rough = solve_elastic_net(*moments(concepts, neurons), tolerance=1e-2)
    exact = solve_elastic_net(*moments(concepts, neurons), tolerance=1e-12)
    assert rough.n_not_converged == 0
    for neuron in range(neurons.shape[1]):
        values = [
            paper.objective(fit.weights[:, neuron], concepts, neurons[:, neuron], STRENGTH, L1_RATIO)
            for fit in (rough, exact)
        ]
        assert -1e-12 <= values[0] - values[1] <= rough.gaps[neuron] + 1e-12
        assert rough.gaps[neuron] <= 1e-2 / 2


def test_without_penalty_it_is_least_squares():
    concepts, neurons = make_problem(n_concepts=10)
    fit = solve_elastic_net(*moments(concepts, neurons), strength=0)
    expected = np.linalg.lstsq(concepts, neurons, rcond=None)[0]
    np.testing.assert_allclose(fit.weights, expected, atol=1e-10)


def test_without_penalty_copies_share_the_weight():
    concepts, neurons = with_duplicates()
    fit = solve_elastic_net(*moments(concepts, neurons), strength=0)
    expected = np.linalg.lstsq(concepts, neurons, rcond=None)[0]
    np.testing.assert_allclose(fit.weights, expected, atol=1e-8)
    assert (np.abs(fit.gaps) < 1e-12).all()


def test_a_gram_matrix_rounded_below_zero_shows_how_far_to_trust_it():
    """Sums in float32 leave copies a variance of about -1e-7 where 0 belongs; dividing by it would be nonsense."""
    vectors = np.linalg.qr(np.random.default_rng(0).standard_normal((4, 4)))[0]
    gram = (vectors * [-1e-7, 1.5e-7, 0.5, 1]) @ vectors.T
    _, _, inverse = _find_directions((gram + gram.T) / 2)
    np.testing.assert_allclose(inverse, [0, 0, 2, 1])


@pytest.mark.parametrize("settings", [{}, {"strength": 0}, {"strength": 0.005, "tolerance": 1e-9}])
@pytest.mark.parametrize("n_neurons", [9, 70])
def test_a_neuron_does_not_depend_on_its_company(settings, n_neurons):
    gram, cross, variance = moments(*make_problem(n_neurons=n_neurons, nested=True))
    together = solve_elastic_net(gram, cross, variance, **settings)
    backwards = solve_elastic_net(gram, cross[:, ::-1], variance[::-1], **settings)
    np.testing.assert_array_equal(backwards.weights[:, ::-1], together.weights)
    for neuron in range(0, n_neurons, 8):
        alone = solve_elastic_net(gram, cross[:, [neuron]], variance[[neuron]], **settings)
        np.testing.assert_array_equal(alone.weights[:, 0], together.weights[:, neuron])
        np.testing.assert_array_equal(alone.gaps[0], together.gaps[neuron])


@pytest.mark.parametrize("turn", [1, 7, 64])
def test_sharing_among_threads_changes_no_bit(monkeypatch, turn):
    arrays = moments(*make_problem(n_neurons=40))
    expected = solve_elastic_net(*arrays)
    monkeypatch.setattr("linexp._internal.compiled._NEURONS_PER_TURN", turn)
    shared = solve_elastic_net(*arrays)
    np.testing.assert_array_equal(shared.weights, expected.weights)
    np.testing.assert_array_equal(shared.gaps, expected.gaps)


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 1e3, 1e6])
def test_scaling_neuron_and_strength_scales_the_weights(scale):
    gram, cross, variance = moments(*make_problem(nested=True))
    plain = solve_elastic_net(gram, cross, variance, tolerance=1e-12)
    strength, ridge = STRENGTH * scale, STRENGTH * (1 - L1_RATIO) / L1_RATIO  # the ridge belongs to the concepts
    l1_ratio = strength / (strength + ridge)
    scaled = solve_elastic_net(
        gram, scale * cross, scale**2 * variance, strength=strength, l1_ratio=l1_ratio, tolerance=1e-12
    )
    assert scaled.n_not_converged == 0
    np.testing.assert_allclose(scaled.weights / scale, plain.weights, atol=1e-6)


def test_neurons_of_very_different_scales_in_one_call():
    """The penalty is absolute: small neurons get nothing, large ones nearly least squares, and all converge."""
    concepts, neurons = make_problem(n_neurons=13)
    gram, cross, variance = moments(concepts, neurons * 10.0 ** np.arange(-6, 7))
    fit = solve_elastic_net(gram, cross, variance)
    assert fit.n_not_converged == 0
    assert np.isfinite(fit.weights).all()
    assert (fit.gaps <= 1e-6 * variance / 2).all()
    assert (fit.weights[:, :4] == 0).all()
    least_squares = np.linalg.lstsq(concepts, neurons[:, 12], rcond=None)[0]
    np.testing.assert_allclose(fit.weights[:, 12] / 1e6, least_squares, atol=5e-3)


def test_a_concept_with_five_positives_among_fifty_thousand():
    rng = np.random.default_rng(5)
    concepts = (rng.random((50_000, 6)) < [0.5, 0.2, 0.1, 0.05, 0.01, 0]).astype(float)
    concepts[rng.choice(50_000, 5, replace=False), 5] = 1
    neurons = np.stack([100 * concepts[:, 5] + rng.random(50_000), concepts[:, 0] + rng.random(50_000)], 1)
    concepts, neurons = paper.standardise(concepts, concepts), paper.standardise(neurons, neurons)
    fit = solve_elastic_net(*moments(concepts, neurons), tolerance=1e-12)
    for neuron in range(2):
        referee = ElasticNet(alpha=STRENGTH / L1_RATIO, l1_ratio=L1_RATIO, fit_intercept=False, tol=1e-13)
        np.testing.assert_allclose(fit.weights[:, neuron], referee.fit(concepts, neurons[:, neuron]).coef_, atol=1e-6)
    assert fit.weights[5, 0] > 0.9
    assert fit.weights[5, 1] == 0


@pytest.mark.parametrize("settings", [{}, {"strength": 0}, {"strength": 1e-6}, {"strength": 1e6}, {"l1_ratio": 1.0}])
def test_a_neuron_that_never_varies_gets_nothing_and_harms_nobody(settings):
    gram, cross, variance = moments(*make_problem())
    expected = solve_elastic_net(gram, cross, variance, **settings)
    fit = solve_elastic_net(gram, np.insert(cross, 2, 0, axis=1), np.insert(variance, 2, 0), **settings)
    assert fit.n_not_converged == 0
    assert (fit.weights[:, 2] == 0).all()
    assert fit.gaps[2] == 0
    np.testing.assert_array_equal(np.delete(fit.weights, 2, axis=1), expected.weights)


@pytest.mark.parametrize("strength", [0, 1e-6, 0.05])
def test_a_column_equal_but_for_rounding_stays_out(strength):
    """Centred in floating point, an all-equal column may keep a variance of about 1e-34."""
    concepts, neurons = make_problem()
    concepts[:, 5] = 1e-17 * np.random.default_rng(0).standard_normal(len(concepts))
    fit = solve_elastic_net(*moments(concepts, neurons), strength=strength)
    assert (np.abs(fit.weights[5]) < 1e-12).all()
    assert fit.n_not_converged == 0


@pytest.mark.parametrize("strength", [0, 0.05])
def test_only_concepts_that_never_vary(strength):
    fit = solve_elastic_net(np.zeros((3, 3)), np.zeros((3, 2)), np.ones(2), strength=strength)
    assert (fit.weights == 0).all()
    assert (fit.gaps == 0).all()


@pytest.mark.parametrize(("place", "name"), [(0, "gram"), (1, "cross"), (2, "variance")])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_moments_that_are_not_finite_are_refused(place, name, value):
    arrays = list(moments(*make_problem(n_concepts=3)))
    arrays[place].flat[1] = value
    with pytest.raises(ValueError, match=rf"1 of \d+ values of {name} are not finite\. Leave constant columns out"):
        solve_elastic_net(*arrays)


def test_a_tolerance_below_rounding_ends_soon_and_is_said():
    arrays = moments(*make_problem(nested=True))
    exact = solve_elastic_net(*arrays, tolerance=1e-12).weights
    with pytest.warns(NotConvergedWarning, match="above 1e-30 of its scale"):
        fit = solve_elastic_net(*arrays, tolerance=1e-30, max_rounds=10**9)
    np.testing.assert_allclose(fit.weights, exact, atol=1e-6)


@pytest.mark.parametrize("kind", ["dense", "sparse", "small"])
def test_a_jump_reaches_the_optimum_of_its_signs(kind):
    """The literal twin: solve the linear system; stop where the first weight changes its sign."""
    gram, cross, _ = moments(*make_problem(n_concepts=8, seed=2))
    cross = cross[:, 0]
    start = {"dense": cross, "sparse": np.where(np.arange(8) % 2, cross, 0), "small": np.full(8, 0.01)}[kind]
    weights, slack = start.copy(), cross - gram @ start
    jump(gram, slack, weights, 0.05, 0.01)
    terms = np.flatnonzero(start)
    system = gram[np.ix_(terms, terms)] + 0.01 * np.eye(len(terms))
    step = np.linalg.solve(system, cross[terms] - 0.05 * np.sign(start[terms])) - start[terms]
    reach = [-weight / way for weight, way in zip(start[terms], step, strict=True) if weight * way < 0]
    expected = np.zeros(8)
    expected[terms] = start[terms] + min([1.0, *reach]) * step
    np.testing.assert_allclose(weights, expected, atol=1e-12)
    np.testing.assert_allclose(slack, cross - gram @ weights, atol=1e-12)


def test_a_system_with_copies_leaves_the_later_ones_out():
    gram = np.array([[1, 1, 0.5], [1, 1, 0.5], [0.5, 0.5, 1]])
    values = np.array([1.0, 1.0, 2.0])
    solve_system(gram, np.arange(3), 0.0, values)
    np.testing.assert_allclose(values, [0, 0, 2], atol=1e-12)


def test_permuting_concepts_permutes_weights():
    concepts, neurons = make_problem()
    order = np.random.default_rng(1).permutation(concepts.shape[1])
    plain = solve_elastic_net(*moments(concepts, neurons), tolerance=1e-13).weights
    permuted = solve_elastic_net(*moments(concepts[:, order], neurons), tolerance=1e-13).weights
    np.testing.assert_allclose(permuted, plain[order], atol=1e-7)


def test_a_concept_that_never_varies_keeps_weight_zero():
    concepts, neurons = make_problem()
    concepts[:, 5] = 0
    fit = solve_elastic_net(*moments(concepts, neurons))
    assert (fit.weights[5] == 0).all()
    assert np.isfinite(fit.weights).all()


def test_strong_penalty_leaves_nothing():
    concepts, neurons = make_problem()
    assert (solve_elastic_net(*moments(concepts, neurons), strength=2).weights == 0).all()


def test_not_converging_is_said_with_a_count():
    concepts, neurons = make_problem(nested=True)
    with pytest.warns(NotConvergedWarning, match=r"of \d+ of 7 neurons stopped with a duality gap above 1e-09"):
        fit = solve_elastic_net(*moments(concepts, neurons), tolerance=1e-9, max_rounds=1)
    assert 0 < fit.n_not_converged <= 7
    assert (fit.gaps > 0).all()


@pytest.mark.parametrize(("setting", "value"), [("strength", -0.1), ("l1_ratio", 0.0), ("l1_ratio", 1.5)])
def test_settings_outside_their_range(setting, value):
    concepts, neurons = make_problem(n_concepts=3)
    with pytest.raises(ValueError, match=f"{setting} is {value}"):
        solve_elastic_net(*moments(concepts, neurons), **{setting: value})


@pytest.mark.parametrize("strength", [0.02, 0.1, 0.4])
def test_positive_weights_are_those_of_the_positive_lasso(strength: float):
    """Of a dictionary with more columns than rows, many of them alike."""
    rng = np.random.default_rng(0)
    base = rng.normal(size=(24, 40))
    columns = np.concatenate([base, base + 0.1 * rng.normal(size=base.shape), -base], 1)
    targets = columns[:, :50] @ rng.exponential(size=(50, 6)) * 0.1 + rng.normal(size=(24, 6))
    fit = solve_elastic_net(
        columns.T @ columns / 24,
        columns.T @ targets / 24,
        (targets**2).mean(0),
        strength=strength,
        l1_ratio=1.0,
        tolerance=1e-10,
        positive=True,
    )
    assert (fit.weights >= 0).all()
    for column, target in zip(fit.weights.T, targets.T, strict=True):
        theirs = Lasso(strength, positive=True, fit_intercept=False, max_iter=1_000_000, tol=1e-12).fit(columns, target)

        def objective(weights: np.ndarray, target: np.ndarray = target) -> float:
            return float(((target - columns @ weights) ** 2).mean() / 2 + strength * weights.sum())

        assert objective(column) <= objective(theirs.coef_) + 1e-10
    with pytest.raises(ValueError, match=r"strength is 0\. It must be at least 1e-12\."):
        solve_elastic_net(np.eye(2), np.ones((2, 1)), np.ones(1), strength=0, positive=True)
