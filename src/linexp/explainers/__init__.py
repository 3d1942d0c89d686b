"""Explainers: activations and concepts in, explanations out; one method a file."""

from linexp.explainers.base import Explainer
from linexp.explainers.linear import LinearExplainer

__all__ = [
    "Explainer",
    "LinearExplainer",
]
