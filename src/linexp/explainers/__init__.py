"""Explainers: activations and concepts in, explanations out; one method a file."""

from linexp.explainers.base import Explainer
from linexp.explainers.best import BestConceptExplainer
from linexp.explainers.by_name import (
    EXPLAINERS,
    describe_explainer,
    explainer_of,
    explainers_of,
    on_device,
    tell_method,
)
from linexp.explainers.clip_dissect import CLIPDissectExplainer
from linexp.explainers.clustered import ActivationRange, ClusteredExplainer
from linexp.explainers.compositional import CompositionalExplainer
from linexp.explainers.decoder_text import DecoderTextExplainer as DecoderTextExplainer
from linexp.explainers.dissection import DissectionExplainer
from linexp.explainers.falcon import FalconExplainer
from linexp.explainers.invert import InvertExplainer
from linexp.explainers.linear import LinearExplainer
from linexp.explainers.links import fit_links
from linexp.explainers.needs import Given, Needs, check_needs, tell_stand_ins
from linexp.explainers.others import OthersExplainer
from linexp.explainers.random_concept import RandomConceptExplainer
from linexp.explainers.searches import Greedy, GreedyNonzero, Stepwise, Swaps, Top
from linexp.explainers.sharpness import SharpnessChoice, SharpnessTrial, choose_sharpness
from linexp.explainers.splice import SpLiCEExplainer
from linexp.explainers.usable import Usable, find_usable
from linexp.explainers.weights import fit_weights
from linexp.explainers.www import WWWExplainer

__all__ = [
    "EXPLAINERS",
    "ActivationRange",
    "BestConceptExplainer",
    "CLIPDissectExplainer",
    "ClusteredExplainer",
    "CompositionalExplainer",
    "DissectionExplainer",
    "Explainer",
    "FalconExplainer",
    "Given",
    "Greedy",
    "GreedyNonzero",
    "InvertExplainer",
    "LinearExplainer",
    "Needs",
    "OthersExplainer",
    "RandomConceptExplainer",
    "SharpnessChoice",
    "SharpnessTrial",
    "SpLiCEExplainer",
    "Stepwise",
    "Swaps",
    "Top",
    "Usable",
    "WWWExplainer",
    "check_needs",
    "choose_sharpness",
    "describe_explainer",
    "explainer_of",
    "explainers_of",
    "find_usable",
    "fit_links",
    "fit_weights",
    "on_device",
    "tell_method",
    "tell_stand_ins",
]
