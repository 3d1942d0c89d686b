"""Results are made, killed, moved and aged, and pictures touched, copied, renamed and changed."""

from __future__ import annotations

import copy
import os
import re
import shutil
from pathlib import Path
from unittest import mock

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

import linexp as le
from tests.life.known import InWorld, Known, Version, digests, hold, picks
from tests.life.older import make_older, marks
from tests.life.recorded import Recorded
from tests.life.world import NETWORK, SPARK, change_picture, linexp, rename_picture

EXPLAIN = ("explain", *NETWORK)
GROUPS = ("--groups", "groups.json")
TEXT = ("--concepts", "text", "--vocabulary", "words.txt", "--encoder", "lifemodels:see", "--calibration", "see.json")
METHODS = (
    GROUPS,
    (*GROUPS, "--search", "swaps", "--min-gain", 0.6),  # says nothing of half of the neurons
    (*GROUPS, "--search", "top", "--max-terms", 2),
    TEXT,
    (*GROUPS, "--method", "best"),
    (*GROUPS, "--method", "invert", "--set", "max_length=2"),
    (*GROUPS, "--method", "dissection", "--set", "quantile=0.8"),
    (*TEXT, "--method", "compositional", "--set", "quantile=0.8"),
    (*TEXT, "--method", "clip-dissect", "--set", "n_top=20"),
)
SWAPS, WORDS, N_LINEAR = 1, 3, 4
PLACES = tuple(f"r{number}" for number in range(4))
methods, seeds = st.integers(0, len(METHODS) - 1), st.integers(0, 1)


class Making(InWorld):
    @initialize(how=methods)
    def begin(self, how: int) -> None:
        self.explain(0, how, 0)

    @rule(place=picks, how=methods, seed=seeds)
    def explain(self, place: int, how: int, seed: int) -> None:
        name = PLACES[place % len(PLACES)]
        ended = self.done(*EXPLAIN, *METHODS[how], "--seed", seed, "--out", name)
        self.is_as_if_new(name, how, seed)
        recorded = self.results[name].recorded
        dead = f"{len(recorded.dead)} of {len(recorded.neurons)} neurons dead"
        hold("dead is what is below 0.01 on all images", dead in ended.out, ended.out)
        told, dropped = re.search(r"(\d+) dropped", ended.out), le.read_result(name).explanations.dropped
        hold("every dropped concept is in the result", len(dropped or ()) == (int(told[1]) if told else 0), dropped)
        hold("a result says how pictures became inputs", "preprocessing" in recorded.manifest["settings"])

    def is_as_if_new(self, name: str, how: int, seed: int) -> None:
        version = self.versions["pictures"]

        def make() -> dict[str, str]:
            self.done(*EXPLAIN, *METHODS[how], "--seed", seed, "--out", "out", "--no-store")
            return digests(Path("out"))

        expected = self.as_if_new((how, seed), version, make)
        hold("the same inputs give the same bytes", digests(Path(name)) == expected, name)
        self.results[name] = Known(how, seed, version, Recorded(Path(name)))

    @rule()
    def explain_without_preprocessing(self) -> None:
        Path("new").mkdir(exist_ok=True)
        command = (*EXPLAIN, "--model", "lifemodels:bare", *GROUPS, "--out", "new")
        self.refused("nobody guesses how pictures become inputs", "new", *command)

    @rule(place=picks, how=methods, seed=seeds, when=st.integers(1, 9))
    def kill(self, place: int, how: int, seed: int, when: int) -> None:
        """Die while a file takes its place; what is left is old and whole, new and whole, or no result."""
        name, writes, replace = PLACES[place % len(PLACES)], [0], Path.replace
        before = digests(Path(name))
        command = (*EXPLAIN, *METHODS[how], "--seed", seed, "--out", name)

        def die(path: Path, target: Path) -> Path:
            writes[0] += 1
            if writes[0] == when:
                raise KeyboardInterrupt
            return replace(path, target)

        with mock.patch.object(Path, "replace", die):
            ended = linexp(*command)
        hold("a killed command says so", ended.code == (0 if writes[0] < when else 1), ended)
        if ended.code and digests(Path(name)) != before:
            self.results.pop(name, None)
            self.refused("what is not whole is no result", name, "show", name, 0)
            self.refused("what is not whole is no result", name, "score", name)
        hold("the store survives", linexp("store", "verify").code == 0)
        self.done(*command)
        self.is_as_if_new(name, how, seed)

    @precondition(lambda self: self.results and not all(Path(place).exists() for place in PLACES))
    @rule(pick=picks, how=st.sampled_from(["copy", "move", "save"]))
    def put_elsewhere(self, pick: int, how: str) -> None:
        """Copy, move or rename a folder, or read a result in Python and save it anew."""
        name, known = self.one(pick)
        free = next(place for place in PLACES if not Path(place).exists())
        if how == "move":
            shutil.move(name, free)
            del self.results[name]
        elif how == "save" and known.marks is None:
            le.read_result(name).save(free)
            files = ("explanations.csv", "images.csv", "matrices.safetensors", "run.json")
            kept = [digests(Path(name))[file] == digests(Path(free))[file] for file in files]
            hold("what is saved anew has the same bytes", all(kept), (files, kept))
        else:
            shutil.copytree(name, free)
        self.results[free] = copy.deepcopy(known)
        if how == "save":
            self.results[free].scores = dict(known.shown)

    @rule(pick=picks)
    def age(self, pick: int) -> None:
        name, known = self.one(pick)
        if known.marks is not None or known.how >= N_LINEAR or self.versions["pictures"] != known.version:
            return
        known.scores = {("", "", "correlation"): make_older(Path(name), Path("pictures"), known.recorded)}
        known.marks = marks(Path("pictures"))

    @rule()
    def touch_pictures(self) -> None:
        self.clock += 1
        os.utime(Path("pictures") / SPARK, (1_700_000_000 + self.clock,) * 2)

    @rule()
    def copy_pictures(self) -> None:
        shutil.rmtree("copy", ignore_errors=True)
        shutil.copytree("pictures", "copy", copy_function=shutil.copyfile)
        self.versions["copy"] = self.versions["pictures"]

    @rule(where=picks)
    def change_pictures(self, where: int) -> None:
        folder = self.folder(where)
        change_picture(Path(folder))
        changed, renamed = self.versions[folder]
        self.versions[folder] = Version(not changed, renamed)

    @rule(where=picks)
    def rename_pictures(self, where: int) -> None:
        folder = self.folder(where)
        rename_picture(Path(folder))
        changed, renamed = self.versions[folder]
        self.versions[folder] = Version(changed, not renamed)
