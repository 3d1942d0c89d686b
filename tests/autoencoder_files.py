"""Files of autoencoders as the packages lay them out, each with the package's own formula, written out."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

WIDTH, LATENTS, K = 6, 9, 3


@dataclass(frozen=True)
class Kind:
    """How a package writes an autoencoder and what it makes of one vector."""

    write: Callable[[Path], Path]
    formula: Callable[[Tensor], Tensor]
    said: dict[str, Any]


def random(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


W_ENC, W_DEC = random(WIDTH, LATENTS, seed=1), random(LATENTS, WIDTH, seed=2)
B_ENC, B_DEC = random(LATENTS, seed=3), random(WIDTH, seed=4)
THRESHOLD = random(LATENTS, seed=5).abs()
R_MAG, B_GATE, B_MAG = random(LATENTS, seed=6), random(LATENTS, seed=7), random(LATENTS, seed=8)
PARAMETERS = {"W_enc": W_ENC, "W_dec": W_DEC, "b_enc": B_ENC, "b_dec": B_DEC}
LINEAR = {"encoder.weight": W_ENC.T, "encoder.bias": B_ENC, "decoder.weight": W_DEC.T}
GATED = {"W_enc": W_ENC, "W_dec": W_DEC, "b_dec": B_DEC, "r_mag": R_MAG, "b_gate": B_GATE, "b_mag": B_MAG}


def top(before: Tensor, *, positive: bool = True) -> Tensor:
    kept = sorted(range(LATENTS), key=lambda latent: -float(before[latent]))[:K]
    numbers = [float(before[latent]) if latent in kept else 0.0 for latent in range(LATENTS)]
    return torch.tensor([max(number, 0) if positive else number for number in numbers])


def above(before: Tensor, threshold: Tensor) -> Tensor:
    return torch.where(before > threshold, before, 0).relu()


def linear(x: Tensor) -> Tensor:
    return x @ W_ENC + B_ENC


def centred(x: Tensor) -> Tensor:
    return linear(x - B_DEC)


def layer_norm(x: Tensor) -> Tensor:
    return (x - x.mean()) / ((x - x.mean()).std() + 1e-5)


def gated(x: Tensor) -> Tensor:
    gate = (x - B_DEC) @ W_ENC + B_GATE > 0
    return gate * ((x - B_DEC) @ (W_ENC * R_MAG.exp()) + B_MAG).relu()


def safe(name: str, tensors: dict[str, Tensor], settings: dict[str, Any] | None = None, beside: str = "cfg.json"):
    def write(folder: Path) -> Path:
        save_file({key: value.contiguous() for key, value in tensors.items()}, folder / name)
        if settings is not None:
            (folder / beside).write_text(json.dumps(settings))
        return folder

    return write


def torch_file(name: str, tensors: dict[str, Tensor], settings: dict[str, Any] | None = None):
    def write(folder: Path) -> Path:
        torch.save(tensors, folder / name)
        if settings is not None:
            (folder / "config.json").write_text(json.dumps(settings))
        return folder

    return write


def headed(settings: dict[str, Any]):
    def write(folder: Path) -> Path:
        with open(folder / "sae.pt", "wb") as file:
            file.write((json.dumps(settings) + "\n").encode())
            torch.save(PARAMETERS, file)
        return folder / "sae.pt"

    return write


def saelens(tensors: dict[str, Tensor] = PARAMETERS, **settings: Any):
    usual = {"d_in": WIDTH, "d_sae": LATENTS, "apply_b_dec_to_input": True, "normalize_activations": "none"}
    return safe("sae_weights.safetensors", tensors, {**usual, **settings})


def prisma(**settings: Any):
    usual = {"architecture": "standard", "activation_fn_str": "relu", "normalize_activations": None}
    return torch_file("weights.pt", GATED if settings.get("architecture") == "gated" else PARAMETERS, usual | settings)


def saev(name: str) -> dict[str, Any]:
    return {"schema": 2, "cfg": {"d_vit": WIDTH, "activation": {"cls": name, "params": {"top_k": K}}}}


def dictionary(tensors: dict[str, Tensor], name: str):
    return torch_file("ae.pt", tensors, {"trainer": {"dict_class": name}})


OVERCOMPLETE = {
    "encoder.final_block.0.weight": W_ENC.T,
    "encoder.final_block.0.bias": B_ENC,
    "dictionary._weights": W_DEC,
    "dictionary.multiplier": torch.tensor(0.5),
}
TIED = {name: OVERCOMPLETE[name] for name in ("dictionary._weights", "dictionary.multiplier")}
NORMED = {
    "encoder.final_block.1.weight": random(LATENTS, seed=9),
    "encoder.final_block.1.bias": random(LATENTS, seed=10),
    "encoder.final_block.1.running_mean": random(LATENTS, seed=11),
    "encoder.final_block.1.running_var": random(LATENTS, seed=12).abs() + 0.1,
    "encoder.final_block.1.num_batches_tracked": torch.tensor(7),
}


def batch_normed(x: Tensor) -> Tensor:
    weight, bias, mean, variance, _ = NORMED.values()
    return (linear(x) - mean) / (variance + 1e-5).sqrt() * weight + bias


def standardised(x: Tensor) -> Tensor:
    """dictionary_learning's AutoEncoder after ``from_pretrained``, which gives decoder columns the norm 1."""
    return ((x - B_DEC) @ W_ENC + B_ENC).relu() * W_DEC.norm(dim=1)


