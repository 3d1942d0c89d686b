"""Do a result's explanations make sense to a person? Draws neurons with their highest pictures, to be judged by eye.

Run it after ``make demo``: ``python benchmarks/contact_sheet.py linexp-demo/head-text best.png`` draws the 40 best
by the simulator, ``--random`` instead 40 drawn by lot (seed 0) among those explained. Pictures are the highest of all,
left to right; docs/text-concepts.md has the counts.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import linexp as le
from linexp.concepts.vocabulary import OpenMojiImages

N_NEURONS, N_PICTURES, SIZE, TEXT, COLUMNS = 40, 8, 64, 34, 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("result", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--random", action="store_true")
    asked = parser.parse_args()
    result, images = le.read_result(asked.result), OpenMojiImages()
    neurons = drawn(result) if asked.random else best(result)
    rows = [row(result, images, number, neuron) for number, neuron in enumerate(neurons, 1)]
    height, width = len(rows) // COLUMNS * rows[0].height, COLUMNS * rows[0].width
    sheet = Image.new("RGB", (width, height), "white")
    for place, one in enumerate(rows):
        column, line = divmod(place, len(rows) // COLUMNS)
        sheet.paste(one, (column * one.width, line * one.height))
    sheet.save(asked.out)
    print(asked.out)


def best(result: le.Result) -> list[int]:
    """Return the neurons that the judge's score less its error puts first."""
    column = next(column for column in result.known if column.judge and column.metric == "correlation")
    ranked = sorted(column.values, key=lambda n: column.errors.get(n, np.inf) - column.values[n])
    print("\n".join(f"{column.values[n]:.2f} {result.explanations[n]}" for n in ranked[:N_NEURONS]))
    return ranked[:N_NEURONS]


def drawn(result: le.Result) -> list[int]:
    """Return neurons drawn by lot among those explained."""
    explained = [item.neuron for item in result.explanations if item.terms]
    chosen = np.random.default_rng(0).choice(explained, N_NEURONS, replace=False).tolist()
    print("\n".join(str(result.explanations[n]) for n in chosen))
    return chosen


def row(result: le.Result, images: OpenMojiImages, number: int, neuron: int) -> Image.Image:
    """Draw one neuron: its number and explanation above its highest pictures."""
    picture = Image.new("RGB", (N_PICTURES * SIZE + 24, SIZE + TEXT), "white")
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(12)
    words = result.explanations[neuron].formula.replace("·", " ").replace("−", "-")
    pen.text((2, 2), f"{number}. {neuron}: {words[:88]}", "black", font)
    pen.text((2, 16), words[88:180], "black", font)
    values = result.activations.select([neuron]).values[:, 0]
    for place, image in enumerate(values.argsort(descending=True, stable=True)[:N_PICTURES].tolist()):
        picture.paste(images[image].convert("RGB").resize((SIZE, SIZE)), (place * SIZE, TEXT))
    return picture


if __name__ == "__main__":
    main()
