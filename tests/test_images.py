"""Image collections: what they hold, in which order, what identifies them, and what they say when they cannot."""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
from PIL import Image

import linexp
from linexp.images import (
    HuggingFaceImages,
    ImageArray,
    ImageFiles,
    ImageFolder,
    Images,
    ImageSubset,
    as_images,
    find_broken,
)


def save(path: Path, shade: int = 0, size: tuple[int, int] = (3, 2)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (shade, 0, 0)).save(path, format="PNG")
    return path


def shade(picture: Image.Image) -> int:
    return picture.getpixel((0, 0))[0]


def shades(images: Images) -> list[int]:
    return [shade(images[row]) for row in range(len(images))]


def says(kind: type[Exception], message: str) -> pytest.RaisesExc:
    return pytest.raises(kind, match=f"^{re.escape(message)}$")


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    """Two classes whose order differs from that of whole paths ("-" sorts before "/")."""
    folder = tmp_path / "pictures"
    save(folder / "cat" / "b.png", 20)
    save(folder / "cat" / "a" / "deep.PNG", 10)
    save(folder / "cat-fish" / "x.Jpeg", 30)
    return folder


# --- folders ---


def test_a_folder_of_classes_is_ordered_by_class_then_path(classes: Path) -> None:
    images = ImageFolder(classes)
    assert images.label_names == ("cat", "cat-fish")
    assert images.labels == (0, 0, 1)
    assert images.files == ("cat/a/deep.PNG", "cat/b.png", "cat-fish/x.Jpeg")
    assert shades(images) == [10, 20, 30]
    assert images.name(1) == str(classes / "cat" / "b.png")
    assert all(type(label) is int for label in images.labels)


def test_human_names_apply_to_the_folders_they_mention(classes: Path) -> None:
    save(classes / "n01" / "a.png")
    images = ImageFolder(classes, class_names={"cat": "pet", "n01": "pet", "elsewhere": "unused"})
    assert images.label_names == ("pet", "cat-fish", "pet")
    assert images.labels == (0, 0, 1, 2)


def test_a_flat_folder_has_no_labels(tmp_path: Path) -> None:
    for name, value in (("b.png", 2), ("a.png", 1), ("c.png", 3)):
        save(tmp_path / name, value)
    images = ImageFolder(str(tmp_path))
    assert images.labels is None
    assert images.label_names == ()
    assert shades(images) == [1, 2, 3]


SUFFIXES = "jpg jpeg png bmp gif webp tif tiff ppm pgm pbm jfif JPG Tiff"


@pytest.mark.parametrize("suffix", SUFFIXES.split())
def test_every_extension_is_found_in_any_case(tmp_path: Path, suffix: str) -> None:
    Image.new("L", (2, 2)).save(save(tmp_path / f"a.{suffix}"))
    assert len(ImageFolder(tmp_path)) == 1
    assert ImageFolder(tmp_path)[0].size == (2, 2)


def test_hidden_and_foreign_files_are_ignored(classes: Path) -> None:
    before = ImageFolder(classes).files
    save(classes / ".thumbs" / "a.png")
    save(classes / "__MACOSX" / "a.png")
    save(classes / "cat" / "._b.png")
    save(classes / "cat" / ".hidden" / "a.png")
    (classes / "README.txt").write_text("no picture")
    (classes / "empty class" / "deeper").mkdir(parents=True)
    assert ImageFolder(classes).files == before
    assert ImageFolder(classes).label_names == ("cat", "cat-fish")


def test_a_link_back_to_a_folder_above_ends(classes: Path) -> None:
    (classes / "cat" / "loop").symlink_to(classes)
    assert ImageFolder(classes).files == ("cat/a/deep.PNG", "cat/b.png", "cat-fish/x.Jpeg")


