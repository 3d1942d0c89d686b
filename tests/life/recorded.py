"""What the numbers of a result must be: read from its files with csv, json and NumPy, and nothing of linexp."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.numpy import load_file

from tests.life.world import CALIBRATION, COLOURS, POWERS, WARM

Said = dict[int, list[tuple[float, str]]]
"""Weights and concepts of each neuron."""
Values = dict[int, float]
Presence = Callable[[str], np.ndarray]


def read_table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def said_in(path: Path, layer: str = "0") -> Said:
    """Read a file of explanations: ours, or a neuron and a text or formula."""
    if path.suffix == ".json":
        return {neuron: [(1.0, text)] for neuron, text in json.loads(path.read_text())}
    lines = read_table(path)
    if "unit" in lines[0]:
        own = (line for line in lines if line.get("layer", layer) == layer)
        return {int(line["unit"]): [(1.0, line.get("formula") or line["description"])] for line in own}
    return {
        int(line["neuron"]): [(float(line[f"weight{k}"]), line[f"concept{k}"]) for k in range(int(line["n_terms"]))]
        for line in lines
    }


def words_of(said: Said) -> set[str]:
    """Return the words of all explanations; those of this world are single ones."""
    found = {word for terms in said.values() for _, text in terms for word in re.findall(r"\w+", text)}
    return found - {"AND", "OR", "NOT"}


def evaluate(formula: str, presence: Presence) -> np.ndarray:
    """Return how much of a formula is in each image: minimum for AND, maximum for OR, the rest to 1 for NOT."""
    tokens = re.findall(r"[()]|\w+", formula)

    def several(sign: str, part: Callable[[], np.ndarray], joined: Callable[..., np.ndarray]) -> np.ndarray:
        found = part()
        while tokens[:1] == [sign]:
            tokens.pop(0)
            found = joined(found, part())
        return found

    def single() -> np.ndarray:
        token = tokens.pop(0)
        if token == "NOT":
            return 1 - single()
        if token == "(":
            found = either()
            tokens.pop(0)
            return found
        return presence(token)

    def either() -> np.ndarray:
        return several("OR", lambda: several("AND", single, np.minimum), np.maximum)

    return either()


class Recorded:
    """A result folder as it was when it was made."""

    def __init__(self, folder: Path) -> None:
        self.manifest = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        self.tensors = load_file(folder / "matrices.safetensors")
        self.lines = read_table(folder / "images.csv")
        self.said = said_in(folder / "explanations.csv")
        self.parts = {part: self._rows(part) for part in ("train", "val", "test")}
        self.neurons: list[int] = self.manifest["neurons"]
        self.values = self.tensors["activations"].astype(np.float64)
        self.dead = {n for n, column in zip(self.neurons, self.values.T, strict=True) if column.max() < 0.01}
        pictures = (Image.open(line["image"]).convert("RGB") for line in self.lines)
        self.shades = np.stack([np.asarray(one, np.float64).mean((0, 1)) / 255 for one in pictures])

    def _rows(self, part: str) -> list[int]:
        return [row for row, line in enumerate(self.lines) if line["part"] == part]

    def presence(self, word: str, judge: str = "") -> np.ndarray:
        """Return how much of a word is in each image, by what explained or by a judge that looks at the pictures."""
        if judge:
            return seen_by(judge, self.shades, word)
        place = self.manifest["concepts"].index(word)
        if "concepts" in self.tensors:
            return self.tensors["concepts"][:, place].astype(np.float64)
        a, b = self.manifest["calibration"]["a"], self.manifest["calibration"]["b"]
        images, texts = (self.tensors[f"{kind}_embeddings"].astype(np.float64) for kind in ("image", "text"))
        return sigmoid(a * (images @ texts[place] + b))

    def simulated(self, said: Said, judge: str = "") -> dict[int, np.ndarray]:
        def column(text: str) -> np.ndarray:
            return evaluate(text, lambda word: self.presence(word, judge))

        zeros = np.zeros(len(self.lines))
        return {neuron: sum((w * column(text) for w, text in terms), zeros) for neuron, terms in said.items()}

    def scores(self, said: Said, judge: str = "", part: str = "test") -> Values:
        """Return each neuron's correlation; 0 where nothing is said of it, none where it does not vary."""
        rows, found = self.parts[part], {}
        for neuron, told in self.simulated(said, judge).items():
            recorded = self.values[rows, self.neurons.index(neuron)]
            if np.ptp(recorded) > 0:
                found[neuron] = float(np.corrcoef(recorded, told[rows])[0, 1]) if np.ptp(told[rows]) > 1e-9 else 0.0
        return found


def seen_by(judge: str, shades: np.ndarray, word: str) -> np.ndarray:
    (a, b), words = CALIBRATION[judge], {**COLOURS, "warm": WARM}
    rows = shades ** POWERS[judge] - 0.35
    text = np.array(words[word]) / 255 - 0.35 if word in words else np.zeros(3)
    length = np.linalg.norm(rows, axis=1) * (np.linalg.norm(text) or 1.0)
    return sigmoid(a * (rows @ text / length + b))


def sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


def mean(values: Values) -> float:
    return math.fsum(values.values()) / len(values) if values else math.nan


def same(one: float, other: float, digits: int = 5) -> bool:
    """Say whether two numbers agree to so many decimals."""
    return abs(one - other) <= 0.6 * 10**-digits


def all_same(found: Values, expected: Values, digits: int = 5) -> bool:
    return found.keys() == expected.keys() and all(same(found[n], expected[n], digits) for n in found)


def column_of(lines: Sequence[dict[str, str]], name: str) -> Values:
    """Return a column of a table of neurons, without its empty cells."""
    return {int(line["neuron"]): float(line[name]) for line in lines if line[name]}
