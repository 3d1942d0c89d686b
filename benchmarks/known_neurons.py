"""How often does each method name the class of a neuron whose class is known? The second table of docs/comparing.md.

The neurons are outputs of EfficientNet-Lite0's classifier, those of the classes that the pictures are of; what they
are made of was recorded by ``linexp explain --concepts text``. They are explained by labels (classes and WordNet's
groups of them) and by words. Prints Markdown: the share of the outputs, in percent, of which a method names the class
first (top-1), and among the first five concepts (top-5).

What a method names: the concepts of its terms with positive weight, largest first, within a formula from left to right,
and not what stands behind NOT. Where these are fewer than five, it is asked again without the concepts named before,
until they are five. In words the right answer is the class's own name, to the letter: a synonym or a group is wrong.
"""

from __future__ import annotations

import argparse
import os
import warnings
from collections.abc import Iterator
from typing import Any

import torch

import linexp as le
from linexp.explanations import Concept
from photographs import EXPLAINER, MODEL, World, add_world, class_names, draw, open_world

N_NAMED = 5
# What one output gets depends on the others.
WHOLE_LAYER = (le.CLIPDissectExplainer, le.FalconExplainer)
# These compare embeddings; the others take presences, which are made once.
BY_EMBEDDINGS = (le.CLIPDissectExplainer, le.WWWExplainer, le.SpLiCEExplainer, le.FalconExplainer)
METHODS: dict[str, Any] = {
    "`linear`": le.LinearExplainer(n_groups=0, n_repeats=0),
    "`linear`, swaps": le.LinearExplainer(search="swaps", n_groups=0, n_repeats=0),
    "`best`": le.BestConceptExplainer(n_groups=0),
    "`clip-dissect`": le.CLIPDissectExplainer(n_groups=0),
    "`clip-dissect`, cosine cubed": le.CLIPDissectExplainer("cos_similarity_cubed", n_groups=0),
    "`invert`": le.InvertExplainer(n_groups=0),
    "`dissection`": le.DissectionExplainer(n_groups=0),
    "`compositional`": le.CompositionalExplainer(n_groups=0),
    "`clustered`": le.ClusteredExplainer(n_groups=0),
    "`www`": le.WWWExplainer(n_groups=0),
    "`splice`": le.SpLiCEExplainer(n_groups=0),
    "`falcon`": le.FalconExplainer(n_groups=0),
    "`random`": le.RandomConceptExplainer(n_groups=0),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_world(parser)
    parser.add_argument("--outputs", type=int, default=200, help="how many, drawn with seed 0")
    options = parser.parse_args()
    world = open_world(options)
    names = class_names(world)
    chosen = draw(len(names), options.outputs)
    logits, answers = record_outputs(world, chosen), [names[place] for place in chosen]
    print(f"{len(answers)} outputs, load {os.getloadavg()[0]:.1f}\n")
    for title, concepts in (("labels", world.labels), (f"words by {EXPLAINER}", world.words)):
        present = [name in concepts.names for name in answers]
        print(f"{title}: {concepts.n_concepts} concepts, the classes of {sum(present)} outputs among them\n")
        print("| method | top-1 | top-5 |\n|---|---:|---:|")
        whole = le.ConceptMatrix(concepts.block(slice(None)), concepts.names, concepts.images)
        for method, explainer in METHODS.items():
            if isinstance(explainer, le.SpLiCEExplainer) and not isinstance(concepts, le.EmbeddedConceptMatrix):
                continue
            given = concepts if isinstance(explainer, BY_EMBEDDINGS) else whole
            places = [find_place(named, answer) for named, answer in ask(explainer, logits, given, world, answers)]
            first, five = (sum(place < most for place in places) / len(places) for most in (1, N_NAMED))
            print(f"| {method} | {100 * first:.1f} | {100 * five:.1f} |", flush=True)
        print()


def record_outputs(world: World, chosen: list[int]) -> le.ActivationMatrix:
    """Return the classifier's outputs for some classes, from what was recorded before it."""
    head = le.load_model(MODEL).module.get_submodule("_fc")
    outputs = [int(world.outputs[(torch.tensor(world.images.labels) == place)][0]) for place in chosen]
    with torch.no_grad():
        logits = head(world.activations.values)
    return le.ActivationMatrix(logits[:, outputs], None, "_fc", world.activations.images)


def find_place(named: list[str], answer: str) -> int:
    return named.index(answer) if answer in named else N_NAMED


def ask(
    explainer: Any, logits: le.ActivationMatrix, concepts: le.ConceptMatrix, world: World, answers: list[str]
) -> Iterator[tuple[list[str], str]]:
    """Yield what a method names of each output, in order, and what is right; it is not asked on once it was right."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Presences are not all 0 or 1")
        for item, answer in zip(explainer.explain(logits, concepts, world.split), answers, strict=True):
            named = named_in(item)
            while answer in concepts.names and answer not in named and len(named) < N_NAMED:
                rest = concepts.only([name for name in concepts.names if name not in named])
                given = logits if isinstance(explainer, WHOLE_LAYER) else logits.select([item.neuron])
                more = named_in(explainer.explain(given, rest, world.split)[item.neuron])
                if not more:
                    break
                named += more
            yield named[:N_NAMED], answer


def named_in(item: le.Explanation) -> list[str]:
    """Return the concepts that an explanation says the neuron is active with."""
    terms = (term.concept for term in item.terms if term.weight > 0)
    return list(dict.fromkeys(name for concept in terms for name in affirmed(concept)))


def affirmed(concept: Concept) -> list[str]:
    """Return the concepts of a formula that do not stand behind NOT."""
    if isinstance(concept, str):
        return [concept]
    if concept.operator == "name":
        return [concept.name]
    return [] if concept.operator == "NOT" else [name for one in concept.operands for name in affirmed(one)]


if __name__ == "__main__":
    main()
