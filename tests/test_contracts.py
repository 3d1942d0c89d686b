"""The same contract for every implementation listed in contracts.py."""

import inspect
from dataclasses import fields

import numpy as np
import pytest
import torch
from PIL import Image

import linexp as le
from linexp import solve
from linexp.explainers import find_usable
from linexp.explainers.searches import SEARCHES
from tests import contracts

PLANTED = le.make_planted(n_images=contracts.N_IMAGES, n_concepts=8, n_neurons=5, n_terms=2, seed=3)
SPLIT = le.Split.random(contracts.N_IMAGES)


@pytest.mark.parametrize("make", contracts.IMAGES.values(), ids=contracts.IMAGES)
def test_image_collection(make, tmp_path):
    images = make(tmp_path)
    assert isinstance(images, le.Images)
    assert len(images) == contracts.N_IMAGES
    assert images.label_names is not None
    for row in (0, 1, len(images) - 1):
        picture = images[row]
        assert isinstance(picture, Image.Image)
        assert (picture.mode, picture.size) == ("RGB", (12, 12))
        name = images.label_names[images.labels[row]]
        assert int(np.asarray(picture).mean((0, 1)).argmax()) == contracts.CLASSES.index(name)
        assert images.name(row)
    with pytest.raises(IndexError):
        images[len(images)]
    assert len(images.fingerprint) == 64
    swapped = le.ImageSubset(images, [1, 0, *range(2, len(images))])
    assert swapped.fingerprint != images.fingerprint


@pytest.mark.parametrize("make", contracts.IMAGES.values(), ids=contracts.IMAGES)
def test_recording_from_every_collection(make, tmp_path):
    """The three neurons see red, green and blue, so the labels can be read off."""
    images = make(tmp_path)
    matrix = le.record(torch.nn.Sequential(torch.nn.Identity()), "0", images, preprocess=le.to_unit_tensor)
    assert matrix.images == images.fingerprint
    names = [images.label_names[label] for label in images.labels]
    assert [contracts.CLASSES[column] for column in matrix.values.argmax(1).tolist()] == names


@pytest.mark.parametrize(("make", "shape"), contracts.UNITS.values(), ids=contracts.UNITS)
def test_unit(make, shape):
    """What is written is read again, and nobody else's numbers change."""
    units, output = make(), torch.randn(shape, generator=torch.Generator().manual_seed(0))
    before, kept = units.read(output, "layer", len(output)), output.clone()
    assert before.dtype == torch.float32
    assert before.shape[0] == len(output)
    assert units.key == make().key
    for chosen in ([1, 0, 2, 1], [2, 2, 0, 0]):  # runs of one unit are written together
        for values, replace in ((torch.linspace(-2, 3, 4), "set"), (torch.linspace(-2, 3, 4), "shift"), (None, "set")):
            wanted = before.clone()
            wanted[range(4), chosen] = torch.zeros(4) if values is None else values
            changed = units.changed(output, torch.tensor(chosen), values, replace)
            torch.testing.assert_close(units.read(changed, "layer", len(output)), wanted)
    assert units.active(output).all()
    assert not units.active(torch.zeros(shape)).any()
    assert torch.equal(output, kept)


@pytest.mark.parametrize("make", contracts.CONCEPT_SOURCES.values(), ids=contracts.CONCEPT_SOURCES)
def test_concept_source(make, tmp_path):
    images = contracts.array_images(tmp_path)
    concepts = make().describe(images)
    assert isinstance(concepts, le.ConceptMatrix)
    assert concepts.n_images == len(images)
    assert concepts.images == images.fingerprint
    assert len(set(concepts.names)) == concepts.n_concepts
    order = list(reversed(range(len(images))))
    if getattr(make(), "table", None) is None:  # a table has a row for each image as they are
        turned = make().describe(le.ImageSubset(images, order))
        assert torch.equal(turned.values, concepts.values[order])
    assert torch.equal(
        concepts.values[:, concepts.names.index("red")]
        if "red" in concepts.names
        else concepts.values[:, concepts.names.index("warm")],
        torch.tensor([float(label == 0) for label in contracts.labels()]),
    )


