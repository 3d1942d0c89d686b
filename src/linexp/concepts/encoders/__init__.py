"""Encoders that find words in pictures, by name."""

from linexp.concepts.encoders.base import Encoder, check_texts, embed_prompts, storing
from linexp.concepts.encoders.conse import ConSE
from linexp.concepts.encoders.huggingface import PAPER_ENCODERS
from linexp.concepts.encoders.load import load_encoder, same_model
from linexp.concepts.encoders.open_clip import imagenet_names

__all__ = [
    "PAPER_ENCODERS",
    "ConSE",
    "Encoder",
    "check_texts",
    "embed_prompts",
    "imagenet_names",
    "load_encoder",
    "same_model",
    "storing",
]
