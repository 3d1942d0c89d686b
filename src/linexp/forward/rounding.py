"""Equal but for rounding: the one test by which a faster way, or a part, of a network stands for the network itself."""

from __future__ import annotations

from torch import Tensor

# Folding and another memory layout move the layers of EfficientNet-Lite0 by 1e-6 to 3e-6 of their largest number
# (measured on four images); the rest is room for deeper networks. What computes something else, such as a branch that
# was missed, is off by far more, as a rule.
TOLERANCE = 1e-4


def is_close(one: Tensor, other: Tensor, *, unit: float = 0.0) -> bool:
    """Whether two results differ by rounding only: by no more than a share of the largest number.

    ``unit`` is added to that number where the results themselves may be next to 0.
    """
    return one.shape == other.shape and bool((one - other).abs().max() <= TOLERANCE * (unit + other.abs().max()))
