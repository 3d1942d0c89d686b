"""Ridge regression in closed form against scikit-learn, and leave-one-out against leaving each one out."""

from __future__ import annotations

import pytest
import torch
from sklearn.linear_model import Ridge as SklearnRidge
from sklearn.linear_model import RidgeCV

from linexp.solve import fit_ridge

PENALTIES = (0.01, 0.1, 1.0, 10.0, 100.0)


def draw(n_rows: int, n_features: int, n_targets: int = 3, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(n_rows, n_features, generator=generator, dtype=torch.float64)
    features[:, 0] *= 30  # scales differ, and the mean is not 0
    features += 5
    truth = torch.randn(n_features, n_targets, generator=generator, dtype=torch.float64)
    return features, features @ truth + 2 * torch.randn(n_rows, n_targets, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(("n_rows", "n_features"), [(60, 7), (20, 35), (12, 12)])
def test_weights_are_those_of_scikit_learn(n_rows: int, n_features: int) -> None:
    features, targets = draw(n_rows, n_features)
    found = fit_ridge(features, targets, [2.5])
    expected = SklearnRidge(alpha=2.5).fit(features.numpy(), targets.numpy())
    torch.testing.assert_close(found.weights, torch.from_numpy(expected.coef_.T.copy()), rtol=1e-8, atol=1e-9)
    torch.testing.assert_close(
        found.predict(features), torch.from_numpy(expected.predict(features.numpy())), rtol=1e-8, atol=1e-8
    )


@pytest.mark.parametrize(("n_rows", "n_features"), [(60, 7), (20, 35)])
def test_the_penalty_is_the_one_that_leave_one_out_chooses(n_rows: int, n_features: int) -> None:
    features, targets = draw(n_rows, n_features)
    expected = RidgeCV(alphas=PENALTIES).fit(features.numpy(), targets.numpy())
    assert fit_ridge(features, targets, PENALTIES).penalty == expected.alpha_


@pytest.mark.parametrize(("n_rows", "n_features"), [(15, 4), (10, 25)])
def test_predictions_for_rows_left_out_are_those_of_fits_without_them(n_rows: int, n_features: int) -> None:
    features, targets = draw(n_rows, n_features)
    found = fit_ridge(features, targets, [3.0])
    for row in range(n_rows):
        others = [other for other in range(n_rows) if other != row]
        without = fit_ridge(features[others], targets[others], [3.0])
        torch.testing.assert_close(found.left_out[row], without.predict(features[[row]])[0], rtol=1e-8, atol=1e-8)
    error = (targets - found.left_out).square().sum()
    spread = (targets - targets.mean(0)).square().sum()
    assert found.r2 == pytest.approx(float(1 - error / spread), abs=1e-12)


def test_the_default_penalties_are_as_good_as_a_fine_grid() -> None:
    features, targets = draw(80, 30)
    features = torch.cat([features, torch.randn(80, 40, generator=torch.Generator().manual_seed(1))], 1)
    fine = [10.0 ** (power / 20) for power in range(-60, 120)]
    assert fit_ridge(features, targets).r2 >= fit_ridge(features, targets, fine).r2 - 1e-3


def test_targets_that_the_features_say_nothing_of_are_not_predicted() -> None:
    features, _ = draw(200, 20)
    noise = torch.randn(200, 3, generator=torch.Generator().manual_seed(9))
    assert fit_ridge(features, noise).r2 < 0.02


def test_float32_features_give_the_same_to_their_precision() -> None:
    features, targets = draw(50, 6)
    exact, single = fit_ridge(features, targets, [1.0]), fit_ridge(features.float(), targets.float(), [1.0])
    torch.testing.assert_close(single.weights, exact.weights, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("features", "targets", "penalties", "message"),
    [
        (torch.zeros(1, 2), torch.zeros(1, 2), None, "There are 1 rows of features and 1 of targets"),
        (torch.rand(4, 2), torch.rand(3, 2), None, "There are 4 rows of features and 3 of targets"),
        (torch.rand(4, 2), torch.rand(4, 2), [1.0, 0.0], r"A penalty is 0\.0"),
        (torch.ones(4, 2), torch.rand(4, 2), None, "The features are the same in all 4 rows"),
        (torch.rand(4, 2), torch.ones(4, 2), None, "The targets are the same in all 4 rows"),
    ],
)
def test_what_is_refused(features: torch.Tensor, targets: torch.Tensor, penalties: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit_ridge(features, targets, penalties)
