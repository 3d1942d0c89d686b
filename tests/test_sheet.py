"""The sheet of pictures: which neurons and images it shows, how it breaks lines, and that it draws."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from linexp import DifferentImagesError
from linexp.explanations.explanation import Explanation, Term
from linexp.explanations.layer import Explanations
from linexp.images import ImageArray, ImageSubset
from linexp.matrix import ActivationMatrix
from linexp.report import draw_picture_sheet
from linexp.report.sheet import best_neurons, choose_pictures
from linexp.report.sheet_layout import RANGES, Panel
from linexp.score import Scores

NAN = float("nan")


def scores_of(values: list[float], neurons: list[int] | None = None) -> Scores:
    ids = tuple(range(len(values)) if neurons is None else neurons)
    return Scores(torch.tensor(values, dtype=torch.float64), ids, "correlation", 20)


def explained(neuron: int, *terms: tuple[str, float]) -> Explanation:
    kept = tuple(Term(*term) for term in terms)
    return Explanation(neuron, kept, 0.5, 0.3, "explained" if terms else "empty")


# Which neurons


def test_best_neurons_come_best_first():
    scores = scores_of([0.1, 0.9, -0.2, 0.5], neurons=[7, 3, 40, 12])
    assert best_neurons(scores, 3) == (3, 12, 7)
    assert best_neurons(scores, 10) == (3, 12, 7, 40)


def test_of_equal_scores_the_earlier_neuron_comes_first():
    assert best_neurons(scores_of([0.5, 0.7, 0.5, 0.7, 0.5], neurons=[9, 8, 7, 6, 5]), 4) == (8, 6, 9, 7)


def test_neurons_are_ordered_by_the_score_less_its_error():
    scores = replace(scores_of([0.9, 0.7, 0.8]), errors=torch.tensor([0.3, 0.01, NAN], dtype=torch.float64))
    assert best_neurons(scores, 3) == (1, 0, 2)


def test_neurons_without_a_score_are_never_drawn():
    assert best_neurons(scores_of([NAN, -0.9, NAN, -0.8]), 10) == (3, 1)
    with pytest.raises(ValueError, match=r"None of the 2 neurons has a defined correlation\. Score neurons whose"):
        best_neurons(scores_of([NAN, NAN]), 10)


# Which images


def test_pictures_of_each_third():
    activations = np.array([0.0, 9.0, 4.0, 1.0, 5.0, 8.0, 2.0, 7.0, 3.5, 6.0])
    # Thirds end at 3 and 6. The four highest are 9, 8, 7, 6; in the other two thirds three images each are left.
    assert choose_pictures(activations, 0) == ((1, 5, 7, 9), (4, 2, 8), (6, 3, 0))


def test_equal_activations_stand_in_the_order_of_the_images():
    assert choose_pictures(np.array([1.0, 3.0, 1.0, 3.0, 3.0, 3.0, 3.0, 1.0]), 0) == ((1, 3, 4, 5), (), (0, 2, 7))


def test_few_images_are_shown_once():
    assert choose_pictures(np.array([2.0, 5.0]), 0) == ((1, 0), (), ())
    assert choose_pictures(np.array([2.0, 5.0, 0.0, 0.1, 0.2, 1.0]), 0) == ((1, 0, 5, 4), (), (3, 2))


def test_a_constant_neuron_has_no_thirds():
    (top, middle, low) = choose_pictures(np.full(9, 2.5), 0)
    assert top == (0, 1, 2, 3)
    assert middle == ()
    assert set(low) <= set(range(4, 9))


def test_lots_depend_on_the_seed_alone():
    activations = np.random.default_rng(0).uniform(size=300)
    first = choose_pictures(activations, 1)
    assert choose_pictures(activations, 1) == first
    assert choose_pictures(activations, 2)[0] == first[0]
    assert choose_pictures(activations, 2)[1:] != first[1:]
    assert choose_pictures(activations * 100 - 7, 1) == first


@given(st.lists(st.floats(-100, 100, width=16), min_size=1, max_size=60), st.integers(0, 5))
def test_every_picture_lies_in_its_part(values: list[float], seed: int):
    activations = np.array(values, dtype=np.float64)
    chosen = choose_pictures(activations, seed)
    shown = [place for places in chosen for place in places]
    assert len(shown) == len(set(shown))
    for part, places in zip(RANGES, chosen, strict=True):
        assert len(places) <= part.n_pictures
        assert list(activations[list(places)]) == sorted(activations[list(places)], reverse=True)
    assert sorted(activations[list(chosen[0])]) == sorted(activations)[-4:]
    relative = (activations - activations.min()) / (np.ptp(activations) or 1.0)
    assert all(0.333 <= relative[place] <= 0.667 for place in chosen[1])
    assert all(relative[place] <= 0.334 for place in chosen[2])


# How explanations are written


def lines_of(text: str) -> list[str]:
    return Panel(text, np.zeros(1), ((0,), (), ())).lines


def test_long_explanations_are_broken_and_no_sign_ends_a_line():
    terms = [(f"concept {'x' * length}", (-1.0) ** length) for length in range(2, 20)]
    text = str(explained(1, *terms))
    lines = lines_of(text)
    assert " ".join(lines) == text
    assert 2 < len(lines) < 8
    assert all(len(line) <= 120 and line[-1] not in "+−" for line in lines)
    assert "".join(lines_of("w" * 300)) == "w" * 300
    assert lines_of("1.00·ski\nslope") == ["1.00·ski slope"]


# The file


class Problem:
    """Twelve neurons on thirty small pictures; the pictures' brightness is their row."""

    def __init__(self, n_images: int = 30, n_neurons: int = 12) -> None:
        lots = np.random.default_rng(3)
        shades = np.arange(n_images, dtype=np.uint8)[:, None, None, None] * np.uint8(8)
        self.images = ImageArray(np.broadcast_to(shades, (n_images, 12, 20, 3)))
        neurons = [10 * place for place in range(n_neurons)]
        values = lots.normal(size=(n_images, n_neurons)).astype(np.float32)
        self.recorded = ActivationMatrix(values, neurons, "layer4", self.images.fingerprint)
        items = [explained(neuron, ("snow", 1.5), ("ski slope", -0.5)) for neuron in neurons]
        self.explanations = Explanations(tuple(items), "layer4")
        self.scores = scores_of(list(np.linspace(0.1, 0.9, n_neurons)), neurons)

    def draw(self, path: Path, **settings: object) -> Path:
        arguments = {
            "explanations": self.explanations,
            "recorded": self.recorded,
            "images": self.images,
            "scores": self.scores,
        } | settings
        return draw_picture_sheet(**arguments, path=path)