NORMS = W_DEC.norm(dim=1)
TOP = {**LINEAR, "b_dec": B_DEC, "k": torch.tensor(K), "threshold": torch.tensor(0.4)}
GATED_DICTIONARY = {
    "encoder.weight": W_ENC.T,
    "decoder.weight": W_DEC.T,
    "decoder_bias": B_DEC,
    "r_mag": R_MAG,
    "gate_bias": B_GATE,
    "mag_bias": B_MAG,
}
JUMP = {**PARAMETERS, "threshold": THRESHOLD}
GROUPS = {**PARAMETERS, "threshold": torch.tensor(0.4), "k": torch.tensor(K), "group_sizes": torch.tensor([4, 5])}
SPARSIFY = {"encoder.weight": W_ENC.T, "encoder.bias": B_ENC, "W_dec": W_DEC, "b_dec": B_DEC}

KINDS = {
    "SAELens, standard": Kind(saelens(architecture="standard"), lambda x: centred(x).relu(), {}),
    "SAELens, not centred": Kind(
        saelens(architecture="standard", apply_b_dec_to_input=False), lambda x: linear(x).relu(), {}
    ),
    "SAELens, layer norm": Kind(
        saelens(normalize_activations="layer_norm"), lambda x: centred(layer_norm(x)).relu(), {}
    ),
    "SAELens, norm": Kind(
        saelens(normalize_activations="constant_norm_rescale"),
        lambda x: centred(x * WIDTH**0.5 / x.norm()).relu(),
        {},
    ),
    "SAELens, topk": Kind(saelens(architecture="topk", k=K), lambda x: top(centred(x)), {}),
    "SAELens, topk by norms": Kind(
        saelens(architecture="topk", k=K, rescale_acts_by_decoder_norm=True), lambda x: top(centred(x) * NORMS), {}
    ),
    "SAELens, jumprelu": Kind(saelens(JUMP, architecture="jumprelu"), lambda x: above(centred(x), THRESHOLD), {}),
    "SAELens, gated": Kind(saelens(GATED, architecture="gated"), gated, {}),
    "sparsify": Kind(
        safe("sae.safetensors", SPARSIFY, {"d_in": WIDTH, "k": K, "activation": "topk"}), lambda x: top(centred(x)), {}
    ),
    "sparsify, transcoder": Kind(
        safe("sae.safetensors", SPARSIFY, {"d_in": WIDTH, "k": K, "transcode": True}), lambda x: top(linear(x)), {}
    ),
    "ViT-Prisma": Kind(prisma(), lambda x: centred(x).relu(), {}),
    "ViT-Prisma, topk": Kind(
        prisma(activation_fn_str="topk", activation_fn_kwargs={"k": K}), lambda x: top(centred(x)), {}
    ),
    "ViT-Prisma, gated": Kind(prisma(architecture="gated"), gated, {}),
    "ViT-Prisma, layer norm": Kind(
        prisma(normalize_activations="layer_norm"), lambda x: centred(layer_norm(x)).relu(), {}
    ),
    "overcomplete, topk": Kind(torch_file("sae.pth", OVERCOMPLETE), lambda x: top(linear(x)), {"sparsity": "TopK"}),
    "overcomplete, batch normalised": Kind(
        torch_file("sae.pth", OVERCOMPLETE | NORMED), lambda x: batch_normed(x).relu(), {"sparsity": "ReLU"}
    ),
    "overcomplete, jump": Kind(
        torch_file("sae.pth", OVERCOMPLETE | {"thresholds": THRESHOLD.log()}),
        lambda x: above(linear(x), THRESHOLD),
        {},
    ),
    "overcomplete, tied": Kind(
        torch_file("sae.pth", {**TIED, **{"encoder.tied_to." + name[11:]: value for name, value in TIED.items()}}),
        lambda x: (x @ (W_DEC / W_DEC.norm(dim=1, keepdim=True)).T * torch.tensor(0.5).exp()).relu(),
        {"sparsity": "ReLU"},
    ),
    "saev, version 0.1": Kind(headed({"d_vit": WIDTH, "exp_factor": 2}), lambda x: centred(x).relu(), {}),
    "saev, Relu": Kind(headed(saev("Relu")), lambda x: linear(x).relu(), {}),
    "saev, TopK": Kind(headed(saev("TopK")), lambda x: top(linear(x), positive=False), {}),
    "dictionary_learning": Kind(dictionary({**LINEAR, "bias": B_DEC}, "AutoEncoder"), standardised, {}),
    "dictionary_learning, new": Kind(
        dictionary({**LINEAR, "decoder.bias": B_DEC}, "AutoEncoderNew"), lambda x: linear(x).relu(), {}
    ),
    "dictionary_learning, gated": Kind(dictionary(GATED_DICTIONARY, "GatedAutoEncoder"), gated, {}),
    "dictionary_learning, topk": Kind(dictionary(TOP, "AutoEncoderTopK"), lambda x: top(centred(x)), {}),
    "dictionary_learning, batch topk": Kind(
        dictionary(TOP, "BatchTopKSAE"), lambda x: above(centred(x), torch.tensor(0.4)), {}
    ),
    "dictionary_learning, matryoshka": Kind(
        dictionary(GROUPS, "MatryoshkaBatchTopKSAE"), lambda x: above(centred(x), torch.tensor(0.4)), {}
    ),
    "dictionary_learning, jumprelu": Kind(
        dictionary(JUMP, "JumpReluAutoEncoder"), lambda x: above(linear(x), THRESHOLD), {}
    ),
    "plain": Kind(
        safe("mine.safetensors", PARAMETERS),
        lambda x: centred(x).relu(),
        {"sparsity": "ReLU", "subtract_decoder_bias": True},
    ),
}
