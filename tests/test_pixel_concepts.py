"""Masks of every kind become shares of regions; each reader against files in its own layout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import linexp as le
from linexp.concepts.pixels.base import stack
from linexp.matrix import IGNORED, NONE, Regions

NAMES = ["sky", "road", "car"]


@pytest.fixture
def pictures(tmp_path: Path) -> le.ImageFolder:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(3):
        Image.new("RGB", (12, 8), (number, 0, 0)).save(folder / f"p{number}.png")
    return le.ImageFolder(folder)


def save_masks(folder: Path, masks: np.ndarray[Any, Any]) -> Path:
    folder.mkdir(exist_ok=True)
    for number, mask in enumerate(masks):
        Image.fromarray(mask.astype(np.uint8)).save(folder / f"p{number}.png")
    return folder


def literal_share(mask: np.ndarray[Any, Any], value: int, window: Any, grid: tuple[int, int], cell: Any) -> float:
    """Count points of a fine lattice inside a cell: a slow twin of the areas."""
    n = 240
    top, left, bottom, right = window
    rows = top + (bottom - top) * (cell[0] + (np.arange(n) + 0.5) / n) / grid[0]
    columns = left + (right - left) * (cell[1] + (np.arange(n) + 0.5) / n) / grid[1]
    found = mask[(rows * mask.shape[0]).astype(int)][:, (columns * mask.shape[1]).astype(int)]
    known = found != 255
    return float((found == value).sum() / known.sum()) if known.any() else 0.0


@pytest.mark.parametrize("window", [(0.0, 0.0, 1.0, 1.0), (0.1, 0.2, 0.8, 0.9), (0.0, 0.9, 1.0, 0.3)])
@pytest.mark.parametrize("grid", [(1, 1), (2, 3), (3, 5)])
def test_shares_are_those_of_a_literal_count(
    tmp_path: Path, pictures: le.ImageFolder, window: tuple[float, ...], grid: tuple[int, int]
) -> None:
    masks = np.random.default_rng(0).choice([0, 1, 2, 255], (3, 8, 12))
    folder = save_masks(tmp_path / "masks", masks)
    regions = Regions(3, *grid, pictures.fingerprint, torch.tensor([window] * 3, dtype=torch.float64))
    found = le.PixelConcepts(folder, NAMES).describe(pictures, rows=regions)
    assert found.images == regions.fingerprint
    for row in range(regions.n_rows):
        image, *cell = regions.place(row)
        for value in range(3):
            expected = literal_share(masks[image], value, window, grid, cell)
            assert float(found.values[row, value]) == pytest.approx(expected, abs=0.012)


def test_without_regions_a_row_is_a_whole_picture(tmp_path: Path, pictures: le.ImageFolder) -> None:
    masks = np.zeros((3, 8, 12))
    masks[1, :4] = 2
    found = le.PixelConcepts(save_masks(tmp_path / "masks", masks), NAMES).describe(pictures)
    assert found.images == pictures.fingerprint
    assert found.values.tolist() == [[1, 0, 0], [0.5, 0, 0.5], [1, 0, 0]]


def test_the_mirrored_half_is_seen_mirrored(tmp_path: Path, pictures: le.ImageFolder) -> None:
    masks = np.zeros((3, 8, 12))
    masks[:, :, :6] = 1  # road at the left
    folder = save_masks(tmp_path / "masks", masks)
    window = torch.tensor([[0.0, 1.0, 1.0, 0.0]] * 3)
    regions = Regions(3, 1, 2, pictures.fingerprint, window)
    found = le.PixelConcepts(folder, NAMES, side=4).describe(pictures, rows=regions)
    assert found.values[:2].tolist() == [[1, 0, 0], [0, 1, 0]]
    assert found.maps[0, 0].tolist() == [[0, 0, 1, 1]] * 4


def test_cells_of_ignored_pixels_are_said(tmp_path: Path, pictures: le.ImageFolder) -> None:
    masks = np.zeros((3, 8, 12))
    masks[2] = 255
    folder = save_masks(tmp_path / "masks", masks)
    with pytest.warns(UserWarning, match="1 of 3 regions show nothing but ignored"):
        found = le.PixelConcepts(folder, NAMES, side=2).describe(pictures)
    assert found.values[2].tolist() == [0, 0, 0]
    assert (found.maps[2] == IGNORED).all()


def test_what_lies_outside_the_picture_is_unknown(tmp_path: Path, pictures: le.ImageFolder) -> None:
    folder = save_masks(tmp_path / "masks", np.ones((3, 8, 12)))
    window = torch.tensor([[-1.0, 0.0, 1.0, 1.0]] * 3)
    with pytest.warns(UserWarning, match="nothing but ignored"):
        found = le.PixelConcepts(folder, NAMES, side=2).describe(
            pictures, rows=Regions(3, 2, 1, pictures.fingerprint, window)
        )
    assert found.maps[0, 0].tolist() == [[IGNORED, IGNORED], [1, 1]]
    assert found.values[:2].tolist() == [[0, 0, 0], [0, 1, 0]]


def test_masks_that_do_not_fit_are_refused(tmp_path: Path, pictures: le.ImageFolder) -> None:
    folder = save_masks(tmp_path / "masks", np.zeros((3, 8, 12)))
    Image.fromarray(np.zeros((8, 11), np.uint8)).save(folder / "p1.png")
    with pytest.raises(ValueError, match=r"p1.png' has 11 x 8 pixels and the image .* 12 x 8"):
        le.PixelConcepts(folder, NAMES).describe(pictures)
    Image.fromarray(np.full((8, 12), 7, np.uint8)).save(folder / "p1.png")
    with pytest.raises(ValueError, match="values 7, which have no name"):
        le.PixelConcepts(folder, NAMES).describe(pictures)
    Image.new("RGB", (12, 8)).save(folder / "p1.png")
    with pytest.raises(ValueError, match="single channel"):
        le.PixelConcepts(folder, NAMES).describe(pictures)
    (folder / "p1.png").unlink()
    with pytest.raises(ValueError, match=r"no mask of the image .*p1.png"):
        le.PixelConcepts(folder, NAMES).describe(pictures)
    with pytest.raises(FileNotFoundError, match="There is no folder"):
        le.PixelConcepts(tmp_path / "none", NAMES).describe(pictures)


def test_a_folder_needs_names_and_nothing_else_takes_them(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needs names"):
        le.PixelConcepts(tmp_path)
    with pytest.raises(ValueError, match="nothing else takes names"):
        le.PixelConcepts(le.ColourConcepts(), NAMES)
    with pytest.raises(ValueError, match="Name each value"):
        le.PixelConcepts(le.LabelMaps(tmp_path, []), None).describe(np.zeros((2, 4, 4, 3), np.uint8))


@pytest.mark.parametrize("text", ["0\tsky\n1\troad\n2\tcar\n", "0,sky\n1,road\n2,car", "sky\nroad\n\ncar\n"])
def test_names_are_read_from_a_file(tmp_path: Path, pictures: le.ImageFolder, text: str) -> None:
    folder = save_masks(tmp_path / "masks", np.ones((3, 8, 12)))
    (tmp_path / "names.txt").write_text(text)
    found = le.PixelConcepts(folder, tmp_path / "names.txt").describe(pictures)
    assert found.names == ("sky", "road", "car")
    assert found.values[0].tolist() == [0, 1, 0]
    (tmp_path / "names.txt").write_text("0\tsky\nroad\n")
    with pytest.raises(ValueError, match="mixes lines"):
        le.PixelConcepts(folder, tmp_path / "names.txt").describe(pictures)


def test_rows_of_other_pictures_are_refused(tmp_path: Path, pictures: le.ImageFolder) -> None:
    folder = save_masks(tmp_path / "masks", np.ones((3, 8, 12)))
    with pytest.raises(le.DifferentImagesError):
        le.PixelConcepts(folder, NAMES).describe(pictures, rows=Regions(3, 2, 2, "other"))
    with pytest.raises(le.DifferentImagesError):
        le.PixelConcepts(folder, NAMES).describe(pictures, rows=le.ActivationMatrix(torch.rand(4, 2)))


def test_masks_that_lie_over_each_other_get_layers() -> None:
    first, second = np.zeros((2, 3), bool), np.zeros((2, 3), bool)
    first[0], second[:, 0] = True, True
    layers = stack([(0, first), (1, second), (1, first)], (2, 3))
    shown = [{int(one) for one in pixel if one != NONE} for pixel in np.stack(layers).reshape(len(layers), -1).T]
    assert shown == [{0, 1}, {0, 1}, {0, 1}, {1}, set(), set()]


def test_binary_masks_of_each_concept(tmp_path: Path, pictures: le.ImageFolder) -> None:
    for concept, number in (("dog", 0), ("tail", 0), ("dog", 2)):
        (tmp_path / "masks" / concept).mkdir(parents=True, exist_ok=True)
        mask = np.zeros((8, 12), np.uint8)
        mask[:4] = 200
        Image.fromarray(mask).save(tmp_path / "masks" / concept / f"p{number}.png")
    found = le.PixelConcepts(le.BinaryMasks(tmp_path / "masks")).describe(pictures)
    assert found.names == ("dog", "tail")
    assert found.values.tolist() == [[0.5, 0.5], [0, 0], [0.5, 0]]
    other = le.ImageArray(np.zeros((2, 4, 4, 3), np.uint8))
    with pytest.raises(ValueError, match="has the name of an image"):
        le.PixelConcepts(le.BinaryMasks(tmp_path / "masks")).describe(other)


def test_boxes_from_a_table(tmp_path: Path, pictures: le.ImageFolder) -> None:
    table = tmp_path / "boxes.tsv"
    table.write_text(
        "picture\tconcept\tleft\ttop\tright\tbottom\n"
        + "".join(f"p{number}.png\tn1\t0\t0\t5\t{3 + number}\n" for number in range(3))
    )
    found = le.PixelConcepts(le.Boxes(table, {"n1": "dog"})).describe(pictures)
    assert found.names == ("dog",)
    assert found.values[:, 0].tolist() == pytest.approx([6 * (4 + number) / 96 for number in range(3)])
    table.write_text("p0.png\tdog\t0\t0\t5\n")
    with pytest.raises(ValueError, match="no box for the image"):
        le.PixelConcepts(le.Boxes(table)).describe(pictures)
    table.write_text("p0.png\tdog\t0\t0\t5\t3\np1.png\tdog\t0\n")
    with pytest.raises(ValueError, match="Line 2 of"):
        le.PixelConcepts(le.Boxes(table)).describe(pictures)


def test_broden_as_its_makers_publish_it(tmp_path: Path) -> None:
    (tmp_path / "images" / "a").mkdir(parents=True)
    Image.new("RGB", (4, 4)).save(tmp_path / "images" / "a" / "1.jpg")
    values = np.zeros((4, 4, 3), np.uint8)
    values[:2] = (44, 1, 0)  # number 300
    Image.fromarray(values).save(tmp_path / "images" / "a" / "1_object.png")
    (tmp_path / "label.csv").write_text(
        "number,name,category,frequency,coverage,syns\n"
        "1,street,scene(9),9,0.1,\n2,red,color(4),4,0.2,\n300,tree,object(50);part(2),52,0.3,tree\n"
    )
    (tmp_path / "index.csv").write_text(
        "image,split,ih,iw,sh,sw,color,object,part,material,scene,texture\na/1.jpg,train,4,4,4,4,,a/1_object.png,,,1,\n"
    )
    masks = le.BrodenMasks(tmp_path)
    found = le.PixelConcepts(masks).describe(masks.pictures())
    shares = dict(zip(found.names, found.values[0].tolist(), strict=True))
    assert shares == {"street": 1.0, "red": 0.0, "tree": 0.5}
    assert found.categories == {"scene": ("street",), "color": ("red",), "object": ("tree",)}
    (tmp_path / "label.csv").write_text("id,name\n1,street\n")
    with pytest.raises(ValueError, match="no column 'number'"):
        le.PixelConcepts(le.BrodenMasks(tmp_path)).describe(masks.pictures())


def test_coco_polygons_codes_and_panoptic(tmp_path: Path, pictures: le.ImageFolder) -> None:
    codes = pytest.importorskip("pycocotools.mask")
    right = np.zeros((8, 12), np.uint8)
    right[:, 6:] = 1
    coded = codes.encode(np.asfortranarray(right))
    told: dict[str, Any] = {
        "images": [{"id": number, "file_name": f"p{number}.png"} for number in range(3)],
        "categories": [{"id": 5, "name": "dog", "supercategory": "animal"}, {"id": 9, "name": "tree"}],
        "annotations": [
            {"image_id": 0, "category_id": 5, "segmentation": [[0, 0, 6, 0, 6, 8, 0, 8]]},
            {"image_id": 1, "category_id": 9, "segmentation": {"size": [8, 12], "counts": coded["counts"].decode()}},
        ],
    }
    path = tmp_path / "instances.json"
    path.write_text(json.dumps(told))
    found = le.PixelConcepts(le.CocoMasks(path)).describe(pictures)
    assert found.values.tolist() == [[0.5, 0], [0, 0.5], [0, 0]]
    assert found.categories == {"animal": ("dog",)}
    (tmp_path / "panoptic").mkdir()
    picture = np.zeros((8, 12, 3), np.uint8)
    picture[:2] = (7, 1, 0)  # segment 263
    Image.fromarray(picture).save(tmp_path / "panoptic" / "p0.png")
    segments = [{"id": 263, "category_id": 9}]
    told["annotations"] = [{"image_id": 0, "file_name": "p0.png", "segments_info": segments}]
    path.write_text(json.dumps(told))
    found = le.PixelConcepts(le.CocoMasks(path, tmp_path / "panoptic")).describe(pictures)
    assert found.values[0].tolist() == [0, 0.25]
    with pytest.raises(ValueError, match="panoptic="):
        le.PixelConcepts(le.CocoMasks(path)).describe(pictures)
    path.write_text("[]")
    with pytest.raises(ValueError, match="no annotation file"):
        le.PixelConcepts(le.CocoMasks(path)).describe(pictures)


@pytest.mark.parametrize(
    ("colour", "term"),
    [
        ((10, 10, 10), "black"), ((250, 250, 250), "white"), ((128, 128, 128), "grey"), ((210, 20, 25), "red"),
        ((250, 145, 10), "orange"), ((250, 235, 20), "yellow"), ((30, 140, 40), "green"), ((30, 60, 200), "blue"),
        ((125, 45, 150), "purple"), ((250, 170, 200), "pink"), ((115, 70, 35), "brown"),
    ],
)  # fmt: skip
def test_colours_have_their_names(colour: tuple[int, int, int], term: str) -> None:
    assert le.ColourConcepts().name(np.array([colour])) == [term]


def test_colours_need_no_labels() -> None:
    pictures = np.zeros((2, 4, 4, 3), np.uint8)
    pictures[0, :2] = (220, 20, 30)
    found = le.PixelConcepts(le.ColourConcepts()).describe(pictures)
    shares = dict(zip(found.names, found.values[0].tolist(), strict=True))
    assert (shares["red"], shares["black"]) == (0.5, 0.5)


def halves(picture: Image.Image) -> np.ndarray[Any, Any]:
    found = np.zeros((picture.height, picture.width), np.int64)
    found[:, picture.width // 2 :] = 1
    return found


def test_a_segmenter_of_ones_own(pictures: le.ImageFolder) -> None:
    found = le.PixelConcepts(le.SegmenterConcepts((halves, ["left", "right"]))).describe(pictures)
    assert found.values.tolist() == [[0.5, 0.5]] * 3
    with pytest.raises(ValueError, match="has 1 names"):
        le.PixelConcepts(le.SegmenterConcepts((halves, ["left"]))).describe(pictures)
    no_map: Any = np.atleast_1d
    with pytest.raises(ValueError, match="one whole number for each pixel"):
        le.PixelConcepts(le.SegmenterConcepts((no_map, ["left"]))).describe(pictures)
    with pytest.raises(ValueError, match="hf:NAME"):
        le.PixelConcepts(le.SegmenterConcepts("nobody")).describe(pictures)


def save_segformer(folder: Path) -> Path:
    import transformers

    torch.manual_seed(0)
    config = transformers.SegformerConfig(
        num_encoder_blocks=1, depths=[1], sr_ratios=[2], hidden_sizes=[8], patch_sizes=[3], strides=[2],
        num_attention_heads=[1], mlp_ratios=[2], decoder_hidden_size=8,         id2label=dict(enumerate(NAMES)),
    )  # fmt: skip
    transformers.SegformerForSemanticSegmentation(config).save_pretrained(folder)
    transformers.SegformerImageProcessorPil(size={"height": 16, "width": 16}).save_pretrained(folder)
    return folder


def test_a_segmentation_model_of_transformers_says_what_a_direct_call_says(
    tmp_path: Path, pictures: le.ImageFolder
) -> None:
    import transformers

    folder = save_segformer(tmp_path / "model")
    found = le.PixelConcepts(le.SegmenterConcepts(f"hf:{folder}")).describe(pictures)
    model = transformers.SegformerForSemanticSegmentation.from_pretrained(folder).eval()
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    with torch.no_grad():
        outputs = model(**processor(images=pictures[1], return_tensors="pt"))
    expected = processor.post_process_semantic_segmentation(outputs, target_sizes=[(8, 12)])[0]
    shares = [float((expected == number).float().mean()) for number in range(3)]
    assert found.values[1].tolist() == pytest.approx(shares)
    assert found.names == tuple(NAMES)


def test_some_concepts_of_a_matrix_keep_their_pixels(tmp_path: Path, pictures: le.ImageFolder) -> None:
    masks = np.random.default_rng(0).choice([0, 1, 2, 255], (3, 8, 12))
    found = le.PixelConcepts(save_masks(tmp_path / "masks", masks), NAMES, side=8).describe(pictures)
    some = found.only(["car", "sky"])
    assert isinstance(some, le.PixelConceptMatrix)
    for old, new in ((0, 1), (1, NONE), (2, 0), (IGNORED, IGNORED)):
        assert (some.maps[found.maps == old] == new).all()
