"""Matrices that others recorded, and which images their rows are."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import linexp as le
from linexp.matrix import save_activations

TOKENS = np.random.default_rng(0).standard_normal((70, 5, 6)).astype(np.float32)
VALUES = TOKENS.mean(1)


def test_arrays_are_read(tmp_path):
    np.save(tmp_path / "a.npy", VALUES.astype(np.float64))
    np.savez(tmp_path / "a.npz", layer4=VALUES, names=[f"{row}.png" for row in range(70)])
    save_file({"layer4": torch.tensor(TOKENS)}, tmp_path / "a.safetensors")
    for suffix in (".npy", ".npz", ".safetensors"):
        found = le.load_activations(tmp_path / f"a{suffix}", "layer4")
        torch.testing.assert_close(found.values, torch.tensor(VALUES), check_dtype=False)
        assert found.layer == "layer4"
    latents = le.SparseAutoencoder(torch.eye(6), torch.eye(6), pool="max")
    found = le.load_activations(tmp_path / "a.safetensors", units=latents)
    torch.testing.assert_close(found.values, torch.tensor(TOKENS).relu().amax(1))


def test_own_files_come_back(tmp_path):
    own = le.ActivationMatrix(VALUES, [3, 1, 4, 15, 9, 2], "layer4", "abc")
    save_activations(tmp_path / "own.safetensors", own)
    found = le.load_activations(tmp_path / "own.safetensors")
    assert (found.neurons, found.layer, found.images) == (own.neurons, "layer4", "abc")
    assert torch.equal(found.values, own.values)


def shards(folder, **told):
    """What saev writes: three shards of 30 images, the last with room for more than there are."""
    usual = {"layers": [3, 7], "content_tokens_per_example": 4, "cls_token": True, "d_model": 6, "n_examples": 70}
    (folder / "metadata.json").write_text(json.dumps(usual | {"dtype": "float32", "protocol": "2.1"} | told))
    both = np.zeros((90, 2, 5, 6), np.float32)
    both[:70, 0], both[:70, 1] = -1, TOKENS
    for number in range(3):
        (folder / f"acts{number:06d}.bin").write_bytes(both[30 * number : 30 * (number + 1)].tobytes())
    return folder


def test_shards_of_saev_are_read(tmp_path):
    found = le.load_activations(shards(tmp_path), 7, pool="token")
    assert torch.equal(found.values, torch.tensor(TOKENS[:, 0]))
    torch.testing.assert_close(le.load_activations(tmp_path, 7).values, torch.tensor(VALUES))


def test_rows_that_are_other_images_are_refused(tmp_path):
    pictures = le.ImageArray(np.zeros((70, 4, 4, 3), np.uint8))
    np.save(tmp_path / "a.npy", VALUES)
    names = [pictures.name(row) for row in range(70)]
    assert le.load_activations(tmp_path / "a.npy", names=names, images=pictures).images == pictures.fingerprint
    names[4], names[5] = names[5], names[4]
    with pytest.raises(ValueError, match=r"Row 4 of .* is 'image 5', and image 4 is 'image 4'"):
        le.load_activations(tmp_path / "a.npy", names=names, images=pictures)
    with pytest.raises(ValueError, match="70 rows and there are 69 names"):
        le.load_activations(tmp_path / "a.npy", names=names[:-1])


def test_files_that_cannot_be_read_are_refused(tmp_path):
    np.savez(tmp_path / "two.npz", one=VALUES, two=VALUES)
    with pytest.raises(ValueError, match=r"several arrays, but one, two\. Say which: key='one'"):
        le.load_activations(tmp_path / "two.npz")
    with pytest.raises(FileNotFoundError, match="There is no"):
        le.load_activations(tmp_path / "none.npy")
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match=r"objects\.npy' cannot be read .*Save one array of plain numbers"):
        le.load_activations(tmp_path / "objects.npy")
    with pytest.raises(ValueError, match=r"has no metadata\.json"):
        le.load_activations(tmp_path)
    with pytest.raises(ValueError, match=r"has no layer '4'\. Layers: 3, 7"):
        le.load_activations(shards(tmp_path), 4)
    with pytest.raises(ValueError, match="lacks 30 images"):
        le.load_activations(shards(tmp_path, n_examples=120), 7)
    with pytest.raises(ValueError, match=r"protocol 1\.1"):
        le.load_activations(shards(tmp_path, protocol="1.1"), 7)
