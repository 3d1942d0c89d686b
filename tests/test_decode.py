"""From a file to a batch: every kind of pixel, every kind of damage, any number of processes."""

from __future__ import annotations

import gc
import io
import multiprocessing
import os
import re
import signal
import warnings
from collections.abc import Iterator
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
from PIL import Image, ImageFile, ImageOps

from linexp.images import (
    HuggingFaceImages,
    ImageArray,
    ImageFiles,
    ImageFolder,
    ImageSubset,
    decoded_batches,
    find_broken,
    skip_broken,
    to_rgb,
)
from linexp.images.workers import choose_workers
from linexp.store import Parts

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
REMEDY = "Remove it, or skip broken images (skip_broken=True, --skip-broken)."
NO_PICTURE = "it is not a picture in a format that linexp reads"


def says(kind: type[Exception], message: str) -> pytest.RaisesExc:
    return pytest.raises(kind, match=f"^{re.escape(message)}$")


def pixels(image: Image.Image) -> list[tuple[int, ...]]:
    assert image.mode == "RGB"
    return [tuple(int(v) for v in pixel) for pixel in np.asarray(image).reshape(-1, 3)]


# --- pixels ---


def saved(image: Image.Image, kind: str, **options: object) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return Image.open(buffer)


UPRIGHT = [[1, 2, 3], [4, 5, 6]]
STORED = {
    1: [[1, 2, 3], [4, 5, 6]],
    2: [[3, 2, 1], [6, 5, 4]],
    3: [[6, 5, 4], [3, 2, 1]],
    4: [[4, 5, 6], [1, 2, 3]],
    5: [[1, 4], [2, 5], [3, 6]],
    6: [[3, 6], [2, 5], [1, 4]],
    7: [[6, 3], [5, 2], [4, 1]],
    8: [[4, 1], [5, 2], [6, 3]],
}
"""How a camera stores the upright picture, by the EXIF standard's table of orientations."""


