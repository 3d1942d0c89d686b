"""Fewer digits, faster on a GPU: what that changes is measured on the first images and said."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from linexp._internal.checks import check_choice
from linexp.forward.engines.base import LOG, Engine, Runner, Watch, Way, exact_float32
from linexp.forward.engines.eager import in_layout, layouts
from linexp.forward.engines.passes import Passes, Read
from linexp.forward.hooks import evaluating

_TYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}
PRECISIONS = ("float32", *_TYPES)


@dataclass(frozen=True)
class LowPrecision(Engine):
    """The model in bfloat16 or float16, as far as torch's autocast thinks fit: not the same activations.

    By how much they differ from float32 on the first images is logged, in one line.

    Parameters
    ----------
    precision
        "bfloat16" or "float16".
    """

    precision: str = "bfloat16"

    def __post_init__(self) -> None:
        check_choice("precision", self.precision, list(_TYPES))

    @property
    def told(self) -> str:
        """The number format."""
        return f"torch, {self.precision}"

    def ways(self, passes: Passes, example: Tensor, watch: Watch) -> Iterator[Way]:
        """Yield none: this is no way to get the same."""
        yield from ()

    @contextmanager
    def open(
        self, module: nn.Module, layers: Mapping[str, nn.Module], example: Tensor, read: Read
    ) -> Generator[Runner, None, None]:
        """Measure the difference, and keep the model open; see ``Engine.open``."""
        passes, last = Passes(module, layers, read), layouts(example)[0]
        with evaluating(module), exact_float32():
            wanted = passes.run(example)
            with in_layout(passes, channels_last=last) as runner:

                def run(batch: Tensor) -> dict[str, Tensor]:
                    with torch.autocast(batch.device.type, _TYPES[self.precision]):
                        found = runner.run(batch)
                    return {name: values.float() for name, values in found.items()}

                found = run(example)
                off = max(float((found[one] - wanted[one]).abs().max() / wanted[one].abs().max()) for one in wanted)
                LOG.info(
                    "precision: %s; on the first images off from float32 by %.2g of the largest activation of a layer",
                    self.precision,
                    off,
                )
                yield Runner(run, runner.prepare)


def with_precision(engine: Engine | str, precision: str) -> Engine | str:
    """Return the engine, or what runs in a lower precision; that is torch, whatever the engine."""
    check_choice("precision", precision, list(PRECISIONS))
    if precision == "float32":
        return engine
    if isinstance(engine, Engine) or engine not in ("auto", "torch"):
        told = engine if isinstance(engine, str) else type(engine).__name__
        raise ValueError(
            f"The engine {told} computes in float32 and the precision is {precision}. Leave one of them out "
            "(--engine, --precision)."
        )
    return LowPrecision(precision)
