"""What every source of concepts is."""

from __future__ import annotations

from typing import Any, Protocol

from linexp.matrix import ConceptMatrix


class ConceptSource(Protocol):
    """Settings of one source; ``describe`` looks at the images."""

    def describe(self, images: Any) -> ConceptMatrix:
        """Return how much of each concept is in each image, rows in the order of the images."""
        ...
