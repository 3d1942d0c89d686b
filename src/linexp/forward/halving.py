"""A batch for which there is no memory is run in halves."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from linexp.forward.engines import LOG, NoMemoryError


class Halving:
    """Runs batches, and where memory does not suffice smaller ones from then on.

    Parameters
    ----------
    run
        From a batch to what is read from each layer.
    device
        Where it runs.
    """

    def __init__(self, run: Callable[[Tensor], dict[str, Tensor]], device: torch.device) -> None:
        self._run, self._device = run, device
        self._most: int | None = None

    def run(self, batch: Tensor) -> dict[str, Tensor]:
        """Return what is read on a batch.

        Raises
        ------
        RuntimeError
            There is no memory even for one image.
        """
        if self._most is None or len(batch) <= self._most:
            try:
                return self._run(batch)
            except NoMemoryError:
                if len(batch) == 1:
                    raise
                self._most = len(batch) // 2
            # Not within the except: its traceback keeps the feature maps that were there already.
            LOG.info("memory: there is none for batches of %d, so they are of %d", len(batch), self._most)
            if self._device.type == "cuda":
                torch.cuda.empty_cache()
        parts = [self.run(part) for part in batch.split(self._most)]
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
