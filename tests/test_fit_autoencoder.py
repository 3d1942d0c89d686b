"""Training an autoencoder: planted directions are found, and interrupted training ends alike."""

import numpy as np
import pytest
import torch

import linexp as le

PLANTED = le.Directions.random(12, 6, seed=5).matrix


def vectors(n_rows: int = 4000) -> torch.Tensor:
    """Sums of two of six directions, about a mean that is none of them."""
    generator = torch.Generator().manual_seed(0)
    places = torch.rand(n_rows, 6, generator=generator).topk(2).indices
    amounts = torch.zeros(n_rows, 6).scatter(1, places, 1 + torch.rand(n_rows, 2, generator=generator))
    return 3 + 5 * amounts @ PLANTED


def training(**settings) -> le.AutoencoderTraining:
    usual = {"n_latents": 6, "k": 2, "n_steps": 400, "batch_rows": 256, "learning_rate": 0.01, "seed": 1}
    return le.AutoencoderTraining(**{**usual, **settings})


def test_planted_directions_are_found():
    rows = vectors()
    fit = le.fit_autoencoder(le.ActivationMatrix(rows), training(), show_progress=False)
    sae = fit.autoencoder
    torch.testing.assert_close(sae.decoder.norm(dim=1), torch.ones(6))
    cosines = (sae.decoder @ PLANTED.T).amax(1)
    assert float(cosines.median()) > 0.95
    decoded = sae.decode(sae.encode(rows))
    share = float((decoded - rows).square().sum() / (rows - rows.mean(0)).square().sum())
    assert share < 0.3
    assert share == pytest.approx(fit.unexplained, abs=0.05)
    assert 1 < fit.active <= 2
    assert "6 latents" in fit.told()


def test_interrupted_training_ends_with_the_same_bytes(tmp_path, monkeypatch):
    rows, settings = vectors(500).numpy(), training(n_steps=30)
    whole = le.fit_autoencoder(rows, settings, show_progress=False)
    seen = []

    def interrupt(self, inputs, step=le.fit_autoencoder.__globals__["_State"].step):
        if len(seen) == 17:
            raise KeyboardInterrupt
        seen.append(len(inputs))
        step(self, inputs)

    own = le.fit_autoencoder.__globals__["_State"].step
    monkeypatch.setattr(le.fit_autoencoder.__globals__["_State"], "step", interrupt)
    with pytest.raises(KeyboardInterrupt):
        le.fit_autoencoder(rows, settings, checkpoint=tmp_path / "state", every=5, show_progress=False)
    monkeypatch.setattr(le.fit_autoencoder.__globals__["_State"], "step", own)
    np.save(tmp_path / "rows.npy", rows)
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    again = le.fit_autoencoder(mapped, settings, checkpoint=tmp_path / "state", every=5, show_progress=False)
    for name in ("encoder", "decoder", "encoder_bias", "decoder_bias"):
        assert torch.equal(getattr(again.autoencoder, name), getattr(whole.autoencoder, name))
    assert (again.unexplained, again.n_dead) == (whole.unexplained, whole.n_dead)
    with pytest.raises(le.StoreMismatchError, match="is of another training"):
        le.fit_autoencoder(rows, training(n_steps=31), checkpoint=tmp_path / "state", show_progress=False)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: training(k=7), "k is 7, and there are 6 latents"),
        (lambda: training(n_steps=0), "n_steps is 0"),
        (lambda: le.fit_autoencoder(torch.ones(5, 3), training()), "have the variance 0"),
        (lambda: le.fit_autoencoder(torch.ones(5), training()), r"shape \[5\]"),
    ],
)
def test_training_that_makes_no_sense_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
