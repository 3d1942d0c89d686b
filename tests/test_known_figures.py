"""What one concept for each neuron is worth on a recorded layer, against a quick computation by somebody else.

Run where that recording is: ``LINEXP_RECORDED=FILE.npz pytest -s tests/test_known_figures.py`` (numpy's .npz with
activations, labels_concepts, concept_names, train, val, test).
"""

import os

import numpy as np
import pytest
import torch

import linexp as le

RECORDED = os.environ.get("LINEXP_RECORDED")
pytestmark = pytest.mark.skipif(not RECORDED, reason="LINEXP_RECORDED does not say where the recorded layer is")
# Mean test correlation. Of soft-WPMI's concept as it is, of the others after the fit.
KNOWN = {
    "best correlation": (le.BestConceptExplainer(n_groups=0), 0.1595),
    "IoU of the top 5 %": (le.DissectionExplainer(quantile=0.95, n_groups=0), 0.1366),
    "AUROC with negation": (le.InvertExplainer(max_length=1, max_fraction=1.0, n_groups=0), 0.1222),
    "soft-WPMI": (le.CLIPDissectExplainer(n_groups=0), 0.0954),
}


@pytest.mark.parametrize("name", KNOWN)
def test_mean_correlation_of_one_concept(name: str):
    arrays = np.load(str(RECORDED), allow_pickle=False)
    activations = le.ActivationMatrix(arrays["activations"].astype(np.float32), layer="head")
    concepts = le.ConceptMatrix(arrays["labels_concepts"], [str(one) for one in arrays["concept_names"]])
    split = le.Split(*(np.asarray(arrays[part]) for part in ("train", "val", "test")))
    explainer, known = KNOWN[name]
    found = explainer.explain(activations, concepts, split)
    if name == "soft-WPMI":
        items = (le.Explanation(item.neuron, (le.Term(item.concepts[0], 1.0),)) for item in found)
        found = le.Explanations(tuple(items), found.layer)
    scores = le.CorrelationScorer().score(le.simulate(found, concepts), activations, split.test)
    print(f"{name}: {scores}, known {known}")
    assert not torch.isnan(scores.values).any()
    assert scores.mean == pytest.approx(known, abs=5e-4)
