"""What methods that compare neurons with concepts compute, literally: loops in float64, no shared arithmetic."""

from __future__ import annotations

import itertools
import math

import numpy as np


def top(column: np.ndarray, n_top: int) -> list[int]:
    """The highest rows, the highest first; of those equal to the last, evenly spread ones."""
    cut = sorted(column, reverse=True)[n_top - 1]
    above = sorted((row for row in range(len(column)) if column[row] > cut), key=lambda row: (-column[row], row))
    tied = [row for row in range(len(column)) if column[row] == cut]
    left = n_top - len(above)
    return above + [tied[int((place + 0.5) * len(tied) / left)] for place in range(left)]


def wpmi(similar: np.ndarray, active: np.ndarray, n_top: int, scale: float, prior: float, soft: bool) -> np.ndarray:
    logs = np.zeros((active.shape[1], similar.shape[1]))
    for neuron in range(active.shape[1]):
        for rank, row in enumerate(top(active[:, neuron], n_top)):
            inside = 0.998 - rank / n_top * (0.998 - 0.97) if soft else 1.0
            total = sum(math.exp(scale * value) for value in similar[row])
            for concept in range(similar.shape[1]):
                probability = math.exp(scale * similar[row, concept]) / total
                logs[neuron, concept] += math.log(1 + inside * (probability - 1) + 1e-7)
    for concept in range(similar.shape[1]):
        mean = sum(math.exp(value) for value in logs[:, concept]) / len(logs)
        logs[:, concept] -= prior * math.log(mean)
    return logs


def cosine(similar: np.ndarray, active: np.ndarray, centre: bool, power: int, least: float) -> np.ndarray:
    found = np.zeros((active.shape[1], similar.shape[1]))
    for neuron, concept in np.ndindex(*found.shape):
        sides = []
        for column in (active[:, neuron], similar[:, concept]):
            values = [(value - (sum(column) / len(column) if centre else 0)) ** power for value in column]
            length = max(math.sqrt(sum(value**2 for value in values)), least)
            sides.append([value / length for value in values])
        found[neuron, concept] = sum(a * b for a, b in zip(*sides, strict=True))
    return found


def reorder(similar: np.ndarray, active: np.ndarray, n_top: int) -> np.ndarray:
    """With every order of equal similarities, and every order at all for the yardstick, each tried."""
    found = np.full((active.shape[1], similar.shape[1]), -math.inf)
    for neuron, concept in np.ndindex(*found.shape):
        rows = top(active[:, neuron], n_top)[::-1]
        values, near = active[rows, neuron], similar[rows, concept]
        orders = list(itertools.permutations(range(n_top)))
        expected = np.mean([np.mean(np.abs(values - values[list(order)]) ** 3) for order in orders])
        # The rank of a row is its place in an order in which the similarities do not fall.
        allowed = [order for order in orders if all(near[a] <= near[b] for a, b in itertools.pairwise(order))]
        errors = [np.mean(np.abs(values - values[np.argsort(order)]) ** 3) for order in allowed]
        if near.mean() > 0 and expected > 0:
            found[neuron, concept] = -np.mean(errors) / expected / math.sqrt(near.mean())
    return found


def www(similar: np.ndarray, base: np.ndarray, active: np.ndarray, n_top: int, share: float) -> list[list[int]]:
    """``base`` is the similarity of every image with the prompt alone."""
    said = []
    for neuron in range(active.shape[1]):
        rows = top(active[:, neuron], n_top)
        found = [sum(similar[row, concept] - base[row] for row in rows) for concept in range(similar.shape[1])]
        terms = [concept for concept in range(len(found)) if found[concept] > share * max(found)]
        said.append(sorted(terms, key=lambda concept: -found[concept]))
    return said


def falcon(
    similar: np.ndarray,
    active: np.ndarray,
    groups: list[list[int]],
    n_deviations: float,
    min_images: int,
    n_low: int,
    low_alike: float,
    scale: float,
    n_words: int,
    low_score: float,
    max_terms: int,
) -> tuple[list[list[int]], list[list[int]]]:
    """Terms of each group, and the images that are contrasted with its own."""
    rows = np.array([row / max(math.sqrt(sum(row**2)), 1e-12) for row in active])
    bar = rows.mean() + n_deviations * rows.std(ddof=1)
    words = np.zeros_like(similar)
    for row in range(len(similar)):
        scores = np.exp(scale * similar[row]) / np.exp(scale * similar[row]).sum()
        for concept in range(len(scores)):
            if sum(scores > scores[concept]) < n_words:
                words[row, concept] = scores[concept]
    said, contrasted = [], []
    for group in groups:
        high = [row for row in range(len(rows)) if all(rows[row, column] >= bar for column in group)]
        others = [column for column in range(rows.shape[1]) if column not in group]
        mean = rows[high][:, others].mean(0) if high else None
        low = []
        if mean is not None:
            alike = {row: float(rows[row, others] @ mean) for row in range(len(rows))}
            low = [row for row in alike if all(rows[row, column] < rows.mean() for column in group)]
            low = sorted((row for row in low if alike[row] >= low_alike), key=lambda row: -alike[row])[:n_low]
        contrasted.append(sorted(low))
        terms = []
        if len(high) >= min_images:
            score = words[high].mean(0)
            below = words[low].mean(0) if low else np.zeros(len(score))
            terms = [c for c in range(len(score)) if score[c] > 1e-6 and below[c] < low_score]
            terms = sorted(terms, key=lambda concept: -score[concept])[:max_terms]
        said.append(terms)
    return said, contrasted
