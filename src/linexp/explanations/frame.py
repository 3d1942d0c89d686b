"""Explanations as a table: a row for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from linexp.explanations.explanation import Explanation

if TYPE_CHECKING:
    import pandas as pd

# Columns of numbers that may be unknown, which is NaN.
_NUMBERS = ("val_correlation", "val_error", "least_kept", "measure_value", "measure_p")


def frame_of(items: Sequence[Explanation], layer: str) -> pd.DataFrame:
    """Return the table; see ``Explanations.to_frame``."""
    import pandas as pd

    columns: dict[str, list[Any]] = {
        "layer": [layer] * len(items),
        "outcome": [item.outcome for item in items],
        "n_terms": [len(item.terms) for item in items],
        "val_correlation": [item.val_correlation for item in items],
        "val_error": [item.val_error for item in items],
        "least_kept": [
            min((term.kept for term in item.terms if term.kept is not None), default=None) for item in items
        ],
        "bias": [item.bias for item in items],
        "explanation": [item.predicted if item.terms else "" for item in items],
    }
    if any(item.measure for item in items):
        columns["measure"] = [item.measure and item.measure.name for item in items]
        columns["measure_value"] = [item.measure and item.measure.value for item in items]
        columns["measure_p"] = [item.measure and item.measure.p_value for item in items]
    frame = pd.DataFrame(columns, index=pd.Index([item.neuron for item in items], name="neuron"))
    return frame.astype({name: float for name in _NUMBERS if name in columns})
