"""Directions, clusters and latents: what is read of each position, and what is written in its place."""

import pytest
import torch

import linexp as le

SHAPES = [(4, 6), (4, 7, 6), (4, 6, 3, 5)]


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def positions(output: torch.Tensor) -> torch.Tensor:
    """Return [images, positions, width]."""
    if output.ndim == 2:
        return output[:, None]
    return output if output.ndim == 3 else output.flatten(2).transpose(1, 2)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("pool", ["mean", "max"])
def test_identity_is_channels_to_the_last_bit(shape, pool):
    output = random(*shape)
    own, channels = le.Directions(torch.eye(6), pool=pool), le.Channels(pool)
    assert torch.equal(own.read(output, "layer", 4), channels.read(output, "layer", 4))
    assert torch.equal(own.active(output), channels.active(output))


def test_identity_is_token_and_grid_to_the_last_bit():
    tokens, maps = random(4, 17, 6), random(4, 6, 4, 4)
    own = le.Directions(torch.eye(6), pool="token", token=3)
    assert torch.equal(own.read(tokens, "layer", 4), le.Token(3).read(tokens, "layer", 4))
    for pool, grid in (("grid", le.Grid()), ("grid:2x1", le.Grid((2, 1)))):
        own = le.Directions(torch.eye(6), pool=pool)
        assert own.is_regional
        assert torch.equal(own.read(maps, "layer", 4), grid.read(maps, "layer", 4))
        assert own.grid(maps, "layer", 4) == grid.grid(maps, "layer", 4)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("pool", ["mean", "max"])
def test_directions_read_each_position(shape, pool):
    output, matrix = random(*shape), random(9, 6, seed=1)
    wanted = torch.zeros(4, 9)
    for image, vectors in enumerate(positions(output)):
        for unit, direction in enumerate(matrix):
            numbers = [float(vector @ direction) for vector in vectors]
            wanted[image, unit] = max(numbers) if pool == "max" else sum(numbers) / len(numbers)
    torch.testing.assert_close(le.Directions(matrix, pool=pool).read(output, "layer", 4), wanted)


def test_a_random_rotation_is_orthogonal_and_of_its_seed():
    matrix = le.Directions.random(8, 5, seed=3).matrix
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(5))
    assert torch.equal(matrix, le.Directions.random(8, seed=3).matrix[:5])
    assert not torch.equal(matrix, le.Directions.random(8, 5, seed=4).matrix)


def test_principal_components_are_those_of_planted_variance():
    rotation = le.Directions.random(4, seed=1).matrix
    rows = random(4000, 4, seed=2) * torch.tensor([4.0, 3.0, 2.0, 1.0]) @ rotation + 5
    found = le.Directions.principal(le.ActivationMatrix(rows), 3).matrix
    assert found.shape == (3, 4)
    torch.testing.assert_close((found @ rotation.T).abs(), torch.eye(4)[:3], atol=0.1, rtol=0)
    torch.testing.assert_close(found @ found.T, torch.eye(3))


def test_clusters_of_each_position():
    output, centres = random(4, 7, 6), random(5, 6, seed=1)
    shares = torch.zeros(4, 5)
    for image, vectors in enumerate(output):
        for vector in vectors:
            shares[image, min(range(5), key=lambda unit: float((vector - centres[unit]).norm()))] += 1 / 7
    torch.testing.assert_close(le.Clusters(centres).read(output, "layer", 4), shares)
    cosines = torch.nn.functional.cosine_similarity(output[:, :, None], centres, dim=-1)
    torch.testing.assert_close(le.Clusters(centres, "similarity", "max").read(output, "layer", 4), cosines.amax(1))
    with pytest.raises(ValueError, match="cluster's value cannot be set"):
        le.Clusters(centres).changed(output, torch.zeros(4, dtype=torch.long), torch.ones(4))


def literal(sae: le.SparseAutoencoder, vector: torch.Tensor) -> list[float]:
    """Encode one vector, number by number."""
    if sae.normalise == "layer-norm":
        vector = (vector - vector.mean()) / (vector.std() + 1e-5)
    if sae.normalise == "norm":
        vector = vector * len(vector) ** 0.5 / vector.norm()
    before = [
        float(row @ (vector - sae.input_bias) + bias) for row, bias in zip(sae.encoder, sae.encoder_bias, strict=True)
    ]
    if isinstance(sae.sparsity, le.TopK):
        kept = sorted(range(len(before)), key=lambda latent: -before[latent])[: sae.sparsity.k]
        return [max(value, 0) if latent in kept else 0 for latent, value in enumerate(before)]
    thresholds = torch.as_tensor(getattr(sae.sparsity, "threshold", 0.0)).expand(len(before)).tolist()
    return [value if value > max(threshold, 0) else 0 for value, threshold in zip(before, thresholds, strict=True)]


