"""Result folders: what goes in comes out, nothing half-written stays, and what does not belong is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch

import linexp as le
from linexp._internal.files import write_atomically
from linexp.explanations.explanation import Explanation, Term
from linexp.report.facts import method_facts
from linexp.results.folder import Run, load_explanations, load_run, save_explanations, save_run, save_scores

NAMES = ("snow", 'ski, "slope"', "two\nlines", "carriage\rreturn", "🦊", "0", "null", " padded ", "a\u2028b\x0bc")
IMAGES = (
    "a.png",
    "b, c.png",
    'd "e".png',
    "f\ng.png",
    "h\r.png",
    "🦊.png",
    "caf\udce9.png",
    *(f"{k}" for k in range(13)),
)


def make_run(*, dtype: torch.dtype = torch.float32, whole: bool = False) -> Run:
    torch.manual_seed(0)
    values = torch.randn(20, 4, dtype=dtype)
    presence = torch.rand(20, len(NAMES), dtype=dtype)
    concepts = le.ConceptMatrix(presence.round() if whole else presence, NAMES, "abc")
    activations = le.ActivationMatrix(values, [7, 3, 900, 0], "layer4.1", "abc")
    return Run(
        activations,
        concepts,
        le.Split.random(20),
        image_names=IMAGES,
        settings={"model": "münchen", "weights": None, "seed": 3},
    )


def read_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def edit_manifest(folder: Path, **changes: object) -> None:
    path = folder / "run.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest.update(changes)
    path.write_text(json.dumps({key: value for key, value in manifest.items() if value != "remove"}), encoding="utf-8")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("whole", [True, False])
def test_a_run_comes_back_to_the_last_bit(tmp_path: Path, dtype: torch.dtype, whole: bool):
    run = make_run(dtype=dtype, whole=whole)
    save_run(tmp_path, run)
    back = load_run(tmp_path)
    for first, second in ((run.activations, back.activations), (run.concepts, back.concepts)):
        assert first.values.dtype == second.values.dtype == dtype
        assert torch.equal(first.values, second.values)
        assert first.images == second.images == "abc"
    assert back.activations.neurons == (7, 3, 900, 0)
    assert back.activations.layer == "layer4.1"
    assert back.concepts.names == NAMES
    assert back.image_names == IMAGES
    assert back.settings == run.settings
    for part in ("train", "val", "test"):
        assert torch.equal(getattr(run.split, part), getattr(back.split, part))


def make_embedded_run() -> Run:
    torch.manual_seed(0)
    run = make_run()
    images, texts = (torch.nn.functional.normalize(torch.randn(n, 5), dim=1) for n in (20, len(NAMES)))
    concepts = le.EmbeddedConceptMatrix(images, texts, NAMES, 58.0, -0.1, "abc")
    return Run(run.activations, concepts, run.split, image_names=run.image_names, settings=run.settings)


def test_embeddings_are_kept_instead_of_the_matrix(tmp_path: Path):
    run = make_embedded_run()
    save_run(tmp_path, run)
    found = load_run(tmp_path)
    assert isinstance(found.concepts, le.EmbeddedConceptMatrix)
    assert isinstance(run.concepts, le.EmbeddedConceptMatrix)
    assert torch.equal(found.concepts.values, run.concepts.values)
    assert torch.equal(found.concepts.image_embeddings, run.concepts.image_embeddings)
    assert (found.concepts.names, found.concepts.images) == (NAMES, "abc")
    assert (found.concepts.a, found.concepts.b) == (58.0, -0.1)
    assert (tmp_path / "matrices.safetensors").stat().st_size < 20 * 4 * 4 + (20 + len(NAMES)) * 5 * 4 + 500


@pytest.mark.parametrize("calibration", [{"a": 58.0}, {"a": 58.0, "b": "x"}, {"a": 0, "b": 1}, "remove"])
def test_embeddings_without_their_calibration_are_refused(tmp_path: Path, calibration: object):
    save_run(tmp_path, make_embedded_run())
    edit_manifest(tmp_path, calibration=calibration)
    with pytest.raises(le.StoreMismatchError, match=r"Make the result anew with linexp explain\."):
        load_run(tmp_path)


def test_images_in_no_part_of_the_split_stay_in_none(tmp_path: Path):
    run = make_run()
    run = Run(run.activations, run.concepts, le.Split([0, 5], [3, 2], [9, 11]), image_names=IMAGES)
    save_run(tmp_path, run)
    split = load_run(tmp_path).split
    assert [part.tolist() for part in (split.train, split.val, split.test)] == [[0, 5], [2, 3], [9, 11]]


def test_zeros_and_ones_take_a_byte_each(tmp_path: Path):
    save_run(tmp_path / "whole", make_run(whole=True))
    save_run(tmp_path / "fractions", make_run())
    sizes = [(tmp_path / name / "matrices.safetensors").stat().st_size for name in ("whole", "fractions")]
    assert sizes[1] - sizes[0] >= 3 * 20 * len(NAMES) - 16


def test_the_same_run_gives_the_same_bytes(tmp_path: Path):
    save_run(tmp_path / "first", make_run())
    save_run(tmp_path / "second", make_run())
    assert read_files(tmp_path / "first") == read_files(tmp_path / "second")


def test_files_have_the_permissions_of_any_new_file(tmp_path: Path):
    save_run(tmp_path, make_run())
    (tmp_path / "usual").touch()
    assert {path.stat().st_mode for path in tmp_path.iterdir()} == {(tmp_path / "usual").stat().st_mode}


def test_a_new_run_takes_the_results_of_the_old_one_with_it(tmp_path: Path):
    (tmp_path / "notes.txt").write_text("mine")
    for stale in ("explanations.csv", "scores.csv", "scores-other.csv"):
        (tmp_path / stale).write_text("old")
    save_run(tmp_path, make_run())
    assert sorted(read_files(tmp_path)) == ["images.csv", "matrices.safetensors", "notes.txt", "run.json"]


def test_an_error_while_writing_leaves_the_old_file_and_no_draft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_atomically(tmp_path / "file", b"old")

    def fail(_: int) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(tmp_path / "file", b"new")
    assert read_files(tmp_path) == {"file": b"old"}


def test_a_run_whose_writing_failed_is_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    save_run(tmp_path, make_run())

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("linexp.results.folder.save_file", fail)
    with pytest.raises(KeyboardInterrupt):
        save_run(tmp_path, make_run())
    assert not list(tmp_path.glob(".*"))
    with pytest.raises(FileNotFoundError, match="There is no result in"):
        load_run(tmp_path)


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"Cannot write in the folder '.*file' .* Choose another folder"):
        save_run(tmp_path / "file", make_run())


def test_a_folder_without_result_is_said(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"no result in '.*empty' \(no run.json\)\. Give the folder that"):
        load_run(tmp_path / "empty")
    save_run(tmp_path / "layer4", make_run())
    with pytest.raises(FileNotFoundError, match=r"Results in it: .*layer4\. Give the folder"):
        load_run(tmp_path)


@pytest.mark.parametrize("name", ["matrices.safetensors", "images.csv"])
def test_missing_changed_and_swapped_files_are_noticed(tmp_path: Path, name: str):
    save_run(tmp_path / "run", make_run())
    save_run(tmp_path / "other", make_run(whole=True))
    path = tmp_path / "run" / name
    content = path.read_bytes()
    for changed in (content[:-5], content[:-1] + b"x", b""):
        path.write_bytes(changed)
        with pytest.raises(le.StoreMismatchError, match=rf"{name}' is damaged, changed, or of another result\. Make"):
            load_run(tmp_path / "run")
    path.unlink()
    with pytest.raises(le.StoreMismatchError, match=rf"has no {name}\. Make the result anew with linexp explain"):
        load_run(tmp_path / "run")


def test_another_format_names_the_version_that_wrote_it(tmp_path: Path):
    save_run(tmp_path, make_run())
    edit_manifest(tmp_path, format=99, linexp="7.0")
    with pytest.raises(le.StoreMismatchError, match=r"has the format 99, .* reads 2\. It was written by linexp 7\.0"):
        load_run(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '"text"', "\x00"])
def test_a_manifest_that_is_none_is_said(tmp_path: Path, text: str):
    save_run(tmp_path, make_run())
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(le.StoreMismatchError, match=r"run.json' is not the description of a result .* anew"):
        load_run(tmp_path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"neurons": [1, 2]}, "There are 2 names for 4 neurons"),
        ({"neurons": [1, 1, 2, 3]}, "stands for more than one"),
        ({"neurons": 3}, "cannot be read"),
        ({"concepts": ["a"]}, "There are 1 names for 9 concepts"),
        ({"concepts": 5}, "cannot be read"),
        ({"neurons": "remove"}, "does not say 'neurons'"),
        ({"settings": "remove"}, "does not say 'settings'"),
        ({"sha256": "remove"}, "does not say 'sha256'"),
        ({"sha256": []}, "cannot be read"),
    ],
)
def test_a_manifest_that_does_not_fit_is_said(tmp_path: Path, changes: dict[str, object], said: str):
    save_run(tmp_path, make_run())
    edit_manifest(tmp_path, **changes)
    with pytest.raises(le.StoreMismatchError, match=rf"(?s){said}.*Make the result anew"):
        load_run(tmp_path)


def test_a_run_is_of_one_set_of_images():
    run = make_run()
    with pytest.raises(le.DifferentImagesError, match="There are 2 names for 20 images"):
        Run(run.activations, run.concepts, run.split, image_names=("a", "b"))
    with pytest.raises(le.DifferentImagesError, match="The split names image 24"):
        Run(run.activations, run.concepts, le.Split([0, 1], [2, 3], [4, 24]), image_names=IMAGES)
    other = le.ConceptMatrix(run.concepts.values, NAMES, "def")
    with pytest.raises(le.DifferentImagesError, match="come from different images"):
        Run(run.activations, other, run.split, image_names=IMAGES)


def test_explanations_and_scores_lie_beside_the_run(tmp_path: Path):
    explanations = le.Explanations((Explanation(3, (Term("two\nlines", 0.1 + 0.2),), 1e-300, 0.5),), "layer4.1")
    assert save_explanations(tmp_path, explanations) == tmp_path / "explanations.csv"
    assert load_explanations(tmp_path) == explanations
    scores = le.Scores(torch.tensor([0.5, float("nan")], dtype=torch.float64), (3, 900), "correlation", 4)
    written = save_scores(tmp_path, scores, "scores-mine").read_text()
    assert written == "neuron,correlation,correlation_error\n3,0.5,\n900,,\n"
    assert sorted(read_files(tmp_path)) == ["explanations.csv", "scores-mine.csv"]


DROPPED = (
    le.DroppedConcept("two\nlines", "weak", 0.1 + 0.2, 0.5),
    le.DroppedConcept('ski, "slope"', "constant", 1.0, 0.5),
)


def test_dropped_concepts_come_back_with_the_reason(tmp_path: Path):
    run = make_run()
    save_run(tmp_path, run)
    nobody = tuple(Explanation(neuron, (), 0.0, None, "empty") for neuron in run.activations.neurons)
    explanations = le.Explanations(nobody, "layer4.1", DROPPED)
    save_explanations(tmp_path, explanations)
    assert load_explanations(tmp_path).dropped == DROPPED
    assert le.read_result(tmp_path).explanations.dropped_concepts == ("two\nlines", 'ski, "slope"')
    assert (tmp_path / "dropped.csv").read_text().splitlines()[2] == (
        'lines",weak,0.30000000000000004,0.5,--min-activity 0.30000000000000004'
    )
    save_explanations(tmp_path, le.Explanations(nobody, "layer4.1", ()))
    assert load_explanations(tmp_path).dropped == ()
    save_explanations(tmp_path, explanations)
    save_run(tmp_path, run)
    assert not (tmp_path / "dropped.csv").exists()  # those were of the run before


def test_an_older_result_does_not_say_what_was_dropped(tmp_path: Path):
    save_run(tmp_path, make_run())
    save_explanations(tmp_path, le.Explanations((Explanation(7, (Term("snow", 1.0),)),), "layer4.1", DROPPED))
    (tmp_path / "dropped.csv").unlink()
    finding = le.read_result(tmp_path)
    assert finding.explanations.dropped is None
    assert ("Dropped", "not known") in method_facts(finding)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("concept,why\nsnow,weak\n", r"The columns of '.*dropped.csv' are concept, why, not concept, reason"),
        ("concept,reason,activity,min_activity,kept_by\nsnow,rare,0.1,0.5,\n", r"Concept 1 .* is snow, rare, 0.1, 0.5"),
        ("concept,reason,activity,min_activity,kept_by\nsnow,weak,nan,0.5,\n", r"which says not why"),
        ("concept,reason,activity,min_activity,kept_by\nsnow,weak\n", r"Make the result anew"),
        ('concept,reason\n"snow', r"is not CSV"),
        ("", r"The columns of"),
    ],
)
def test_nonsense_in_the_list_of_dropped_concepts_is_said(tmp_path: Path, text: str, said: str):
    save_explanations(tmp_path, le.Explanations((Explanation(7, (Term("snow", 1.0),)),), "layer4.1", DROPPED))
    (tmp_path / "dropped.csv").write_text(text)
    with pytest.raises(ValueError, match=said):
        load_explanations(tmp_path)


def test_missing_explanations_are_said(tmp_path: Path):
    save_run(tmp_path, make_run())
    with pytest.raises(FileNotFoundError, match=r"has no explanations.csv \(was it interrupted\?\)\. Make"):
        load_explanations(tmp_path)
