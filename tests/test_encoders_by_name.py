"""A name becomes an encoder: each library by its prefix, one's own by a function, and a typo becomes advice."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import linexp as le
from linexp.concepts.encoders import same_model
from tests.colour_encoder import ColourEncoder

MODULE = """
from tests.colour_encoder import ColourEncoder

def colours():
    return ColourEncoder()

def word():
    return "no encoder"

def half():
    class Half:
        name = "half"
        def encode_images(self, images): ...
    return Half()
"""


@pytest.fixture(autouse=True)
def _there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "myencoders.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield
    sys.modules.pop("myencoders", None)


def test_ones_own():
    assert le.load_encoder("myencoders:colours") == ColourEncoder()


@pytest.mark.parametrize(("function", "kind"), [("word", "str"), ("half", "Half")])
def test_what_is_no_encoder(function: str, kind: str):
    with pytest.raises(TypeError, match=rf"returned a {kind}\. Return an object with a name and the methods encode_im"):
        le.load_encoder(f"myencoders:{function}")


def test_conse():
    for name in ("conse:efficientnet_lite0", "conse:efficientnet_lite0+minilm"):
        assert le.load_encoder(name, batch_size=3) == le.ConSE("efficientnet_lite0", batch_size=3)
    assert le.load_encoder(le.ConSE("efficientnet_lite0").name).name == "conse:efficientnet_lite0+minilm"
    with pytest.raises(ValueError, match=r"There is no model 'efficientnet_lite9'\. Did you mean 'efficientnet_lite"):
        le.load_encoder("conse:efficientnet_lite9")  # said when it is loaded, not after hours


def test_open_clip_splits_weights_off():
    with pytest.raises(ValueError, match=r"open_clip has no architecture 'ViT-L-16-SigLIP-385'\. Did you mean"):
        le.load_encoder("open_clip:ViT-L-16-SigLIP-385,webli")
    with pytest.raises(ValueError, match=r"'webly' is neither a file nor a tag of 'ViT-L-16-SigLIP-384'"):
        le.load_encoder("open_clip:ViT-L-16-SigLIP-384,webly")
    with pytest.raises(ValueError, match=r"Nothing says which weights 'ViT-L-16-SigLIP-384' gets"):
        le.load_encoder("open_clip:ViT-L-16-SigLIP-384")


def test_the_hub_is_out_of_reach():
    with pytest.raises(OSError, match=r"'hf:google/siglip-large-patch16-384' could not be loaded .* 'hf:/path/to/fold"):
        le.load_encoder("hf:google/siglip-large-patch16-384")


@pytest.mark.parametrize(
    ("name", "guess"),
    [
        ("google/siglip-large-patch16-384", "hf:google/siglip-large-patch16-384"),
        ("siglip-large-patch16-384", "hf:google/siglip-large-patch16-384"),
        ("efficientnet_lite2", "conse:efficientnet_lite2"),
        ("somewhere", "hf:somewhere"),
        ("hf:", None),
        ("conse:", None),
        ("", None),
    ],
)
def test_other_names_are_refused_with_a_guess(name: str, guess: str | None):
    Path("somewhere").mkdir()
    with pytest.raises(ValueError, match=f"There is no encoder '{name}'") as refused:
        le.load_encoder(name)
    assert (f" Did you mean '{guess}'?" in str(refused.value)) == (guess is not None)
    assert "Encoders: hf:NAME_OR_FOLDER, open_clip:" in str(refused.value)


def test_one_model_by_two_names():
    conse = le.ConSE("efficientnet_lite2", n_classes=5).name
    assert same_model(conse, "conse:efficientnet_lite2")
    assert not same_model(conse, "conse:efficientnet_lite1+minilm")
    Path("model").mkdir()
    assert same_model("hf:model", f"hf:{Path.cwd()}/model")
    assert not same_model("hf:model", "hf:other")
    assert same_model("hf:google/siglip-large-patch16-384", "hf:google/siglip-large-patch16-384")