@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
@pytest.mark.parametrize("orientation", STORED)
def test_exif_orientation_is_applied_once(tmp_path: Path, orientation: int, suffix: str) -> None:
    grey = np.array(STORED[orientation], dtype=np.uint8) * 40
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if suffix == "webp" else {}
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(np.stack([grey] * 3, axis=-1)).save(path, exif=exif, **options)
    upright = ImageFiles([path])[0]
    assert (np.asarray(upright)[..., 0] // 40).tolist() == UPRIGHT
    assert to_rgb(upright).tobytes() == upright.tobytes()
    assert ImageOps.exif_transpose(upright).tobytes() == upright.tobytes()


def test_orientation_in_a_jpeg_and_an_unknown_one(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    wide = Image.new("RGB", (32, 16), WHITE)
    wide.save(tmp_path / "a.jpg", exif=exif)
    exif[0x0112] = 99
    wide.save(tmp_path / "b.jpg", exif=exif)
    images = ImageFolder(tmp_path)
    assert images[0].size == (16, 32)
    assert images[1].size == (32, 16)


@pytest.mark.parametrize(
    "junk", [b"Exif\0\0junk", b"Exif\0\0II*\0\x08\0\0\0\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12"]
)
def test_damaged_exif_leaves_the_picture_as_stored(tmp_path: Path, junk: bytes) -> None:
    Image.new("RGB", (4, 2), WHITE).save(tmp_path / "a.jpg", exif=junk)
    assert ImageFolder(tmp_path)[0].size == (4, 2)


def test_grey_and_black_and_white() -> None:
    grey = Image.fromarray(np.array([[7, 200]], dtype=np.uint8))
    assert pixels(to_rgb(grey)) == [(7, 7, 7), (200, 200, 200)]
    assert pixels(to_rgb(grey.point(lambda value: 255 * (value > 99)).convert("1"))) == [(0, 0, 0), WHITE]


def test_transparency_is_composited_over_white() -> None:
    rgba = np.array([[[255, 0, 0, 255], [255, 0, 0, 0], [0, 0, 0, 51]]], dtype=np.uint8)
    assert pixels(to_rgb(Image.fromarray(rgba))) == [RED, WHITE, (204, 204, 204)]
    assert pixels(to_rgb(Image.fromarray(rgba).convert("RGBa"))) == [RED, WHITE, (204, 204, 204)]
    la = Image.merge("LA", [Image.new("L", (1, 1), 0), Image.new("L", (1, 1), 51)])
    assert pixels(to_rgb(la)) == [(204, 204, 204)]
    assert pixels(to_rgb(la.convert("La"))) == [(204, 204, 204)]
    grey = Image.fromarray(np.array([[7, 9]], dtype=np.uint8))
    assert pixels(to_rgb(saved(grey, "png", transparency=7))) == [WHITE, (9, 9, 9)]
    colour = Image.fromarray(np.array([[RED, GREEN]], dtype=np.uint8))
    assert pixels(to_rgb(saved(colour, "png", transparency=RED))) == [WHITE, GREEN]


def palette() -> Image.Image:
    indexed = Image.new("P", (3, 1))
    indexed.putdata([0, 1, 2])
    indexed.putpalette([*RED, *GREEN, *BLUE])
    return indexed


def test_palettes() -> None:
    assert pixels(to_rgb(palette())) == [RED, GREEN, BLUE]
    assert pixels(to_rgb(saved(palette(), "png", transparency=1))) == [RED, WHITE, BLUE]
    assert pixels(to_rgb(saved(palette(), "png", transparency=b"\xff\x00\xff"))) == [RED, WHITE, BLUE]
    assert pixels(to_rgb(saved(palette(), "gif", transparency=2))) == [RED, GREEN, WHITE]
    assert pixels(to_rgb(palette().convert("PA"))) == [RED, GREEN, BLUE]


def test_palette_with_a_byte_of_transparency_per_colour_draws_no_warning(tmp_path: Path) -> None:
    palette().save(tmp_path / "a.png", transparency=b"\xff\x00\xff")
    assert pixels(ImageFolder(tmp_path)[0]) == [RED, WHITE, BLUE]


def test_cmyk() -> None:
    assert pixels(to_rgb(Image.new("CMYK", (1, 1), (255, 0, 0, 0)))) == [(0, 255, 255)]
    jpeg = saved(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "jpeg", quality=100)
    assert pixels(to_rgb(jpeg))[0] == pytest.approx(RED, abs=2)


DEEP = np.array([[0, 256, 257, 257 * 100, 65535]])
SHALLOW = [0, 1, 1, 100, 255]


def greys(image: Image.Image) -> list[int]:
    assert all(len(set(pixel)) == 1 for pixel in pixels(image))
    return [pixel[0] for pixel in pixels(image)]


@pytest.mark.parametrize("suffix", ["png", "tif", "ppm"])
def test_16_bits_are_scaled_not_clipped(tmp_path: Path, suffix: str) -> None:
    Image.fromarray(DEEP.astype(np.uint16)).save(tmp_path / f"a.{suffix}")
    assert greys(ImageFolder(tmp_path)[0]) == SHALLOW


def test_a_dark_16_bit_picture_stays_dark() -> None:
    assert greys(to_rgb(Image.fromarray(np.array([[0, 200, 257]], dtype=np.uint16)))) == [0, 1, 1]


def test_deep_greys_are_scaled_by_their_range() -> None:
    assert greys(to_rgb(Image.fromarray(DEEP.astype(np.int32)))) == SHALLOW
    assert greys(to_rgb(Image.fromarray(np.array([[0, 7, 255]], dtype=np.int32)))) == [0, 7, 255]
    assert greys(to_rgb(Image.fromarray(np.array([[0, 0.2, 1]], dtype=np.float32)))) == [0, 51, 255]
    assert greys(to_rgb(Image.fromarray(np.array([[0, 7.4, 255]], dtype=np.float32)))) == [0, 7, 255]
    assert greys(to_rgb(Image.fromarray(DEEP.astype(np.float32)))) == SHALLOW


@pytest.mark.parametrize(
    ("low", "high", "said"), [(-1, 5, "-1 to 5"), (0, 70000, "0 to 70000"), (np.nan, 1, "nan to nan")]
)
def test_greys_without_a_known_white(low: float, high: float, said: str) -> None:
    with says(ValueError, f"The grey values run from {said}. Rescale them to lie between 0 and 65535."):
        to_rgb(Image.fromarray(np.array([[low, high]], dtype=np.float32)))


def test_an_animation_shows_its_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in (RED, GREEN)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert pixels(ImageFolder(tmp_path)[0])[0] == RED
    with Image.open(tmp_path / "a.gif") as animation:
        animation.seek(1)
        assert pixels(to_rgb(animation))[0] == RED


def test_to_rgb_leaves_the_picture_alone() -> None:
    image = Image.new("RGB", (2, 2), RED)
    image.info["note"] = "mine"
    result = to_rgb(image)
    assert image.info == {"note": "mine"}
    assert result.info == {}
    result.putpixel((0, 0), GREEN)
    assert image.getpixel((0, 0)) == RED


# --- broken files ---


def photo(suffix: str, size: int = 256) -> bytes:
    """Return the bytes of a file whose content does not compress, so that each part of it matters."""
    noise = np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, {"jpg": "JPEG", "tif": "TIFF"}.get(suffix, suffix))
    return buffer.getvalue()


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """Eight files, of which the rows 0 and 4 are sound."""
    whole = photo("jpg")
    contents = {
        "a_whole.jpg": whole,
        "b_empty.jpg": b"",
        "c_cut.jpg": whole[: len(whole) // 2],
        "d_cut.png": photo("png", 64)[:5000],
        "e_whole.png": photo("png", 8),
        "f_text.jpg": b"<html>404 Not Found</html>",
        "g_head.jpg": whole[:20],
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "h_gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    return tmp_path


BROKEN = {
    1: "the file is empty",
    2: "image file is truncated",
    3: "its data are damaged or cut short",
    5: NO_PICTURE,
    6: NO_PICTURE,
    7: "No such file or directory",
}


@pytest.mark.parametrize("workers", [0, 2])
def test_broken_files_are_found_with_their_reasons(damaged: Path, workers: int) -> None:
    steps: list[int] = []
    broken = find_broken(ImageFolder(damaged), workers=workers, progress=steps.append)
    assert set(broken) == set(BROKEN)
    for row, reason in BROKEN.items():
        assert broken[row].startswith(reason)
    assert sum(steps) == 8
    subset = ImageSubset(ImageFolder(damaged), [4, 5, 1])
    assert find_broken(subset, workers=workers) == {1: broken[5], 2: broken[1]}


@pytest.mark.parametrize("row", BROKEN)
def test_reading_a_broken_file_says_the_same(damaged: Path, row: int) -> None:
    images = ImageFolder(damaged)
    assert find_broken(images)[row].startswith(BROKEN[row])
    start = re.escape(f"Cannot read the image '{images.name(row)}' ({BROKEN[row]}")
    with pytest.raises(OSError, match=rf"^{start}.*\)\. {re.escape(REMEDY)}$"):
        images[row]


@pytest.mark.parametrize("suffix", ["jpg", "png", "gif", "bmp", "webp", "tif", "ppm"])
@pytest.mark.parametrize("share", [0.3, 0.99])
def test_truncation_is_noticed_in_every_format(tmp_path: Path, suffix: str, share: float) -> None:
    whole = photo(suffix, 64)
    (tmp_path / f"whole.{suffix}").write_bytes(whole)
    (tmp_path / f"cut.{suffix}").write_bytes(whole[: int(len(whole) * share)])
    assert list(find_broken(ImageFolder(tmp_path))) == [0]


def test_a_progressive_or_grey_jpeg_cut_short_is_noticed(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (256, 256), dtype=np.uint8)
    for name, options in (("grey", {}), ("progressive", {"progressive": True})):
        path = tmp_path / f"{name}.jpg"
        Image.fromarray(noise).save(path, **options)
        path.write_bytes(path.read_bytes()[:-200])
    assert list(find_broken(ImageFolder(tmp_path))) == [0, 1]
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


@pytest.mark.parametrize("limit", [40, 20])
def test_a_suspiciously_large_picture_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    Image.new("L", (10, 5)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)  # Pillow warns above it, and refuses above its double
    images = ImageFolder(tmp_path)
    reason = "Image size (50 pixels) exceeds limit of 40 pixels, could be decompression bomb DOS attack"
    assert find_broken(images) == {0: reason}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # whatever the user set
        with says(OSError, f"Cannot read the image '{images.name(0)}' ({reason}). {REMEDY}"):
            images[0]


def test_broken_pictures_of_a_dataset_are_found() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (3, 2), RED).save(buffer, "PNG")
    rows = [{"bytes": buffer.getvalue(), "path": None}, {"bytes": b"junk", "path": None}, None]
    features = datasets.Features({"image": datasets.Image()})
    images = HuggingFaceImages(datasets.Dataset.from_dict({"image": rows}, features=features))
    for workers in (0, 2):
        assert find_broken(images, workers=workers) == {1: NO_PICTURE, 2: "the row holds no picture"}


def test_skipping_leaves_the_sound_images_and_says_so(damaged: Path) -> None:
    images = ImageFolder(damaged)
    broken = {1: "the file is empty", 2: "cut", 3: "cut", 5: "text", 6: "cut", 7: "gone"}
    message = (
        f"6 of 8 images cannot be read and are left out: '{images.name(1)}' (the file is empty), "
        f"'{images.name(2)}' (cut), '{images.name(3)}' (cut) and 3 more."
    )
    with pytest.warns(UserWarning, match=f"^{re.escape(message)}$") as caught:
        sound = skip_broken(images, broken)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert [sound.name(row) for row in range(len(sound))] == [images.name(0), images.name(4)]


def test_skipping_nothing_is_silent_and_skipping_everything_fails() -> None:
    images = ImageArray(np.zeros((2, 4, 4), np.uint8))
    assert skip_broken(images, {}) is images
    with says(ValueError, "None of the 2 images can be read: 'image 0' (cut), 'image 1' (gone). Give other images."):
        skip_broken(images, {1: "gone", 0: "cut"})


# --- batches ---


def to_tensor(picture: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1)


def numbered(n_images: int) -> ImageArray:
    return ImageArray(np.arange(n_images, dtype=np.uint8)[:, None, None] * np.ones((1, 2, 4), np.uint8))


@pytest.mark.parametrize("workers", [None, 0, 1, 3])
@pytest.mark.parametrize("batch_size", [1, 4, 100])
def test_batches_do_not_depend_on_their_size_or_the_workers(batch_size: int, workers: int | None) -> None:
    batches = list(decoded_batches(numbered(11), to_tensor, batch_size=batch_size, workers=workers))
    assert [len(batch) for batch in batches[:-1]] == [batch_size] * (len(batches) - 1)
    joined = torch.cat(batches)
    assert joined.shape == (11, 3, 2, 4)
    assert joined[:, 0, 0, 0].tolist() == list(range(11))
    assert joined.dtype == torch.uint8


def test_batches_and_workers_beyond_the_images() -> None:
    images = ImageArray(np.zeros((3, 4, 4, 3), dtype=np.uint8))
    batches = decoded_batches(images, lambda picture: torch.ones(2), batch_size=10**30, workers=50)
    first = next(batches)
    assert first.shape == (3, 2)
    assert len(multiprocessing.active_children()) <= 3
    assert list(batches) == []


def test_the_users_random_state_is_left_alone() -> None:
    state = torch.get_rng_state()
    list(decoded_batches(numbered(4), to_tensor, batch_size=2, workers=2))
    assert torch.equal(torch.get_rng_state(), state)


def test_the_number_of_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("linexp.images.workers.sys.platform", "linux")
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(6)), raising=False)
    assert [choose_workers(None, n_images) for n_images in (1, 63, 64, 10**6)] == [0, 0, 6, 6]
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(64)), raising=False)
    assert choose_workers(None, 64) == 8
    assert choose_workers(11, 1) == 11
    monkeypatch.setattr("linexp.images.workers.sys.platform", "win32")
    assert choose_workers(None, 64) == 0