@pytest.mark.parametrize("make", contracts.EXPLAINERS.values(), ids=contracts.EXPLAINERS)
def test_explainer(make, tmp_path):
    explanations = make().explain(PLANTED.activations, PLANTED.concepts, SPLIT)
    assert explanations.neurons == PLANTED.activations.neurons
    assert explanations.layer == PLANTED.activations.layer
    assert set(explanations.names) <= set(PLANTED.concepts.names)
    assert make() == make()  # settings are values
    explanations.to_csv(tmp_path / "e.csv")
    assert le.Explanations.from_csv(tmp_path / "e.csv").items == explanations.items
    usable = find_usable(PLANTED.concepts, SPLIT, make().min_activity)
    assert make().explain(PLANTED.activations, PLANTED.concepts, SPLIT, usable=usable).items == explanations.items
    shuffled = torch.randperm(len(SPLIT.test), generator=torch.Generator().manual_seed(0))
    again = make().explain(
        PLANTED.activations, PLANTED.concepts, le.Split(SPLIT.train, SPLIT.val, SPLIT.test[shuffled])
    )
    assert again.items == explanations.items


@pytest.mark.parametrize("name", SEARCHES)
def test_the_settings_of_a_search_have_the_explainers_defaults(name):
    """As an object, by name, or called directly: what is not said is the same everywhere."""
    defaults = {field.name: field.default for field in fields(le.LinearExplainer)}
    own = {field.name: field.default for field in fields(SEARCHES[name])}
    assert "max_terms" in own
    assert own == {setting: defaults[setting] for setting in own}
    of_search = inspect.signature(getattr(solve, f"search_{name.replace('-', '_')}")).parameters.values()
    of_net = inspect.signature(solve.solve_elastic_net).parameters.values()
    said = {one.name: one.default for one in (*of_search, *of_net) if one.name in own and one.default is not one.empty}
    assert said == own


@pytest.mark.parametrize("make", contracts.SCORERS.values(), ids=contracts.SCORERS)
def test_scorer(make):
    recorded = PLANTED.activations
    perfect = make().score(recorded, recorded, SPLIT.test)
    assert isinstance(perfect, le.Scores)
    np.testing.assert_allclose(perfect.values, torch.ones(5, dtype=torch.float64), atol=1e-12)
    noise = torch.rand(recorded.values.shape, generator=torch.Generator().manual_seed(0))
    worse = make().score(le.ActivationMatrix(noise), recorded, SPLIT.test)
    assert (worse.values < perfect.values).all()
    explained = le.LinearExplainer().explain(recorded, PLANTED.concepts, SPLIT)
    simulated = le.simulate(explained, PLANTED.concepts)
    scores = make().score(simulated, recorded, SPLIT.test)
    assert scores.mean > 0.8
    assert make() == make()
    turned = recorded.select(recorded.neurons[::-1])
    assert torch.equal(make().score(turned, recorded, SPLIT.test).values, perfect.values.flip(0))
    part = make().score(simulated.select([3, 1]), recorded, SPLIT.test)
    assert (part.neurons, part.values.tolist()) == ((3, 1), [scores.of(3), scores.of(1)])
    shuffled = torch.randperm(len(SPLIT.test), generator=torch.Generator().manual_seed(0))
    np.testing.assert_allclose(
        make().score(simulated, recorded, SPLIT.test[shuffled]).values, scores.values, atol=1e-12
    )
    with pytest.raises(le.DifferentImagesError, match="Image 120 is to be scored on, but the images are 0 to 119"):
        make().score(simulated, recorded, [0, 120])
    one, other = (le.ActivationMatrix(recorded.values, None, layer) for layer in ("layer3", "layer4"))
    with pytest.raises(ValueError, match=r"are of layer 'layer3', the recorded ones of layer 'layer4'\. Score expl"):
        make().score(one, other, SPLIT.test)
