"""A page about regions: its maps and masks are those of the matrices, and a browser draws them where they are."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import linexp as le
from linexp.explanations import mask_of
from linexp.figures import look_through
from linexp.matrix import Regions
from tests.browser import Page, open_browser
from tests.region_world import SIDE, draw

CELLS, TOP, MASK = 4, 3, 56


@pytest.fixture(scope="module")
def result(tmp_path_factory: Any) -> le.Result:
    """Red, green and blue of 4 x 4 cells, explained by masks; the pictures are seen mirrored."""
    folder = tmp_path_factory.mktemp("pages")
    draw(folder)
    images = le.ImageFolder(folder / "pictures")
    pixels = np.stack([np.asarray(images[row])[:, ::-1] for row in range(len(images))]).astype(np.float32) / 255
    cells = pixels.reshape(len(images), CELLS, SIDE // CELLS, CELLS, SIDE // CELLS, 3).mean((2, 4)).reshape(-1, 3)
    mirrored = torch.tensor([[0.0, 1.0, 1.0, 0.0]] * len(images), dtype=torch.float64)
    regions = Regions(len(images), CELLS, CELLS, images.fingerprint, mirrored)
    activations = le.ActivationMatrix(cells, layer="maps", regions=regions)
    concepts = le.PixelConcepts(folder / "masks", ["ground", "red", "green"]).describe(images, activations)
    split = le.Split.random(len(images)).for_rows(activations)
    explanations = le.LinearExplainer(min_activity=0).explain(activations, concepts, split)
    names = tuple(images.name(row) for row in range(len(images)))
    return le.Result(activations, concepts, split, explanations, images=images, image_names=names)


@pytest.fixture(scope="module")
def path(result: le.Result, tmp_path_factory: Any) -> Path:
    return le.write_report(result, tmp_path_factory.mktemp("report"))


def data_of(path: Path) -> Any:
    found = re.search(r'<script[^>]*id="data"[^>]*>(.*?)</script>', path.read_text(encoding="utf-8"), re.S)
    assert found is not None
    return json.loads(found[1])


def bytes_of(text: str, kind: str = "u1") -> Any:
    return np.frombuffer(base64.b64decode(text), f"<{kind}").astype(np.int64)


def test_maps_are_those_of_the_matrix(result: le.Result, path: Path) -> None:
    layer = data_of(path)["layers"][0]
    places, predicted = layer["places"], layer["methods"][0]["places"]
    values = result.activations.values.numpy().reshape(-1, CELLS * CELLS, 3)
    said = le.simulate(result.explanations, result.concepts).values.numpy().reshape(-1, CELLS * CELLS, 3)
    test = result.split_of_images.test.numpy()
    names = data_of(path)["names"]
    top = bytes_of(places["top"], "u2").reshape(3, TOP)
    for neuron in range(2):
        highest = test[np.argsort(-values[test, :, neuron].max(1), kind="stable")[:TOP]]
        shown = [names[layer["pictures"][place]] for place in top[neuron]]
        assert [Path(name).name for name in shown] == [Path(result.image_names[row]).name for row in highest]
        for packed, of, ends in ((places, values, layer), (predicted, said, layer["methods"][0])):
            steps = bytes_of(packed["topMaps"]).reshape(3, TOP, CELLS * CELLS)[neuron]
            low, high = ends["low"][neuron], ends["high"][neuron]
            read = low + (high - low) * steps / 255
            assert read == pytest.approx(of[highest, :, neuron], abs=(high - low) / 254)
        assert places["cuts"][neuron] == pytest.approx(
            np.quantile(result.activations.values[result.split.train, neuron].double().numpy(), 0.995), rel=1e-4
        )


def test_what_ranges_show_are_cells(result: le.Result, path: Path) -> None:
    layer = data_of(path)["layers"][0]
    n_shown = 8 * layer["nPictures"]
    cells = bytes_of(layer["places"]["cells"], "u2").reshape(3, n_shown)
    maps = bytes_of(layer["places"]["maps"]).reshape(3, n_shown, CELLS * CELLS)
    values = bytes_of(layer["values"], "u2").reshape(3, n_shown)
    shown = bytes_of(layer["shown"], "u2").reshape(3, n_shown) != 2**16 - 1
    for neuron in range(3):
        chosen = maps[neuron, np.arange(n_shown), cells[neuron]][shown[neuron]]
        assert chosen / 255 == pytest.approx(values[neuron][shown[neuron]] / 65535, abs=1 / 254)


def test_masks_are_those_of_the_pixels(result: le.Result, path: Path) -> None:
    predicted = data_of(path)["layers"][0]["methods"][0]["places"]
    packed = np.frombuffer(base64.b64decode(predicted["masks"]), np.uint8).reshape(-1, MASK * MASK // 8)
    masks = iter(np.unpackbits(packed, axis=1, bitorder="little").reshape(-1, MASK, MASK).astype(bool))
    test, concepts = result.split_of_images.test.numpy(), result.concepts
    assert isinstance(concepts, le.PixelConceptMatrix)
    values = result.activations.values.numpy().reshape(-1, CELLS * CELLS, 3)
    for neuron, item in enumerate(result.explanations):
        for row in test[np.argsort(-values[test, :, neuron].max(1), kind="stable")[:TOP]]:
            for term in item.terms[:3]:
                expected = concepts.maps[row, 0, ::2, ::2] == concepts.names.index(str(term.concept))
                found = next(masks)
                # A pixel of 2 x 2 may take any of these: there are no others.
                assert (found ^ expected).mean() < 0.1
                assert found.any() == expected.any()
    assert next(masks, None) is None


def test_a_mask_of_a_formula_holds_where_the_formula_does(result: le.Result) -> None:
    concepts = result.concepts
    assert isinstance(concepts, le.PixelConceptMatrix)
    formula = le.Formula.parse("(NOT ground) AND (NOT green)")
    known = (concepts.maps[3] != -2).all(0)
    red = mask_of(concepts, 3, "red", concepts.maps.shape[-1])
    assert np.array_equal(mask_of(concepts, 3, formula, concepts.maps.shape[-1])[known], red[known])


def test_pictures_show_what_the_network_sees() -> None:
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[:, :20, 0] = 255
    picture = Image.fromarray(pixels)
    assert np.asarray(look_through(picture, (0, 0.5, 1, 1), 8)).max() == 0
    mirrored = np.asarray(look_through(picture, (0, 1, 1, 0), 8))
    assert mirrored[:, :3, 0].max() < 20  # resizing rings a little beside edges
    assert mirrored[:, 5:, 0].min() > 235
    padded = np.asarray(look_through(picture, (-0.5, -0.5, 1.5, 0.5), 8))
    assert padded[4, :3].max() < 20
    assert padded[4, 5, 0] > 235


def test_thumbnails_are_mirrored_as_the_network_sees_them(result: le.Result, path: Path) -> None:
    names = [Path(name).name for name in data_of(path)["names"]]
    assert result.images is not None
    row = [Path(name).name for name in result.image_names].index(names[0])
    thumbnail = np.asarray(Image.open(io.BytesIO((path.parent / "thumbs" / "00000.webp").read_bytes()))).astype(int)
    large = np.asarray(result.images[row].resize(thumbnail.shape[:2], Image.Resampling.LANCZOS)).astype(int)
    assert np.abs(thumbnail - large[:, ::-1]).mean() < 8
    assert np.abs(thumbnail - large).mean() > 10


def test_a_browser_draws_the_map_where_it_is(result: le.Result, path: Path) -> None:
    for browser in open_browser():
        page = Page(browser, path)
        page.ask("() => { location.hash = '#neuron-0'; }")
        page.page.wait_for_selector("#neuron-0.drawn .place canvas.heat")
        assert page.page.locator("#neuron-0 .place").count() == TOP
        assert page.page.locator("#neuron-0 .place canvas").count() == TOP * 5
        # The most opaque pixel of the heat lies in the highest cell.
        at = page.ask(
            """() => { const one = document.querySelector('#neuron-0 .place canvas.heat');
            const {data} = one.getContext('2d').getImageData(0, 0, one.width, one.height); let best = 0;
            for (let k = 0; k < data.length / 4; k += 1) if (data[4 * k + 3] > data[4 * best + 3]) best = k;
            return [Math.floor(best / one.width) / one.height, (best % one.width) / one.width]; }"""
        )
        values = result.activations.values.numpy().reshape(-1, CELLS, CELLS, 3)[..., 0]
        test = result.split_of_images.test.numpy()
        first = values[test[np.argsort(-values[test].max((1, 2)), kind="stable")[0]]]
        assert first[int(at[0] * CELLS), int(at[1] * CELLS)] == pytest.approx(first.max(), rel=0.02)
        button = page.page.locator("button[name=heat]")
        assert page.page.locator("#neuron-0 canvas.heat").first.is_visible()
        button.click()
        assert not page.page.locator("#neuron-0 canvas.heat").first.is_visible()
        assert page.page.locator("#neuron-0 canvas.contour").first.is_visible()
        assert "regions of test images" in page.page.locator("#neuron-0").inner_text()
        assert page.complaints == []
        page.context.close()


def test_a_notebook_draws_the_same_map(result: le.Result) -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot")
    item, concepts, train = result.explanations[0], result.concepts, result.split.train
    axes = le.plot_map(item, result.activations, result.images, concepts=concepts, rows=train)
    values = result.activations.values[:, 0].reshape(-1, CELLS, CELLS)
    row = int(values.amax((1, 2)).argmax())
    large = torch.nn.functional.interpolate(values[row][None, None], (224, 224), mode="bilinear")[0, 0].numpy()
    heats = [one for one in axes.images if one.get_cmap().name == "autumn"]
    assert len(heats) == 2  # recorded and predicted
    assert np.asarray(heats[0].get_array()) == pytest.approx(np.clip(large / large.max(), 0, 1), abs=1e-5)
    assert [text.get_text() for text in axes.texts] == ["neuron", "predicted", ", ".join(item.names[:3])]
    alone = le.plot_map(item, result.activations, result.images, 2)
    assert len([one for one in alone.images if one.get_cmap().name == "autumn"]) == 1
    with pytest.raises(ValueError, match="There is no image 30"):
        le.plot_map(item, result.activations, result.images, 30)
    with pytest.raises(ValueError, match="Record regions"):
        le.plot_map(item, le.ActivationMatrix(np.zeros((30, 3))), result.images)
    pyplot.close("all")