def test_wrong_settings_are_reported_before_the_first_batch() -> None:
    with says(ValueError, "batch_size is 0. It must be at least 1."):
        decoded_batches(numbered(2), to_tensor, batch_size=0)
    with says(ValueError, "workers is -1. It must be at least 0."):
        decoded_batches(numbered(2), to_tensor, batch_size=1, workers=-1)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("batch_size", [1, 3, 50])
def test_a_broken_file_raises_one_clean_error(damaged: Path, workers: int, batch_size: int) -> None:
    images = ImageSubset(ImageFolder(damaged), [4, 4, 4, 1, 5])
    with says(OSError, f"Cannot read the image '{images.name(3)}' (the file is empty). {REMEDY}"):
        list(decoded_batches(images, to_tensor, batch_size=batch_size, workers=workers))
    assert multiprocessing.active_children() == []


def fail_on_7(picture: Image.Image) -> torch.Tensor:
    if picture.getpixel((0, 0))[0] == 7:
        raise KeyError("seven\nis wrong")
    return to_tensor(picture)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("batch_size", [1, 3, 50])
def test_a_failing_transform_names_the_image(workers: int, batch_size: int) -> None:
    with says(
        ValueError,
        "The transform failed on the image 'image 7' (KeyError: 'seven\\nis wrong'). It must make a tensor from "
        "an RGB picture (PIL.Image.Image); workers=0 shows where it failed.",
    ) as caught:
        list(decoded_batches(numbered(9), fail_on_7, batch_size=batch_size, workers=workers))
    assert isinstance(caught.value.__cause__, KeyError) is (workers == 0)