def autoencoder(**settings) -> le.SparseAutoencoder:
    names = {"encoder": (9, 6), "decoder": (9, 6), "encoder_bias": (9,), "input_bias": (6,), "decoder_bias": (6,)}
    tensors = {name: random(*shape, seed=seed) for seed, (name, shape) in enumerate(names.items(), start=5)}
    return le.SparseAutoencoder(**{**tensors, **settings})


@pytest.mark.parametrize("normalise", ["none", "layer-norm", "norm"])
@pytest.mark.parametrize(
    "sparsity", [le.ReLU(), le.TopK(3), le.JumpReLU(random(9, seed=4).abs()), le.BatchTopK(0.5)], ids=repr
)
def test_latents_of_each_position(sparsity, normalise):
    sae, output = autoencoder(sparsity=sparsity, normalise=normalise), random(2, 6, 2, 3)
    wanted = torch.tensor([[literal(sae, vector) for vector in vectors] for vectors in positions(output)])
    torch.testing.assert_close(sae.read(output, "layer", 2), wanted.mean(1), rtol=0, atol=1e-5)
    assert torch.equal(sae.active(output), (wanted > 0).any(1))
    assert torch.equal(sae.read(output[:1], "layer", 1), sae.read(output, "layer", 2)[:1])


@pytest.mark.parametrize("normalise", ["none", "layer-norm"])
def test_a_latent_is_set_along_its_decoder(normalise):
    sae, output = autoencoder(normalise=normalise), random(2, 4, 6)
    changed = sae.changed(output, torch.tensor([3, 5]), torch.tensor([2.0, 0.5]))
    for image, (unit, value) in enumerate([(3, 2.0), (5, 0.5)]):
        for place, vector in enumerate(output[image]):
            scale = vector.std() + 1e-5 if normalise == "layer-norm" else 1
            wanted = vector + scale * (value - literal(sae, vector)[unit]) * sae.decoder[unit]
            torch.testing.assert_close(changed[image, place], wanted, rtol=0, atol=1e-5)
    with pytest.raises(ValueError, match="pattern over positions cannot be kept"):
        sae.changed(output, torch.tensor([3, 5]), torch.tensor([2.0, 0.5]), "shift")


def test_planted_latents_are_recovered_through_record():
    """Images whose pixels are sums of known directions: the autoencoder built of these reads how much of each."""
    vectors, amounts = le.Directions.random(12, 4).matrix, random(20, 4, seed=1).relu()
    inputs = amounts @ vectors
    sae = le.SparseAutoencoder(vectors, vectors, pool="none")
    found = le.record(torch.nn.Sequential(torch.nn.Identity()), "0", inputs, units=sae, show_progress=False)
    torch.testing.assert_close(found.values, amounts, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: le.Directions([[1.0, float("nan")]]), "matrix of directions holds NaN"),
        (lambda: le.Directions([[1.0], [0.0]]), "Direction 1 is 0 everywhere"),
        (lambda: le.Directions([1.0]), r"has the shape \[1\]"),
        (lambda: le.Directions([[1.0]], names=("a", "b")), "2 names for 1 directions"),
        (lambda: le.Directions([[1.0]], pool="median"), "pool is 'median'"),
        (lambda: le.Directions.random(3, 4), "at most 3"),
        (lambda: le.Clusters([[1.0]], "distance"), "by is 'distance'"),  # type: ignore[arg-type]
        (lambda: autoencoder(sparsity=le.TopK(10)), "k is 10, and there are 9 latents"),
        (lambda: autoencoder(decoder=random(6, 9)), r"encoder is \[9, 6\] and the decoder \[6, 9\]"),
        (lambda: autoencoder(input_bias=random(9)), "input_bias has 9 numbers and must have 6"),
        (lambda: autoencoder(sparsity=le.JumpReLU(random(3))), "3 thresholds for 9 latents"),
    ],
)
def test_units_that_make_no_sense_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_layers_that_do_not_fit_are_refused():
    units = le.Directions(torch.eye(6))
    with pytest.raises(ValueError, match=r"vectors of 5 numbers, and these units \(Directions\) read vectors of 6"):
        units.read(random(4, 7, 5), "layer", 4)
    with pytest.raises(ValueError, match="has no channel axis"):
        units.read(random(4), "layer", 4)
    with pytest.raises(ValueError, match="looks like"):
        units.read(random(4, 3, 3, 6), "layer", 4)
    with pytest.raises(ValueError, match="pool is 'none'"):
        le.Directions(torch.eye(6), pool="none").read(random(4, 7, 6), "layer", 4)
    with pytest.raises(ValueError, match="which has no token 9"):
        autoencoder(pool="token", token=9).read(random(4, 7, 6), "layer", 4)
    with pytest.raises(ValueError, match="single cell's value cannot be set"):
        le.Directions(torch.eye(6), pool="grid").set(random(4, 6, 3, 3), 0, torch.zeros(4))
