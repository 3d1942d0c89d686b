"""DN-CBM: the word nearest to what a latent writes."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from linexp.explainers.compared import Compared, Said
from linexp.explainers.matrices import check_shared
from linexp.explainers.usable import Usable
from linexp.explanations import Explanations
from linexp.matrix import ActivationMatrix, ConceptMatrix, EmbeddedConceptMatrix, Split


@dataclass(frozen=True, eq=False)
class DecoderTextExplainer:
    """Explain each latent by the word whose embedding has the highest cosine with its decoder column.

    For sparse autoencoders trained on the output of an image-text encoder, with concepts of that very encoder. The word
    comes from no image; only its weight and bias, for simulation, are least squares on the training images.

    Parameters
    ----------
    decoder
        One latent a row [latents, dims]: ``SparseAutoencoder.decoder``.
    min_activity
        Concepts whose five highest presences among the training images have a smaller mean are left out.
    n_groups
        Groups of images left out, one at a time, for the standard errors of weights and correlation; 0: no errors.

    Raises
    ------
    ValueError
        A setting is outside its range, or the decoder no matrix of finite numbers.

    References
    ----------
    Rao, Mahajan, Böhle, Schiele, Discover-then-name: task-agnostic concept bottlenecks via automated concept discovery,
    ECCV 2024.
    """

    decoder: Float[Tensor, "latents dims"] = field(repr=False)
    min_activity: float = 0.0
    n_groups: int = 20

    def __post_init__(self) -> None:
        check_shared(self)
        decoder: Any = torch.as_tensor(self.decoder).detach().to("cpu", torch.float64, copy=True)
        if decoder.ndim != 2 or not bool(torch.isfinite(decoder).all()):
            raise ValueError(f"The decoder is {list(decoder.shape)}. Give finite numbers [latents, dims].")
        object.__setattr__(self, "decoder", decoder)

    def explain(
        self, activations: ActivationMatrix, concepts: ConceptMatrix, split: Split, *, usable: Usable | None = None
    ) -> Explanations:
        """Explain every latent by one word.

        Fits the weight on ``split.train``, correlates on ``split.val``, never looks at ``split.test``. ``usable`` is
        what ``find_usable`` found in these concepts.

        Raises
        ------
        DifferentImagesError
            The two matrices are of different images, or the split names images they do not have.
        ValueError
            The concepts have no embeddings, or of another length than decoder columns; a neuron is no latent of the
            decoder; or ``usable`` is of other concepts.
        """
        n_latents, dims = self.decoder.shape
        if not isinstance(concepts, EmbeddedConceptMatrix) or concepts.text_embeddings.shape[1] != dims:
            found = concepts.text_embeddings.shape[1] if isinstance(concepts, EmbeddedConceptMatrix) else "no"
            raise ValueError(
                f"Decoder columns have {dims} dimensions and the concepts' embeddings {found}. Describe the images "
                "with le.TextConcepts and the encoder whose output the autoencoder was trained on."
            )
        beyond = [neuron for neuron in activations.neurons if not 0 <= neuron < n_latents]
        if beyond:
            raise ValueError(f"Neuron {beyond[0]} is none of the decoder's {n_latents} latents. Give its own matrix.")
        problem = Compared.of(self, activations, concepts, split, usable)
        return problem.explain(partial(self._say, problem), self.n_groups)

    def _say(self, problem: Compared) -> Said:
        kept = problem.kept
        assert isinstance(kept, EmbeddedConceptMatrix)  # the usable ones of a matrix that was
        columns = self.decoder[list(problem.activations.neurons)][problem.living]
        words = torch.nn.functional.normalize(kept.text_embeddings.double())
        return problem.best(torch.nn.functional.normalize(columns) @ words.T, "cosine")
