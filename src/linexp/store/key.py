"""The key of one piece of long work: everything its result depends on, and into which shards it is cut."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import PIL
import torch

from linexp.store.code import RESULTS

FORMAT = 2
KIND = "[a-z0-9]+(?:[_-][a-z0-9]+)*"
"""What a kind of entry may be called: a word that every system takes in a folder's name."""


# A large encoder on a small machine looks at one image a second: a kill shall not cost more than minutes.
_ROWS = 128
# How exactly products of float32 are taken; torch before 2.9 knows only those that end in allow_tf32.
_PRECISIONS = (
    *("cuda.matmul.allow_tf32", "cudnn.allow_tf32"),
    *("fp32_precision", "cuda.matmul.fp32_precision", "cudnn.fp32_precision", "cudnn.conv.fp32_precision"),
    *("mkldnn.fp32_precision", "mkldnn.matmul.fp32_precision", "mkldnn.conv.fp32_precision"),
    *("cuda.matmul.allow_fp16_reduced_precision_reduction", "cuda.matmul.allow_bf16_reduced_precision_reduction"),
)


@dataclass(frozen=True)
class Key:
    """What a stored result depends on; another value of anything is another key.

    Parameters
    ----------
    kind
        Of work, such as "activations": small letters and digits, with hyphens between words.
    parts
        Every ingredient, as plain values that JSON can hold: contents, never names alone.
    n_rows
        Number of images (or texts, or neurons).
    shard_rows
        Rows of one shard; the last may have fewer.
    about
        What a list of the store calls it, its "model" and what "of" it; no part of the key.
    """

    kind: str
    parts: Mapping[str, Any]
    n_rows: int
    shard_rows: int
    about: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        if not re.fullmatch(KIND, self.kind):
            raise ValueError(f"The kind of a stored result is '{self.kind}'. Use small letters, digits and hyphens.")

    @property
    def identity(self) -> dict[str, Any]:
        """Everything that counts, as it stands in the manifest."""
        return {
            "format": FORMAT,
            "results": RESULTS,
            "kind": self.kind,
            "rows": self.n_rows,
            "shard_rows": self.shard_rows,
            "parts": dict(self.parts),
        }

    @cached_property
    def name(self) -> str:
        """Name of the entry's folder: the kind and a SHA-256."""
        return entry_name(self.identity)

    @cached_property
    def shards(self) -> list[range]:
        """The rows of every shard."""
        return [
            range(start, min(start + self.shard_rows, self.n_rows)) for start in range(0, self.n_rows, self.shard_rows)
        ]


def entry_name(identity: Mapping[str, Any]) -> str:
    """Return the name of the folder that belongs to the identity in a manifest."""
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return f"{identity['kind']}-{hashlib.sha256(text.encode()).hexdigest()}"


def rows_per_shard(batch_size: int) -> int:
    """Return about 128, but whole batches: work that is taken up again then has the batches it would have had."""
    return batch_size * max(1, _ROWS // batch_size)


def _precision(name: str) -> str:
    """Return a setting below ``torch.backends``; "" where this torch has none or it was set in several ways at once."""
    found: Any = torch.backends
    try:
        for part in name.split("."):
            found = getattr(found, part)
    except (AttributeError, RuntimeError):
        return ""
    return str(found)


def surroundings(device: torch.device) -> dict[str, Any]:
    """Return what outside model and images changes results by more than the machine's rounding."""
    return {
        "torch": torch.__version__,
        "pillow": PIL.__version__,
        "device": device.type,
        "precision": {name: _precision(name) for name in _PRECISIONS},
        "autocast": str(torch.get_autocast_dtype(device.type)) if torch.is_autocast_enabled(device.type) else None,
        "dtype": str(torch.get_default_dtype()),
    }
