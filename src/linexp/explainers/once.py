"""Every neuron explained once: on some images to fit on, by some images to choose by."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from linexp._internal.compiled import Indices
from linexp.explainers.fit import Method, Rows, blocks, find_errors
from linexp.explainers.terms import in_words, with_synonyms
from linexp.explanations import Explanation
from linexp.matrix import ActivationMatrix, ConceptMatrix
from linexp.solve import measure_columns


@dataclass(frozen=True, eq=False)
class Task:
    """What is explained by what, and how."""

    activations: ActivationMatrix
    concepts: ConceptMatrix
    method: Method
    device: torch.device

    def explain(
        self, train: Tensor, val: Tensor, usable: Bool[Tensor, " concepts"], n_groups: int
    ) -> tuple[Explanation, ...]:
        """Explain by the usable concepts, with errors from so many groups."""
        rows = self._rows(train, val, usable)
        names, constant = rows.concepts.names, (~rows.living).tolist()
        (solution, merged), units = self.method.find(rows)
        worded = in_words(solution, units, names, find_errors(rows, solution, units, n_groups))
        found = iter(map(partial(with_synonyms, names=names), worded, merged) if merged else worded)
        constants = self.activations.values[train[0]].to(torch.float64).tolist()
        items: list[Explanation] = []
        for column, neuron in enumerate(self.activations.neurons):
            if constant[column]:
                items.append(Explanation(neuron, (), constants[column], None, "constant"))
            else:
                items.append(replace(next(found), neuron=neuron))
        return tuple(items)

    def choose(self, train: Tensor, val: Tensor, usable: Bool[Tensor, " concepts"]) -> Indices:
        """Return the terms of every neuron as numbers of concepts [neurons, terms], padded with -1, without weights."""
        rows = self._rows(train, val, usable)
        (solution, _), _ = self.method.find(rows)
        numbers = np.append(np.flatnonzero(usable.numpy()), -1)  # -1, where there is no term, is the last place
        chosen = np.full((len(rows.living), solution.concepts.shape[1]), -1)
        chosen[rows.living.numpy()] = numbers[solution.concepts]
        return chosen

    def _rows(self, train: Tensor, val: Tensor, usable: Bool[Tensor, " concepts"]) -> Rows:
        constant = measure_columns(blocks(self.activations, train)).is_constant
        names = [name for name, kept in zip(self.concepts.names, usable.tolist(), strict=True) if kept]
        kept = self.concepts if len(names) == self.concepts.n_concepts else self.concepts.only(names)
        return Rows(self.activations, kept, ~constant, train, val, self.device)
