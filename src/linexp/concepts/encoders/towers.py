"""The two towers of an image-text model as an encoder: all that the adapters share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from jaxtyping import Float
from torch import Tensor, nn

from linexp.concepts.encoders.base import check_batch_size, check_texts, unit_length
from linexp.forward import Source, decoders_on, move, network_key, open_module, open_source, over_rows, size_on
from linexp.forward.engines import N_TRIED, Engine, OnnxRuntime, choose_engine, find_engine
from linexp.images import as_images
from linexp.models import Preprocess
from linexp.store import Keep, Key, Parts, Store, content_of, whole

_EMBEDDINGS = "embeddings"


@dataclass(frozen=True, eq=False)
class TwoTowers(ABC):
    """An image-text model of a library as an ``Encoder``; a function of its adapter loads one.

    Parameters
    ----------
    name
        The library's prefix and what it was asked for with, such as "hf:google/siglip-large-patch16-384".
    model
        The library's network.
    preprocess
        Makes the tensor of one picture.
    tokenizer
        The model's own.
    batch_size
        Images or texts at a time; does not change the result beyond rounding. ``None``: 8 on a CPU, otherwise 64.
    engine
        How pictures are run, as in ``record``; texts always run through the module itself, all of a batch at once.

    Raises
    ------
    ValueError
        ``batch_size`` is below 1.
    """

    name: str
    model: Any
    preprocess: Preprocess
    tokenizer: Any
    batch_size: int | None = None
    engine: Engine | str = "auto"

    def __post_init__(self) -> None:
        check_batch_size(self.batch_size)
        find_engine(self.engine)

    @abstractmethod
    def _towers(self) -> tuple[Callable[[Tensor], Tensor], Callable[..., Tensor]]:
        """Return what embeds a batch of pictures, and one of tokens by their names, in rows of any length."""

    @abstractmethod
    def _tokenise(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """Return what the network reads of some texts, by the names of its arguments; refuse one that is too long."""

    def encode_images(
        self, images: Any, *, show_progress: bool = True, store: Store | None = None
    ) -> Float[Tensor, "images dims"]:
        """Return one row of unit length for each image; see ``Encoder``.

        Raises
        ------
        OSError
            An image cannot be read, or the store not be used; the message names it.
        ValueError
            There is no image; preprocessing fails on one, or its embedding is not finite or zero.
        """
        collection = as_images(images)
        if not len(collection):
            raise ValueError("There are 0 images. Give at least one.")
        _, device = open_module(self.model)
        size = size_on(device, self.batch_size)
        source = open_source(collection, self.model, self.preprocess, size, decoders_on(device))
        embed = self._towers()[0]
        engine = choose_engine(self.engine, source.n_images, device)
        if self.engine in ("auto", "torch") and not isinstance(engine, OnnxRuntime):
            engine = None
        return self._embed("images", source, lambda batch: embed(batch.to(device)), embed, show_progress, store, engine)

    def encode_texts(
        self, texts: Sequence[str], *, show_progress: bool = True, store: Store | None = None
    ) -> Float[Tensor, "texts dims"]:
        """Return one row of unit length for each text; see ``Encoder``.

        Raises
        ------
        ValueError
            There is no text; one is longer than the model reads (the message gives both lengths), or its embedding is
            not finite or zero.
        """
        texts = check_texts(texts)
        _, device = open_module(self.model)
        size = size_on(device, self.batch_size)
        # All texts before the first is embedded: one that is too long is known at once.
        tokens = [self._tokenise(texts[start : start + size]) for start in range(0, len(texts), size)]
        source = Source(
            n_images=len(texts),
            batch_size=size,
            fingerprint="",
            name=texts.__getitem__,
            batches=lambda parts: (tokens[rows.start // size] for rows in parts.batches(size)),
            # By their tokens the words count, and so do templates and tokenizer.
            content=lambda: {"tokens": content_of(tokens, "tokens")},
        )
        embed = self._towers()[1]

        def run(batch: Mapping[str, Tensor]) -> Tensor:
            return embed(**{key: tensor.to(device) for key, tensor in batch.items()})

        return self._embed("texts", source, run, embed, show_progress, store)

    def _embed(
        self,
        of: str,
        source: Source,
        run: Callable[[Any], Tensor],
        tower: Any,
        show_progress: bool,
        store: Store | None,
        engine: Engine | None = None,
    ) -> Float[Tensor, "rows dims"]:
        def compute(parts: Parts, keep: Keep) -> None:
            with self._open(engine, run, source) as embed:
                for rows in embed(source.batches(parts)):
                    keep({_EMBEDDINGS: rows.cpu()})

        def key() -> Key:
            own = {"of": of, "embed": getattr(tower, "__qualname__", type(tower).__qualname__)}
            own |= {} if engine is None else {"engine": engine.key}
            size, (module, device) = source.batch_size, open_module(self.model)
            return network_key(
                _EMBEDDINGS, module, own, [of], source.content, source.n_images, size, device, name=self.name
            )

        rows = over_rows(
            self.model,
            source,
            [_EMBEDDINGS],
            compute,
            key,
            store=store,
            doing=f"encoding {of}",
            what=f"{of} embedded by {self.name}",
            unit=of,
            show_progress=show_progress,
        )
        return unit_length(rows[_EMBEDDINGS], lambda row: f"the {of[:-1]} '{source.name(row)}'", self.name)

    @contextmanager
    def _open(
        self, engine: Engine | None, run: Callable[[Any], Tensor], source: Source
    ) -> Generator[Callable[[Iterator[Any]], Iterator[Tensor]], None, None]:
        """Open what embeds batches; the engine is judged on the first of all images, whatever part is asked for."""
        if engine is None:
            yield partial(map, run)
            return
        tower, device = _Tower(self.model, run), open_module(self.model)[1]
        with closing(cast("Generator[Tensor, None, None]", source.batches(whole(source.batch_size)))) as batches:
            example = next(batches)[:N_TRIED].to(device)

        def read(_: str, output: Any, __: int) -> Tensor:
            return output.detach().clone()

        with engine.open(tower, {_EMBEDDINGS: tower}, example, read) as runner:
            yield lambda batches: (one[_EMBEDDINGS] for one in runner.over(move(batch, device) for batch in batches))


class _Tower(nn.Module):
    """One tower as a module, whose parts are the model's."""

    def __init__(self, model: nn.Module, embed: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.model, self.embed = model, embed
        self.training = False

    def forward(self, batch: Tensor) -> Tensor:
        return self.embed(batch)