def grow_at_5(picture: Image.Image) -> torch.Tensor:
    tensor = to_tensor(picture)
    return tensor[:, :1] if tensor[0, 0, 0] == 5 else tensor


def float_at_5(picture: Image.Image) -> torch.Tensor:
    tensor = to_tensor(picture)
    return tensor.float() if tensor[0, 0, 0] == 5 else tensor


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("batch_size", [1, 2, 5, 50])
def test_shapes_and_types_must_agree(workers: int, batch_size: int) -> None:
    remedy = "It must give the same shape and type for every image: resize to a fixed size."
    with says(
        ValueError,
        f"The transform gives [3, 1, 4] for the image 'image 5' but [3, 2, 4] for 'image 0'. {remedy}",
    ):
        list(decoded_batches(numbered(7), grow_at_5, batch_size=batch_size, workers=workers))
    with says(
        ValueError,
        f"The transform gives torch.float32 for the image 'image 5' but torch.uint8 for 'image 0'. {remedy}",
    ):
        list(decoded_batches(numbered(7), float_at_5, batch_size=batch_size, workers=workers))


@pytest.mark.parametrize("workers", [0, 2])
def test_parts_are_drawn_when_there_is_time_for_them(workers: int) -> None:
    """A part that is drawn is claimed in the store, and nobody else does it."""
    drawn: list[range] = []
    wanted = [range(start, start + 5) for start in range(50, 0, -5)]

    def source() -> Iterator[range]:
        for part in wanted:
            drawn.append(part)
            yield part

    batches = decoded_batches(numbered(60), to_tensor, batch_size=2, workers=workers, parts=Parts(source(), 50))
    found = [next(batches)]
    assert len(drawn) <= 1 + workers  # of three batches each; two batches wait for each process
    found += batches
    assert [len(batch) for batch in found] == [2, 2, 1] * 10
    assert torch.cat(found)[:, 0, 0, 0].tolist() == [row for part in wanted for row in part]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_transform_must_return_a_tensor(workers: int) -> None:
    with says(TypeError, "The transform returned a ndarray for the image 'image 0'. It must return a torch.Tensor."):
        list(decoded_batches(numbered(2), np.asarray, batch_size=2, workers=workers))


