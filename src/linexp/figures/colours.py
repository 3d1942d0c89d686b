"""Colours that every kind of colour vision tells apart."""

from __future__ import annotations

# Okabe and Ito (2008), the strongest first and yellow late; then two greys for explanations of more than eight terms.
OKABE_ITO = (
    *("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#F0E442", "#7A5195"),
    *("#8A8A8A", "#4D4D4D"),
)
"""One colour per term, in the order of the terms; from the eleventh on they come again."""


INK, MUTED, RULE, REST = "#1A1A1A", "#666666", "#D8D8D8", "#EDEDED"


def colour_of(place: int) -> str:
    """Return the colour of the term at this place."""
    return OKABE_ITO[place % len(OKABE_ITO)]
