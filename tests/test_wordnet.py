"""ImageNet's classes and what WordNet has above them."""

from __future__ import annotations

import doctest
import json
import re
from collections import Counter
from importlib import resources

import numpy as np
import pytest

from linexp import ImageArray, LabelConcepts
from linexp.concepts.vocabulary import wordnet
from linexp.concepts.vocabulary.wordnet import branch, imagenet_classes, superclasses

NAMES = [found.name for found in imagenet_classes()]
WNIDS = [found.wnid for found in imagenet_classes()]


def test_the_packaged_table_is_complete_and_carries_its_licence():
    file = resources.files("linexp.concepts.vocabulary").joinpath("imagenet.json")
    table = json.loads(file.read_text(encoding="utf-8"))
    assert "WordNet 3.0 Copyright 2006 by Princeton University." in table["notice"]
    assert "Permission to use, copy, modify and distribute" in table["notice"]
    assert (len(table["classes"]), len(table["superclasses"])) == (1000, 860)
    assert not table["classes"].keys() & table["superclasses"].keys()
    for row in (table["classes"] | table["superclasses"]).values():
        lemmas, parents = row.split(" < ")
        assert all(lemmas.split("; "))
        assert all(parent in table["superclasses"] for parent in parents.split())


def test_inverts_label_set_is_the_classes_the_groups_of_two_and_one_more():
    """Its list has 1,473 labels: beside ours "contestant", which has one class below it alone."""
    file = resources.files("linexp.concepts.vocabulary").joinpath("imagenet.json")
    table = json.loads(file.read_text(encoding="utf-8"))
    rows = {synset: row.split(" < ") for synset, row in (table["classes"] | table["superclasses"]).items()}

    def above(synset: str) -> set[str]:
        return {one for parent in rows[synset][1].split() for one in (parent, *above(parent))}

    counted = Counter(synset for wnid in table["classes"] for synset in above(wnid))
    groups = [synset for synset, n_classes in counted.items() if n_classes > 1]
    assert counted[next(synset for synset, (lemmas, _) in rows.items() if lemmas == "contestant")] == 1
    assert len(table["classes"]) + len(groups) + 1 == 1473
    assert set(groups) == set(wordnet._table().counted)


def test_classes_in_their_order():
    assert len(set(NAMES)) == len(set(WNIDS)) == len(NAMES) == len(WNIDS) == 1000
    assert all(re.fullmatch(r"n\d{8}", wnid) for wnid in WNIDS)
    assert (WNIDS[0], WNIDS[999]) == ("n01440764", "n15075141")
    assert NAMES[:3] == ["tench", "goldfish", "great white shark"]
    assert NAMES[-1] == "toilet tissue"
    tabby = imagenet_classes()[281]
    assert (tabby.lemmas, tabby.hypernym) == (("tabby", "tabby cat"), "domestic cat")
    assert tabby.description == "tabby, tabby cat, domestic cat"


def test_classes_of_one_word_are_told_apart():
    apart = {position: name for position, name in enumerate(NAMES) if "(" in name}
    assert apart == {
        134: "crane (wading bird)",
        517: "crane (lifting device)",
        638: "maillot (tights)",
        639: "maillot (swimsuit)",
    }
    assert (NAMES[264], NAMES[474]) == ("Cardigan", "cardigan")


def test_groups_of_all_classes():
    groups = superclasses(NAMES)
    members = {frozenset(found) for found in groups.values()}
    assert len(groups) == len(members) == 396
    assert all(len(found) >= 2 for found in groups.values())
    assert not set(groups) & set(NAMES)
    assert (len(groups["dog"]), len(groups["bird"]), len(groups["entity"])) == (118, 59, 1000)
    assert groups["shark"] == ["great white shark", "tiger shark", "hammerhead"]
    assert list(superclasses(WNIDS)) == list(groups)


def test_the_most_specific_of_equal_groups_is_kept_outer_groups_first():
    assert superclasses(["lion", "tiger", "tabby", "goldfish"]) == {
        "vertebrate": ["lion", "tiger", "tabby", "goldfish"],
        "feline": ["lion", "tiger", "tabby"],
        "big cat": ["lion", "tiger"],
    }


