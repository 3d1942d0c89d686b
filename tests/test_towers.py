"""What the adapters of image-text libraries share, with an adapter of two methods and a network one can do by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import linexp as le
from linexp.concepts.encoders.base import embed_prompts
from linexp.concepts.encoders.towers import TwoTowers
from linexp.forward import decoders_on, size_on

PICTURES = np.random.default_rng(0).integers(0, 256, (11, 6, 7, 3), dtype=np.uint8)
TEXTS = ["red", "a", "blue sky", "green", "yy"]


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor([1.0, 2.0, 3.0]))

    def pixels(self, batch: Tensor) -> Tensor:
        assert not self.training
        assert not torch.is_grad_enabled()
        return batch.mean((2, 3)) * self.scale

    def words(self, letters: Tensor) -> Tensor:
        return letters * self.scale


@dataclass(frozen=True, eq=False)
class Letters(TwoTowers):
    """Texts are their length, their first letter's number and 1."""

    def _towers(self) -> tuple[Callable[[Tensor], Tensor], Callable[..., Tensor]]:
        return self.model.pixels, self.model.words

    def _tokenise(self, texts: Sequence[str]) -> dict[str, Tensor]:
        return {"letters": torch.tensor([[float(len(text)), float(ord(text[0])), 1.0] for text in texts])}


def encoder(batch_size: int | None = None) -> Letters:
    return Letters("letters:mine", Net().train(), le.to_unit_tensor, None, batch_size)


def literal_images() -> Tensor:
    rows = torch.stack([torch.from_numpy(picture / 255).mean((0, 1)) for picture in PICTURES])
    rows = rows * torch.tensor([1.0, 2.0, 3.0])
    return (rows / rows.norm(dim=1, keepdim=True)).float()


@pytest.mark.parametrize("batch_size", [None, 1, 4, 11])
def test_rows_are_the_networks_made_unit_length(batch_size: int | None, tmp_path: Path) -> None:
    made, images = encoder(batch_size), le.ImageArray(PICTURES)
    found = made.encode_images(images, show_progress=False)
    torch.testing.assert_close(found, literal_images(), rtol=1e-6, atol=1e-6)
    assert made.model.training
    texts = made.encode_texts(TEXTS, show_progress=False)
    wanted = torch.tensor([[len(text), ord(text[0]) * 2.0, 3.0] for text in TEXTS])
    torch.testing.assert_close(texts, wanted / wanted.norm(dim=1, keepdim=True))
    assert torch.equal(embed_prompts(made, TEXTS), texts)

    told: list[str] = []
    store = le.Store(tmp_path, tell=told.append)
    for _ in range(2):
        assert torch.equal(made.encode_images(images, show_progress=False, store=store), found)
        assert torch.equal(made.encode_texts(TEXTS, show_progress=False, store=store), texts)
    assert [line.partition(" from the store")[0] for line in told] == [
        "images embedded by letters:mine: 0 of 11 images",
        "texts embedded by letters:mine: 0 of 5 texts",
        "images embedded by letters:mine: 11 of 11 images",
        "texts embedded by letters:mine: 5 of 5 texts",
    ]


def test_bars_and_messages_say_which_tower_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = le.Store(tmp_path)
    encoder().encode_images(le.ImageArray(PICTURES), store=store)
    encoder().encode_texts(TEXTS, store=store)
    err = capsys.readouterr().err.splitlines()
    assert [line.partition(" in ")[0] for line in err if "/s)" in line] == [
        "encoding images: 11 images",
        "encoding texts: 5 texts",
    ]
    dark = PICTURES.copy()
    dark[3] = 0
    with pytest.raises(ValueError, match=r"'letters:mine' gives the image 'image 3' an embedding of length 0, which"):
        encoder(2).encode_images(le.ImageArray(dark), show_progress=False)
    broken = encoder()
    with torch.no_grad():
        broken.model.scale.zero_()
    with pytest.raises(ValueError, match=r"'letters:mine' gives the text 'red' an embedding of length 0, which has no"):
        broken.encode_texts(TEXTS, show_progress=False)


def test_settings_are_checked_when_it_is_made() -> None:
    with pytest.raises(ValueError, match=r"batch_size is 0\. It must be at least 1"):
        replace(encoder(), batch_size=0)


@pytest.mark.parametrize(("device", "size"), [("cpu", 8), ("cuda", 64), ("mps", 64)])
def test_what_suits_a_device(device: str, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 9)
    place = torch.device(device)
    assert (size_on(place, None), size_on(place, 5)) == (size, 5)
    assert decoders_on(place) == (2 if device == "cpu" else None)
    assert decoders_on(place, 3) == 3


def test_an_engine_runs_the_pictures_and_is_in_the_key(tmp_path: Path) -> None:
    images, store = le.ImageArray(PICTURES), le.Store(tmp_path)
    for engine in ("onnxruntime", "torch", "auto"):
        made = Letters("letters:mine", Net().train(), le.to_unit_tensor, None, 4, engine)
        found = made.encode_images(images, show_progress=False, store=store)
        torch.testing.assert_close(found, literal_images(), rtol=1e-6, atol=1e-6)
        assert made.model.training
    assert len(list(tmp_path.glob("embeddings-*"))) == 2
    with pytest.raises(ValueError, match="engine is 'fast'"):
        Letters("letters:mine", Net(), le.to_unit_tensor, None, 4, "fast")