def texts_of(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect everything that is written from now on."""
    from matplotlib.axes import Axes

    written: list[str] = []
    write = Axes.text

    def spy(self, x, y, text, **style):
        written.append(text)
        return write(self, x, y, text, **style)

    monkeypatch.setattr(Axes, "text", spy)
    return written


def test_the_sheet_is_a_wide_png(tmp_path: Path):
    path = Problem().draw(tmp_path / "new" / "sheet.png")
    assert path == tmp_path / "new" / "sheet.png"
    with Image.open(path) as sheet:
        assert sheet.format == "PNG"
        assert sheet.width == 1800
        assert 1500 < sheet.height < 2200
        pixels = np.asarray(sheet.convert("RGB"))
    assert (pixels[:, [0, -1]] == 255).all()
    assert (pixels[[0, -1]] == 255).all()
    assert sorted(tmp_path.rglob("*")) == [tmp_path / "new", path]


def test_the_best_ten_of_twelve_are_written_with_score_and_terms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    written, problem = texts_of(monkeypatch), Problem()
    problem.draw(tmp_path / "sheet.png")
    shown = [text for text in written if text.startswith("neuron ")]
    values = problem.scores.values.tolist()[:1:-1]
    assert shown == [
        f"neuron {neuron} ≈ 1.50·snow − 0.50·ski slope + 0.50   (correlation {value:.2f})"
        for neuron, value in zip(range(110, 10, -10), values, strict=True)
    ]
    assert "The best-explained neurons of layer layer4" in written
    assert any(text.startswith("The 10 of 12 neurons with the highest correlation, on 20 images.") for text in written)


def test_pictures_and_values_are_those_of_the_rows_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from matplotlib.axes import Axes

    problem = Problem()
    shades: list[int] = []
    show = Axes.imshow

    def spy(self, picture, **style):
        shades.append(int(np.unique(picture).item()))
        return show(self, picture, **style)

    monkeypatch.setattr(Axes, "imshow", spy)
    written = texts_of(monkeypatch)
    rows = torch.tensor([4, 29, 11, 17, 8])
    problem.draw(tmp_path / "sheet.png", rows=rows, n_neurons=1)
    values = problem.recorded.values[:, -1]
    highest = sorted(rows.tolist(), key=lambda row: -float(values[row]))
    assert [shade // 8 for shade in shades[:4]] == highest[:4]
    assert set(shades) <= {row * 8 for row in rows.tolist()}
    assert [f"{float(values[row]):.2f}".replace("-", "−") for row in highest[:4]] == [
        text for text in written if text.lstrip("−")[:1].isdigit() and "·" not in text
    ][2:6]  # after both ends of the histogram

    # The same images as a part of another collection, counted from its start.
    seen = list(shades)
    shades.clear()
    part = ImageSubset(problem.images, range(4, 30))
    recorded = ActivationMatrix(problem.recorded.values[4:], problem.recorded.neurons, "layer4", part.fingerprint)
    problem.draw(tmp_path / "part.png", images=part, recorded=recorded, rows=(rows - 4).tolist(), n_neurons=1)
    assert shades == seen


def test_the_same_file_twice(tmp_path: Path):
    problem = Problem()
    first, second = problem.draw(tmp_path / "1.png"), problem.draw(tmp_path / "2.png")
    assert first.read_bytes() == second.read_bytes()
    assert problem.draw(tmp_path / "3.png", seed=1).read_bytes() != first.read_bytes()


def test_few_neurons_few_images_and_odd_names(tmp_path: Path):
    problem = Problem(n_images=2, n_neurons=3)
    odd = (
        explained(0, *((f"a rather long concept name, number {place}", -1.0) for place in range(10))),
        explained(10, ("$x_1", 1.0), ("50 % of \\alpha^{2}$", 0.001), ("w" * 300, 12345.0)),
        explained(20),
    )
    path = problem.draw(tmp_path / "sheet.png", explanations=Explanations(odd))
    with Image.open(path) as sheet:
        assert sheet.width == 1800
        assert 600 < sheet.height < 1800


def test_long_texts_stay_in_their_column(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Measured as drawn: no two texts overlap, and none leaves the page."""
    from matplotlib.figure import Figure

    figures: list[Figure] = []
    save = Figure.savefig

    def spy(self, *arguments, **settings):
        figures.append(self)
        save(self, *arguments, **settings)

    monkeypatch.setattr(Figure, "savefig", spy)
    problem = Problem()
    long = [explained(neuron, *(("mountain range", 1.25),) * (neuron // 10)) for neuron in problem.recorded.neurons]
    tiny = ActivationMatrix(problem.recorded.values * 1e-7, problem.recorded.neurons, "layer4")
    for recorded in (problem.recorded, tiny):
        problem.draw(tmp_path / "sheet.png", explanations=Explanations(tuple(long)), recorded=recorded)
        (figure,) = (figures.pop(),)
        boxes = [text.get_window_extent() for text in figure.axes[0].texts]
        page = figure.bbox
        for place, box in enumerate(boxes):
            assert page.x0 <= box.x0 <= box.x1 <= page.x1
            assert page.y0 <= box.y0 <= box.y1 <= page.y1
            assert not any(box.overlaps(other) for other in boxes[:place])


def test_a_constant_neuron_can_be_drawn(tmp_path: Path):
    problem = Problem(n_neurons=1)
    flat = ActivationMatrix(np.zeros((30, 1)), [0], "layer4")
    assert problem.draw(tmp_path / "sheet.png", recorded=flat).is_file()


def test_other_images_are_refused(tmp_path: Path):
    problem = Problem()
    other = ImageArray(np.zeros((30, 8, 8, 3), dtype=np.uint8))
    with pytest.raises(DifferentImagesError, match="come from different images"):
        problem.draw(tmp_path / "sheet.png", images=other)
    with pytest.raises(DifferentImagesError, match="29 images and the other 30"):
        problem.draw(tmp_path / "sheet.png", images=ImageSubset(problem.images, range(29)))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"rows": []}, ValueError, "No row of the 30 images is chosen"),
        ({"rows": [3, 30]}, ValueError, "Row 30 is not among the 30 images"),
        ({"n_neurons": 0}, ValueError, "n_neurons is 0"),
        ({"n_neurons": 101}, ValueError, "n_neurons is 101"),
        ({"explanations": Explanations((explained(0, ("snow", 1.0)),))}, KeyError, "Neuron 110 is not among"),
    ],
)
def test_what_cannot_be_drawn(tmp_path: Path, settings: dict[str, object], error: type[Exception], message: str):
    with pytest.raises(error, match=message):
        Problem().draw(tmp_path / "sheet.png", **settings)
    assert not list(tmp_path.iterdir())


def test_importing_the_report_leaves_matplotlib_alone():
    code = "import sys, linexp.report; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