def test_members_are_called_and_ordered_as_given():
    groups = superclasses(["n02129165", "TIGER", "Egyptian_cat", "tabby, tabby cat"])
    assert groups == {
        "feline": ["n02129165", "TIGER", "Egyptian_cat", "tabby, tabby cat"],
        "domestic cat": ["Egyptian_cat", "tabby, tabby cat"],
        "big cat": ["n02129165", "TIGER"],
    }


def test_groups_only_of_what_is_given():
    assert superclasses(["tabby"]) == {}
    assert superclasses([]) == {}


def test_homonyms_stay_apart_and_are_always_called_the_same():
    groups = superclasses(NAMES)
    assert sorted(name for name in groups if name.startswith(("car ", "cap ", "vessel "))) == [
        "cap (headdress)",
        "cap (protective covering)",
        "cap (top)",
        "car (motor vehicle)",
        "car (wheeled vehicle)",
        "vessel (container)",
        "vessel (craft)",
    ]
    assert superclasses(["passenger car", "freight car"]) == {"car (wheeled vehicle)": ["passenger car", "freight car"]}


def test_a_group_called_like_a_class_has_another_name():
    assert list(superclasses(["gasmask", "ski mask"])) == ["mask (protective covering)"]


def test_merged_homonyms():
    merged = superclasses(NAMES, merge_homonyms=True)
    assert len(merged) == len({frozenset(found) for found in merged.values()}) == 400
    assert not set(merged) & set(NAMES)
    assert "car" in merged
    apart = superclasses(NAMES)
    assert set(merged["car"]) == {*apart["car (motor vehicle)"], *apart["car (wheeled vehicle)"]}
    # a thing to sit behind and a room: only the word is the same, so there is no such group otherwise
    assert "bar" in merged
    assert "bar" not in apart


def test_groups_are_ready_for_label_concepts():
    classes = ["n02123045", "n02124075", "n02088364"]
    images = ImageArray(np.zeros((3, 4, 4, 3), np.uint8), [0, 1, 2], classes)
    concepts = LabelConcepts(superclasses(classes)).describe(images)
    assert concepts.names == (*classes, "carnivore", "domestic cat")
    assert concepts.values[:, 3:].tolist() == [[1, 1], [1, 1], [1, 0]]


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        (["goldfisch"], r"ImageNet has no class 'goldfisch'\. Did you mean 'goldfish'\? Give wnids or names of"),
        (["n01440765"], r"ImageNet has no class 'n01440765'\. Did you mean 'n0"),
        (
            ["crane"],
            r"The word 'crane' is the name of 2 classes of ImageNet\. "
            r"Write 'crane \(wading bird\)' or 'crane \(lifting device\)'",
        ),
        (["tabby", "n02123045"], "'tabby' and 'n02123045' are the same class of ImageNet. Give it once"),
        ("tabby", "The classes are the text 'tabby'. Give a list"),
    ],
)
def test_what_is_no_class(classes: list[str], said: str):
    with pytest.raises(ValueError, match=said):
        superclasses(classes)


def test_a_branch_is_a_superclass_with_all_below():
    assert branch("shark") == ["shark", "great white shark", "tiger shark", "hammerhead"]
    assert branch("Big_cat")[0] == "big cat"
    assert {"dog", "terrier", "beagle"} <= set(branch("domestic animal"))
    assert "sports car" not in branch("animal")
    assert branch("NEW_World monkey")[0] == "New World monkey"
    assert branch("Cap (Headdress)")[0] == "cap (headdress)"


def test_larger_groups_come_first():
    sizes = [len(members) for members in superclasses(WNIDS).values()]
    assert sizes == sorted(sizes, reverse=True)


def test_an_unknown_branch():
    with pytest.raises(ValueError, match=r"no superclass 'anmal' of ImageNet's classes\. Did you mean 'animal'\? Name"):
        branch("anmal")


def test_the_examples_run():
    assert doctest.testmod(wordnet).failed == 0
