"""Autoencoders of every package: their latents are those of the package's own formula."""

import json

import pytest
import torch

import linexp as le

from .autoencoder_files import (
    B_DEC,
    KINDS,
    LINEAR,
    PARAMETERS,
    THRESHOLD,
    TOP,
    WIDTH,
    K,
    dictionary,
    headed,
    prisma,
    random,
    saelens,
    saev,
    safe,
    torch_file,
)

SPARSITIES = {"TopK": le.TopK(K), "ReLU": le.ReLU()}
OUTPUT = random(20, WIDTH, seed=20)


def load(path, said=None) -> le.SparseAutoencoder:
    said = dict(said or {})
    if "sparsity" in said:
        said["sparsity"] = SPARSITIES[said["sparsity"]]
    return le.SparseAutoencoder.load(path, **said)


@pytest.mark.parametrize("name", KINDS)
def test_latents_are_those_of_the_package(name, tmp_path):
    kind = KINDS[name]
    sae = load(kind.write(tmp_path), kind.said)
    wanted = torch.stack([kind.formula(vector) for vector in OUTPUT])
    assert (wanted != 0).any(0).sum() > 4  # the vectors tell latents apart
    torch.testing.assert_close(sae.read(OUTPUT, "layer", 20), wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize("sparsity", [le.ReLU(), le.TopK(2, positive=False), le.BatchTopK(0.3), le.JumpReLU(THRESHOLD)])
def test_saved_is_loaded(sparsity, tmp_path):
    weights = PARAMETERS["W_enc"].T, PARAMETERS["W_dec"]
    own = le.SparseAutoencoder(*weights, input_bias=B_DEC, sparsity=sparsity, normalise="layer-norm")
    own.save(tmp_path / "mine.safetensors")
    again = le.SparseAutoencoder.load(tmp_path / "mine.safetensors", pool="max")
    assert (type(again.sparsity), again.normalise, again.pool) == (type(sparsity), "layer-norm", "max")
    assert again.encoder_bias is None
    assert torch.equal(again.encode(OUTPUT), own.encode(OUTPUT))


def test_the_factor_of_training_is_folded_in(tmp_path):
    folder = saelens(normalize_activations="expected_average_only_in")(tmp_path)
    with pytest.raises(ValueError, match=r"no activation_scaler\.json beside it says by what"):
        load(folder)
    (folder / "activation_scaler.json").write_text(json.dumps({"scaling_factor": 2.0}))
    wanted = ((OUTPUT * 2 - B_DEC) @ PARAMETERS["W_enc"] + PARAMETERS["b_enc"]).relu()
    torch.testing.assert_close(load(folder).encode(OUTPUT), wanted, rtol=0, atol=1e-5)


def without(tensors, name):
    return {key: value for key, value in tensors.items() if key != name}


BAD = {
    "unknown": (safe("x.safetensors", {"theta": B_DEC}), r"no autoencoder that is known .*it holds theta \[6\]"),
    "missing": (saelens(without(PARAMETERS, "b_dec")), r"has no tensor 'b_dec', but .*W_enc \[6, 9\]"),
    "nan": (torch_file("ae.pt", {**LINEAR, "bias": B_DEC * float("nan")}), "input_bias holds NaN"),
    "k": (safe("sae.safetensors", {**LINEAR, "W_dec": PARAMETERS["W_dec"], "b_dec": B_DEC}, {"k": 10}), "9 latents"),
    "centring": (safe("x.safetensors", PARAMETERS), "do not say whether the decoder's bias is subtracted"),
    "SAELens' centring": (
        safe("sae_weights.safetensors", PARAMETERS, {"d_sae": 9}),
        "does not say 'apply_b_dec_to_input', which changes the latents",
    ),
    "saev's centring": (headed({**saev("Relu"), "schema": 1}), "of saev's schema 1, which does not say whether"),
    "sparsity": (safe("x.safetensors", without(PARAMETERS, "b_dec")), "do not say what stays of the latents. Say it"),
    "TopK or BatchTopK": (torch_file("ae.pt", TOP), "TopK and BatchTopK look the same"),
    "activation": (prisma(activation_fn_str="tanh-relu"), "says activation_fn_str 'tanh-relu', which is not read"),
    "nothing": (lambda folder: folder, "holds nothing, of which none is an autoencoder's"),
    "no JSON": (lambda folder: headed({})(folder).parent / "cfg", "There is no autoencoder"),
}


@pytest.mark.parametrize("name", BAD)
def test_files_that_do_not_say_enough_are_refused(name, tmp_path):
    write, message = BAD[name]
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        load(write(tmp_path))


def test_pickles_are_refused(tmp_path):
    torch.save({"W_enc": PARAMETERS["W_enc"], "cfg": le.TopK(3)}, tmp_path / "ae.pt")
    with pytest.raises(ValueError, match=r"holds a pickled .*TopK, and unpickling can run any code"):
        load(tmp_path)
    with open(tmp_path / "sae.pt", "wb") as file:
        file.write(b"{}\n")
        torch.save({"cfg": le.TopK(3)}, file)
    with pytest.raises(ValueError, match="unpickling can run any code"):
        load(tmp_path / "sae.pt")


def test_latents_are_recorded_from_a_layer(tmp_path):
    """From a package's folder to a matrix of latents, in one line, and stored."""
    folder = dictionary(TOP, "AutoEncoderTopK")(tmp_path)
    model, inputs = torch.nn.Sequential(torch.nn.Conv2d(3, WIDTH, 3)), random(5, 3, 6, 6, seed=1)
    sae, store = le.SparseAutoencoder.load(folder, pool="max"), le.Store(tmp_path / "store")
    found = le.record(model, "0", inputs, units=sae, show_progress=False, store=store)
    maps = model(inputs).detach().flatten(2).transpose(1, 2)
    wanted = torch.stack([torch.stack([KINDS["sparsify"].formula(x) for x in image]).amax(0) for image in maps])
    torch.testing.assert_close(found.values, wanted, rtol=0, atol=1e-5)
    assert sae.key != le.SparseAutoencoder.load(folder).key