def test_a_linked_class_is_followed(classes: Path, tmp_path: Path) -> None:
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "felines").symlink_to(classes / "cat")
    assert ImageFolder(tmp_path / "links").files == ("felines/a/deep.PNG", "felines/b.png")


def test_a_missing_folder(classes: Path) -> None:
    wrong = classes.parent / "picture"
    with says(
        FileNotFoundError,
        f"There is no folder '{wrong}'. Did you mean 'pictures'? Give an existing folder of images.",
    ):
        ImageFolder(wrong)
    (classes.parent / "photos").touch()
    with says(FileNotFoundError, f"There is no folder '{classes.parent}/photo'. Give an existing folder of images."):
        ImageFolder(classes.parent / "photo")
    far = classes.parent / "nowhere" / "xyz"
    with says(FileNotFoundError, f"There is no folder '{far}'. Give an existing folder of images."):
        ImageFolder(far)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png")
    with says(
        NotADirectoryError,
        f"'{path}' is a file, not a folder. Give the folder that holds the images, or a list of paths (ImageFiles).",
    ):
        ImageFolder(path)


def test_a_folder_without_pictures(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("no picture")
    with says(
        ValueError,
        f"No images found in '{tmp_path}'. Give a folder with pictures in it or in its sub-folders "
        "(.bmp, .gif, .jfif, .jpeg, .jpg, .pbm, .pgm, .png, .ppm, .tif, .tiff, .webp).",
    ):
        ImageFolder(tmp_path)


def test_pictures_at_the_top_and_below_are_ambiguous(classes: Path) -> None:
    save(classes / "stray.png")
    with says(
        ValueError,
        f"'{classes}' holds pictures both at the top (1, such as 'stray.png') and in sub-folders (3, such as "
        "'cat-fish/x.Jpeg'), so their classes are ambiguous. Move all of them into sub-folders, one for each class, "
        "or all to the top.",
    ):
        ImageFolder(classes)


# --- lists of files ---


def test_files_keep_the_order_of_the_list(tmp_path: Path) -> None:
    paths = [save(tmp_path / f"{name}.png", value) for name, value in (("z", 1), ("a", 2), ("m", 3))]
    images = ImageFiles([str(paths[0]), *paths[1:]], labels=np.array([1, 0, 1]), label_names=["no", "yes"])
    assert shades(images) == [1, 2, 3]
    assert images.labels == (1, 0, 1)
    assert images.label_names == ("no", "yes")
    assert images.name(0) == str(paths[0])
    assert repr(images) == "ImageFiles(3 images, 2 classes)"


@pytest.mark.parametrize(
    ("labels", "names", "kind", "message"),
    [
        ([0], ["a"], ValueError, "There are 1 labels for 2 images. Give one for each image."),
        (
            [0, 2],
            ["a", "b"],
            ValueError,
            "The label of image 1 is 2, but there are 2 label_names. Labels must lie between 0 and 1.",
        ),
        (
            [-1, 0],
            ["a", "b"],
            ValueError,
            "The label of image 0 is -1, but there are 2 label_names. Labels must lie between 0 and 1.",
        ),
        ([0, 0], [], ValueError, "There are 2 labels but no label_names. Give the name of each class."),
        (None, ["a"], ValueError, "There are 1 label_names but no labels. Give both or neither."),
        (
            [0.0, 1.5],
            ["a", "b"],
            TypeError,
            "The labels are an array of float64 with the shape [2]. Give a list of whole numbers.",
        ),
    ],
)
def test_labels_must_fit(labels: object, names: list[str], kind: type[Exception], message: str) -> None:
    with says(kind, message):
        ImageFiles(["a.png", "b.png"], labels, names)
    with says(kind, message):
        ImageArray(np.zeros((2, 4, 5), np.uint8), labels, names)


def test_paths_must_be_paths() -> None:
    with says(ValueError, "The list of image paths is empty. Give at least one path."):
        ImageFiles([])
    with says(TypeError, "'a.png' is one path. Give a list of paths, or use ImageFolder for a folder."):
        ImageFiles("a.png")
    with says(TypeError, "Path 1 is of type int. Give text or pathlib.Path."):
        ImageFiles(["a.png", 3])


# --- fingerprints ---


def test_fingerprint_of_a_folder_follows_its_content_only(classes: Path) -> None:
    first = ImageFolder(classes).fingerprint
    assert re.fullmatch("[0-9a-f]{64}", first)
    assert ImageFolder(classes, class_names={"cat": "pet"}).fingerprint == first
    moved = classes.rename(classes.parent / "moved")
    assert ImageFolder(moved).fingerprint == first


def change_size(folder: Path) -> None:
    status = (folder / "cat" / "b.png").stat()
    save(folder / "cat" / "b.png", 20, size=(90, 50))
    os.utime(folder / "cat" / "b.png", ns=(status.st_atime_ns, status.st_mtime_ns))


def change_pixels(folder: Path) -> None:
    """Change content alone: size and time of change stay."""
    path = folder / "cat" / "b.png"
    status, content = path.stat(), bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (status.st_size, status.st_mtime_ns)


def change_number(folder: Path) -> None:
    (folder / "cat" / "b.png").unlink()


@pytest.mark.parametrize("change", [change_size, change_pixels, change_number])
def test_fingerprint_notices_a_change(classes: Path, change: object) -> None:
    first = ImageFolder(classes).fingerprint
    change(classes)
    assert ImageFolder(classes).fingerprint != first


def change_time(folder: Path) -> None:
    os.utime(folder / "cat" / "b.png", ns=(1, 1))


def change_name(folder: Path) -> None:
    (folder / "cat" / "b.png").rename(folder / "cat" / "c.png")


def copy(folder: Path) -> None:
    shutil.copytree(folder, folder.with_name("copy"), copy_function=shutil.copyfile)
    shutil.rmtree(folder)
    folder.with_name("copy").rename(folder)


@pytest.mark.parametrize("change", [change_time, change_name, copy])
def test_fingerprint_is_content_and_order_alone(classes: Path, change: object) -> None:
    first = ImageFolder(classes).fingerprint
    change(classes)
    assert ImageFolder(classes).fingerprint == first


def let_time_pass(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make files old enough for their looks to count."""
    now = max(path.stat().st_ctime_ns for path in folder.rglob("*")) + 10**10
    monkeypatch.setattr(time, "time_ns", lambda: now)


def test_what_was_read_is_read_again_once_it_was_replaced(classes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    let_time_pass(classes, monkeypatch)
    images = ImageFolder(classes)
    first = images.fingerprint
    assert [images.recall(row) is not None for row in range(3)] == [True] * 3
    time.sleep(0.05)  # a tick of the file system's clock
    change_pixels(classes)
    assert images.files[1] == "cat/b.png"
    assert [images.recall(row) is not None for row in range(3)] == [True, False, True]
    assert images.fingerprint == ImageFolder(classes).fingerprint != first


def test_the_looks_of_a_file_just_written_prove_nothing(classes: Path) -> None:
    images = ImageFolder(classes)
    first = images.fingerprint
    assert images.recall(1) is None
    change_pixels(classes)
    assert images.fingerprint != first


def test_checking_reads_what_the_fingerprint_needs(classes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    let_time_pass(classes, monkeypatch)
    images, alone = ImageFolder(classes), ImageFolder(classes)
    for workers in (0, 2):
        subset = ImageSubset(images, [2, 0])
        assert find_broken(subset, workers=workers) == {}
        assert [images.recall(row) is not None for row in range(3)] == [True, False, True]
        assert subset.fingerprint == ImageFiles([classes / alone.files[row] for row in (2, 0)]).fingerprint
        images.known.clear()


def test_fingerprint_of_files_follows_order_but_no_place_and_no_label(tmp_path: Path, monkeypatch) -> None:
    paths = [save(tmp_path / "a.png", 1), save(tmp_path / "b.png", 2)]
    first = ImageFiles(paths).fingerprint
    assert ImageFiles(paths, [0, 1], ["x", "y"]).fingerprint == ImageFolder(tmp_path).fingerprint == first
    assert ImageFiles(paths[::-1]).fingerprint != first
    monkeypatch.chdir(tmp_path)
    assert ImageFiles(["a.png", "./b.png"]).fingerprint == first
    (tmp_path / "b.png").unlink()
    with pytest.raises(OSError, match=r"Cannot read the image '.*b\.png' \(No such file or directory\)\. Remove it"):
        _ = ImageFiles(paths).fingerprint


def test_fingerprint_of_an_array_follows_the_pixels_in_every_layout() -> None:
    values = np.arange(2 * 4 * 5 * 3, dtype=np.uint8).reshape(2, 4, 5, 3)
    first = ImageArray(values).fingerprint
    assert ImageArray(torch.from_numpy(values).permute(0, 3, 1, 2)).fingerprint == first
    assert ImageArray(values.astype(np.float32) / 255).fingerprint == first
    assert ImageArray(values, [0, 1], ["x", "y"]).fingerprint == first
    assert ImageArray(values[::-1]).fingerprint != first
    assert ImageArray(values.reshape(2, 5, 4, 3)).fingerprint != first


# --- subsets ---


def test_a_subset_takes_labels_and_names_along(classes: Path) -> None:
    images = ImageFolder(classes)
    subset = ImageSubset(images, torch.tensor([2, 0]))
    assert shades(subset) == [30, 10]
    assert subset.labels == (1, 0)
    assert subset.label_names == ("cat", "cat-fish")
    assert subset.name(0) == images.name(2)
    assert len(subset) == 2
    assert ImageSubset(ImageArray(np.zeros((3, 4, 4), np.uint8)), [1]).labels is None


def test_the_same_images_have_the_same_fingerprint(classes: Path) -> None:
    images = ImageFolder(classes)
    assert ImageSubset(images, range(3)).fingerprint == images.fingerprint
    prints = [images.fingerprint, *(ImageSubset(images, rows).fingerprint for rows in ([0, 1], [1, 0], [2]))]
    assert len(set(prints)) == 4
    nested = ImageSubset(ImageSubset(images, [2, 1, 0]), [2, 1])
    assert nested.rows == (0, 1)
    assert nested.fingerprint == prints[1]
    assert ImageSubset(images, (row for row in (0, 1))).fingerprint == prints[1]


def test_rows_of_a_subset_must_exist() -> None:
    images = ImageArray(np.zeros((3, 4, 4), np.uint8))
    with says(ValueError, "Row 3 is not among the 3 images. Rows must lie between 0 and 2."):
        ImageSubset(images, [0, 3])
    with says(ValueError, "Row -1 is not among the 3 images. Rows must lie between 0 and 2."):
        ImageSubset(images, np.array([-1]))
    with says(ValueError, "No row of the 3 images is chosen. Choose at least one."):
        ImageSubset(images, [])
    with says(TypeError, "The rows are an array of bool with the shape [3]. Give a list of whole numbers."):
        ImageSubset(images, [True, False, True])


# --- arrays ---


@pytest.mark.parametrize("kind", ["numpy", "torch"])
@pytest.mark.parametrize("channels_first", [False, True])
def test_arrays_of_colour_pictures(kind: str, channels_first: bool) -> None:
    values = np.arange(2 * 4 * 5 * 3, dtype=np.uint8).reshape(2, 4, 5, 3)
    given = np.moveaxis(values, 3, 1) if channels_first else values
    images = ImageArray(torch.from_numpy(given.copy()) if kind == "torch" else given)
    assert len(images) == 2
    np.testing.assert_array_equal(np.asarray(images[1]), values[1])
    assert images[1].mode == "RGB"
    assert images.name(1) == "image 1"
    assert images.labels is None


@pytest.mark.parametrize("shape", [(2, 4, 5), (2, 4, 5, 1), (2, 1, 4, 5)])
def test_arrays_of_grey_pictures(shape: tuple[int, ...]) -> None:
    values = np.arange(40, dtype=np.uint8)
    images = ImageArray(values.reshape(shape))
    np.testing.assert_array_equal(np.asarray(images[1]), np.stack([values[20:].reshape(4, 5)] * 3, axis=-1))


def test_an_ambiguous_shape_has_its_channels_last() -> None:
    values = np.arange(2 * 3 * 5 * 3, dtype=np.uint8).reshape(2, 3, 5, 3)
    assert ImageArray(values)[0].size == (5, 3)
    np.testing.assert_array_equal(np.asarray(ImageArray(values)[0]), values[0])
    assert ImageArray(np.zeros((2, 1, 5, 3), np.uint8))[0].size == (5, 1)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_floats_are_rounded_to_8_bits(dtype: torch.dtype) -> None:
    values = torch.tensor([0.0, 0.499 / 255, 0.501 / 255, 1.0], dtype=dtype).reshape(1, 2, 2).requires_grad_()
    assert ImageArray(values).values.ravel().tolist() == [0, 0, 1, 255]


def test_every_8_bit_value_survives_as_a_float() -> None:
    values = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    for dtype in (np.float16, np.float32, np.float64):
        np.testing.assert_array_equal(ImageArray(values.astype(dtype) / dtype(255)).values[..., 0], values)


@pytest.mark.parametrize(
    ("values", "kind", "message"),
    [
        (
            np.array([[[0.0, 255.0]]]),
            ValueError,
            "The values run from 0 to 255, but floats must lie between 0 and 1. "
            "Undo any normalisation, divide values up to 255 by 255, or give uint8.",
        ),
        (
            np.array([[[-2.1, 1.0]]]),
            ValueError,
            "The values run from -2.1 to 1, but floats must lie between 0 and 1. "
            "Undo any normalisation, divide values up to 255 by 255, or give uint8.",
        ),
        (
            np.array([[[0, 1]], [[np.nan, 0]]]),
            ValueError,
            "Image 1 contains NaN. Give uint8 (0 to 255), or floats between 0 and 1.",
        ),
        (
            np.array([[[0, 300]]]),
            TypeError,
            "The values are int64 and run from 0 to 300. Give uint8 (0 to 255), or floats between 0 and 1.",
        ),
        (
            np.zeros((2, 4, 5, 7), np.uint8),
            ValueError,
            "The values have the shape [2, 4, 5, 7]. Give [images, height, width, 3], [images, 3, height, width], "
            "the same with 1 for grey, or [images, height, width].",
        ),
        (
            np.zeros((4, 5, 3), np.uint8),
            ValueError,
            "The values have the shape [4, 5, 3]. Give [images, height, width, 3], [images, 3, height, width], "
            "the same with 1 for grey, or [images, height, width]. One image is values[None].",
        ),
        (
            np.zeros((0, 4, 5, 3), np.uint8),
            ValueError,
            "The values have the shape [0, 4, 5, 3], no pixels. Give at least one image.",
        ),
    ],
)
def test_arrays_that_are_no_pictures(values: np.ndarray, kind: type[Exception], message: str) -> None:
    with says(kind, message):
        ImageArray(values)


# --- Hugging Face datasets ---


def make_dataset(n_images: int = 4, labels: list[int | None] | None = None) -> datasets.Dataset:
    pictures = [Image.new("RGB", (3, 2), (10 * row, 0, 0)) for row in range(n_images)]
    features = {"picture": datasets.Image(), "kind": datasets.ClassLabel(names=["cat", "dog"])}
    columns = {"picture": pictures, "kind": labels or [row % 2 for row in range(n_images)]}
    return datasets.Dataset.from_dict(columns, features=datasets.Features(features))


def test_columns_of_a_dataset_are_found() -> None:
    images = HuggingFaceImages(make_dataset())
    assert images.image_column == "picture"
    assert images.label_column == "kind"
    assert images.labels == (0, 1, 0, 1)
    assert images.label_names == ("cat", "dog")
    assert shades(images) == [0, 10, 20, 30]
    assert images.name(3) == "image 3"
    assert shade(images[-1]) == 30
    with pytest.raises(IndexError):
        images[4]


def test_the_format_of_a_dataset_does_not_matter() -> None:
    dataset = make_dataset()
    assert shades(HuggingFaceImages(dataset.with_format("torch"))) == [0, 10, 20, 30]
    undecoded = dataset.cast_column("picture", datasets.Image(decode=False))
    assert shades(HuggingFaceImages(undecoded)) == [0, 10, 20, 30]
    blind = dataset.with_transform(lambda rows: {"nothing": [0] * len(rows["picture"])})
    assert HuggingFaceImages(blind).labels == (0, 1, 0, 1)
    assert shades(HuggingFaceImages(blind)) == [0, 10, 20, 30]


def test_fingerprint_of_a_dataset() -> None:
    dataset = make_dataset()
    first = HuggingFaceImages(dataset).fingerprint
    assert re.fullmatch("[0-9a-f]{64}", first)
    assert HuggingFaceImages(dataset).fingerprint == first
    assert HuggingFaceImages(dataset.select([3, 2, 1, 0])).fingerprint != first
    twice = dataset.add_column("other", dataset.data.column("picture").to_pylist(), feature=datasets.Image())
    prints = {HuggingFaceImages(twice, image_column=column).fingerprint for column in ("picture", "other")}
    assert len(prints) == 2


def test_the_column_of_pictures_must_be_clear() -> None:
    dataset = make_dataset()
    twice = dataset.add_column("other", dataset.data.column("picture").to_pylist(), feature=datasets.Image())
    with says(ValueError, "The dataset has 2 columns of pictures (picture, other). Choose one: image_column=…."):
        HuggingFaceImages(twice)
    assert HuggingFaceImages(twice, image_column="other").image_column == "other"
    with says(ValueError, "image_column is 'othr'. Did you mean 'other'? Choose one of: picture, other."):
        HuggingFaceImages(twice, image_column="othr")
    with says(
        ValueError,
        "The dataset has no column of pictures (columns: kind). "
        "Turn one into pictures: dataset.cast_column('…', datasets.Image()).",
    ):
        HuggingFaceImages(dataset.remove_columns("picture"))


def test_labels_of_a_dataset_are_chosen_or_left_out() -> None:
    dataset = make_dataset()
    second = dataset.add_column("size", [0] * 4, feature=datasets.ClassLabel(names=["small"]))
    assert HuggingFaceImages(second).labels is None
    assert HuggingFaceImages(second, label_column="kind").labels == (0, 1, 0, 1)
    assert HuggingFaceImages(dataset.remove_columns("kind")).label_names == ()
    for missing in (None, -1):
        images = HuggingFaceImages(make_dataset(labels=[missing] * 4))
        assert (images.labels, images.label_names, images.label_column) == (None, (), None)
    with says(
        ValueError,
        "2 of 4 images have no label in 'kind' (first: image 1). "
        "Leave them out with dataset.filter, or drop the column: dataset.remove_columns('kind').",
    ):
        HuggingFaceImages(make_dataset(labels=[0, -1, 1, None]))
    words = dataset.add_column("words", ["a"] * 4)
    with says(
        ValueError,
        "The column 'words' is not a ClassLabel, so its classes have no names. "
        "Make it one: dataset.class_encode_column('words').",
    ):
        HuggingFaceImages(words, label_column="words")
    with says(ValueError, "label_column is 'kinds'. Did you mean 'kind'? Choose one of: kind."):
        HuggingFaceImages(dataset, label_column="kinds")


def test_what_is_no_dataset() -> None:
    dataset = make_dataset()
    with says(TypeError, "The dataset has several splits (train, test). Choose one: dataset['train']."):
        HuggingFaceImages(datasets.DatasetDict({"train": dataset, "test": dataset}))
    with says(TypeError, "The dataset is a stream without rows. Load it with streaming=False."):
        as_images(dataset.to_iterable_dataset())
    with says(TypeError, "The dataset is of type list. Give a datasets.Dataset."):
        HuggingFaceImages([1])
    with says(ValueError, "The dataset has no rows. Give at least one image."):
        HuggingFaceImages(dataset.select([]))


def test_the_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = make_dataset()
    monkeypatch.setitem(sys.modules, "datasets", None)
    with says(
        ImportError,
        'Hugging Face datasets need the package datasets. Install it: pip install "linexp[datasets]".',
    ):
        HuggingFaceImages(dataset)


def test_a_broken_picture_in_a_dataset() -> None:
    features = datasets.Features({"image": datasets.Image()})
    rows = [{"bytes": b"no picture", "path": None}, None]
    images = HuggingFaceImages(datasets.Dataset.from_dict({"image": rows}, features=features))
    remedy = "Remove it, or skip broken images (skip_broken=True, --skip-broken)."
    with says(
        OSError, f"Cannot read the image 'image 0' (it is not a picture in a format that linexp reads). {remedy}"
    ):
        images[0]
    with says(OSError, f"Cannot read the image 'image 1' (the row holds no picture). {remedy}"):
        images[1]


# --- anything ---


class Shades:
    """A collection that a user wrote."""

    labels = None
    label_names = ()
    fingerprint = "0" * 64

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> Image.Image:
        return Image.new("RGB", (2, 2), (index, 0, 0))

    def name(self, index: int) -> str:
        return f"shade {index}"


def test_anything_becomes_images(classes: Path) -> None:
    assert isinstance(as_images(classes), ImageFolder)
    assert isinstance(as_images(str(classes)), ImageFolder)
    files = [classes / "cat" / "b.png", str(classes / "cat" / "a" / "deep.PNG")]
    assert isinstance(as_images(files), ImageFiles)
    assert isinstance(as_images(tuple(files)), ImageFiles)
    assert isinstance(as_images(np.zeros((2, 4, 4), np.uint8)), ImageArray)
    assert isinstance(as_images(torch.zeros(2, 3, 4, 4)), ImageArray)
    assert isinstance(as_images(make_dataset()), HuggingFaceImages)
    for images in (Shades(), ImageFolder(classes), ImageSubset(Shades(), [0])):
        assert as_images(images) is images


def test_every_collection_keeps_the_contract(classes: Path) -> None:
    sources = (
        ImageFolder(classes),
        ImageFiles([classes / "cat" / "b.png"]),
        ImageArray(np.zeros((2, 4, 4))),
        HuggingFaceImages(make_dataset()),
        ImageSubset(Shades(), [0]),
    )
    for images in sources:
        assert isinstance(images, Images)
        assert isinstance(images, linexp.Images)
        assert images[0].mode == "RGB"
        assert isinstance(images.name(0), str)
        assert len(list(images)) == len(images)  # indexing past the end raises IndexError


@pytest.mark.parametrize(
    ("source", "what"), [(17, "int"), ([Image.new("RGB", (1, 1))], "list of Image"), (["a.png", 3], "list of int")]
)
def test_what_cannot_become_images(source: object, what: str) -> None:
    with says(
        TypeError,
        f"Cannot make images from a {what}. Give a folder, a list of paths, an array [images, height, width, 3], "
        "a Hugging Face dataset, or an object with the members of linexp.Images.",
    ):
        as_images(source)
