"""How much a neuron matters, and where in its range: what the network loses without it (Section 2 of the paper).

From top to bottom: the result (impact); one layer's measurement (layer); the layers asked for (measure); what falls on
the highest activations (top); figures of neurons, Top Impact among them, and their means (means).
"""

from linexp.ablation.impact.impact import Impact
from linexp.ablation.impact.means import TOTALS, Figures, Means, TopImpact, mean_figures, measure_figures, top_impact
from linexp.ablation.impact.measure import impact, impact_layers
from linexp.ablation.impact.top import BETAS, count_images, top_curve

__all__ = [
    "BETAS",
    "TOTALS",
    "Figures",
    "Impact",
    "Means",
    "TopImpact",
    "count_images",
    "impact",
    "impact_layers",
    "mean_figures",
    "measure_figures",
    "top_curve",
    "top_impact",
]
