"""How much a neuron matters, and where in its range: what the network loses without it (Section 2 of the paper).

From top to bottom: the result (base); the two ways to measure, by the linear head or by the network behind the layer
(head, network); one layer (task); the layers asked for (measure); Top Impact (top); means over neurons (summary).
"""

from linexp.ablation.impact.impact import Impact
from linexp.ablation.impact.means import TOTALS, Figures, Means, mean_figures, measure_figures
from linexp.ablation.impact.measure import impact, impact_layers
from linexp.ablation.impact.top import BETAS, TopImpact, count_images, top_curve, top_impact

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
