"""Explainers: activations and concepts in, explanations out; one method a file."""

from linexp.explain.base import Explainer
from linexp.explain.linear import LinearExplainer

__all__ = ["Explainer", "LinearExplainer"]
