"""A whole image-text encoder in a few lines: pictures and colour words meet in the space of mean colours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from linexp.concepts.encoders.base import unit_length
from linexp.images import as_images
from tests import colour_world

COLOURS = {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1), "grey": (1, 1, 1)}


@dataclass(frozen=True)
class ColourEncoder:
    """Knows "red", "green", "blue", "grey", and averages over the colour words of a text."""

    name: str = "colours"

    def encode_images(self, images, *, show_progress=True):
        collection = as_images(images)
        means = [np.asarray(collection[row], np.float32).mean((0, 1)) for row in range(len(collection))]
        return unit_length(torch.from_numpy(np.stack(means)), lambda row: collection.name(row), self.name)

    def encode_texts(self, texts):
        rows = [np.sum([COLOURS[word] for word in text.split() if word in COLOURS], 0) for text in texts]
        return unit_length(torch.from_numpy(np.stack(rows).astype(np.float32)), lambda row: texts[row], self.name)


@dataclass(frozen=True)
class WorldEncoder:
    """Knows the colours of ``colour_world`` and, given a seed, makes mistakes of its own; other words mean nothing."""

    name: str = "see"
    seed: int | None = None

    def encode_images(self, images, *, show_progress=True):
        collection = as_images(images)
        means = np.stack([np.asarray(collection[row], np.float32).mean((0, 1)) / 255 for row in range(len(collection))])
        if self.seed is not None:
            means += np.random.default_rng(self.seed).normal(0, 0.1, means.shape).astype(np.float32)
        return self._unit(means)

    def encode_texts(self, texts):
        shades = [np.mean(WORLD[text], 0) / 255 if text in WORLD else None for text in texts]
        known = self._unit(np.stack([np.zeros(3) if shade is None else shade for shade in shades]).astype(np.float32))
        unknown = torch.tensor([0.0, 0, 0, 1])
        return torch.stack([unknown if shade is None else row for shade, row in zip(shades, known, strict=True)])

    def _unit(self, shades):
        rows = torch.from_numpy(np.pad(shades - 0.35, ((0, 0), (0, 1))))
        return unit_length(rows, str, self.name)


WORLD = {name: [colour] for name, colour in colour_world.COLOURS.items()}
WORLD["warm"] = [colour_world.COLOURS["red"], colour_world.COLOURS["yellow"]]