def test_a_gradient_does_not_follow_a_batch() -> None:
    weight = torch.ones(1, requires_grad=True)
    for workers in (0, 1):
        batch = next(decoded_batches(numbered(2), lambda _: weight * 2, batch_size=2, workers=workers))
        assert not batch.requires_grad


def test_workers_end_when_the_consumer_stops() -> None:
    batches = decoded_batches(numbered(200), to_tensor, batch_size=1, workers=2)
    next(batches)
    assert len(multiprocessing.active_children()) == 2
    batches.close()
    assert multiprocessing.active_children() == []


def test_workers_end_when_the_consumer_breaks_or_is_interrupted() -> None:
    for _ in decoded_batches(numbered(200), to_tensor, batch_size=1, workers=2):
        break
    gc.collect()
    assert multiprocessing.active_children() == []
    batches = decoded_batches(numbered(200), to_tensor, batch_size=1, workers=2)
    next(batches)
    with pytest.raises(KeyboardInterrupt):
        batches.throw(KeyboardInterrupt())
    assert multiprocessing.active_children() == []


def die(picture: Image.Image) -> torch.Tensor:
    os.kill(os.getpid(), signal.SIGKILL)
    return to_tensor(picture)


def test_a_killed_worker_is_explained() -> None:
    with says(
        RuntimeError,
        "One of the 1 decoding processes was killed, perhaps for want of memory (or of shared memory, /dev/shm). "
        "Use fewer workers (0: none) or a smaller batch_size.",
    ):
        list(decoded_batches(numbered(2), die, batch_size=1, workers=1))


def test_an_interrupted_search_ends_its_workers() -> None:
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        find_broken(numbered(200), workers=2, progress=interrupt)
    assert multiprocessing.active_children() == []
