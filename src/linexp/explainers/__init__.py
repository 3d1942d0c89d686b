"""Explainers: activations and concepts in, explanations out; one method a file."""

from linexp.explainers.base import Explainer
from linexp.explainers.by_name import EXPLAINERS, describe_explainer, explainer_of, on_device, tell_method
from linexp.explainers.clustered import ActivationRange, ClusteredExplainer
from linexp.explainers.compositional import CompositionalExplainer
from linexp.explainers.dissection import DissectionExplainer
from linexp.explainers.invert import InvertExplainer
from linexp.explainers.linear import LinearExplainer
from linexp.explainers.searches import Greedy, GreedyNonzero, Stepwise, Swaps, Top
from linexp.explainers.usable import Usable, find_usable
from linexp.explainers.weights import fit_weights

__all__ = [
    "EXPLAINERS",
    "ActivationRange",
    "ClusteredExplainer",
    "CompositionalExplainer",
    "DissectionExplainer",
    "Explainer",
    "Greedy",
    "GreedyNonzero",
    "InvertExplainer",
    "LinearExplainer",
    "Stepwise",
    "Swaps",
    "Top",
    "Usable",
    "describe_explainer",
    "explainer_of",
    "find_usable",
    "fit_weights",
    "on_device",
    "tell_method",
]
