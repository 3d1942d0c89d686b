"""ImageNet's classes and what WordNet puts above them: dog, animal, vehicle (the paper's superclasses).

The table ``imagenet.json`` is made from WordNet 3.0 and carries its licence notice: WordNet 3.0 Copyright 2006 by
Princeton University, all rights reserved, provided "as is".
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

from linexp._internal.checks import closest


@dataclass(frozen=True)
class ImageNetClass:
    """One of ImageNet's 1,000 classes.

    Parameters
    ----------
    wnid
        Its WordNet identifier, as folders are called: "n02084071".
    name
        A readable name that no other class has.
    lemmas
        All its words in WordNet, the most usual first.
    hypernym
        What it is a kind of: the first word of what WordNet has right above it.
    """

    wnid: str
    name: str
    lemmas: tuple[str, ...]
    hypernym: str

    @property
    def description(self) -> str:
        """All its words and what it is a kind of: "beagle, hound"."""
        return ", ".join((*self.lemmas, self.hypernym))


@cache
def imagenet_classes() -> tuple[ImageNetClass, ...]:
    """Return ImageNet's classes in class order.

    A class is called by its first word in WordNet. Where two share it, the word above follows in parentheses:
    "crane (wading bird)", "crane (lifting device)".
    """
    table = _table()
    return tuple(
        ImageNetClass(wnid, table.names[wnid], table.lemmas[wnid], table.word_above(wnid)) for wnid in table.classes
    )


def superclasses(classes: Iterable[str] | Mapping[str, str], *, merge_homonyms: bool = False) -> dict[str, list[str]]:
    """Return groups of classes for ``LabelConcepts``: everything WordNet has above at least two of them.

    Of groups with the same members only the most specific is kept. Larger groups come first, so outer before
    inner ones.

    Parameters
    ----------
    classes
        Some of ImageNet's classes, by wnid, by name, or by any word only one class has; "_" is as good as a space. Or a
        mapping from these to what you call them, so that no group is called like a class of yours.
    merge_homonyms
        Two meanings of one word, such as "cap" (for a head, for a bottle), are two groups, told apart by the word
        above: "cap (headdress)", "cap (top)". They are so called whichever classes are given, and so is a group named
        like a class ("mask (covering)"), which ``LabelConcepts`` would merge with it. If true, all meanings are one
        group instead, as in the paper's released code.

    Returns
    -------
    groups
        From the name of each group to its members, as they were given.

    Raises
    ------
    ValueError
        A class is not one of ImageNet's, is given twice, or is a word that two classes have.

    Examples
    --------
    >>> superclasses(["tabby", "Egyptian cat", "beagle"])
    {'carnivore': ['tabby', 'Egyptian cat', 'beagle'], 'domestic cat': ['tabby', 'Egyptian cat']}
    """
    table = _table()
    given = _resolve(classes, table)
    members: dict[str, list[str]] = {}
    for wnid, name in given.items():
        for synset in table.above[wnid]:
            members.setdefault(synset, []).append(name)
    if merge_homonyms:
        members = _merge(members, list(given.values()), table)
    kept: dict[tuple[str, ...], str] = {}
    # the deepest of those with the same members is met last
    for synset in sorted(members, key=lambda synset: (len(table.above[synset]), synset)):
        if len(members[synset]) > 1:
            kept[tuple(members[synset])] = synset
    ordered = sorted(kept.items(), key=lambda item: (-len(item[0]), len(table.above[item[1]]), item[1]))
    shared = table.class_words if merge_homonyms else table.homonyms
    taken = shared | set(classes.values() if isinstance(classes, Mapping) else given.values())
    return {table.name(synset, taken): list(found) for found, synset in ordered}


def branch(word: str) -> list[str]:
    """Return the names of all superclasses and classes of ImageNet below a superclass, itself included.

    ``word`` is what the superclass is called among those of all 1,000 classes, or that without parentheses: "animal".
    """
    table = _table()
    groups = _all_superclasses()
    wanted = word.replace("_", " ").casefold()
    called = {synset: (*table.lemmas[synset], table.names[synset]) for synset in table.counted}
    roots = {synset for synset, words in called.items() if wanted in map(str.casefold, words)}
    if not roots:
        raise ValueError(
            f"WordNet has no superclass '{word}' of ImageNet's classes.{closest(word, groups)} "
            "Name one of superclasses(...) of all classes."
        )
    inside = {wnid for wnid in table.classes if roots & set(table.above[wnid])}
    names = {table.names[wnid] for wnid in inside}
    below = [name for name, found in groups.items() if set(found) <= names]
    return [*below, *(table.names[wnid] for wnid in table.classes if wnid in inside)]


def ancestors(word: str) -> tuple[str, int, dict[str, int]] | None:
    """Return the synset that a class or superclass is, its depth, and the depth of each synset above it.

    "entity" has depth 1, what is right below it 2; of several ways up the longest counts. ``None`` for a word that
    is the name of none, or could mean several.
    """
    table = _table()
    text = word.replace("_", " ")
    found = next((table.by_name[one] for one in (text, text.casefold()) if one in table.by_name), ())
    if len(found) != 1:
        return None
    (synset,) = found
    return synset, table.depth(synset), {above: table.depth(above) for above in table.above[synset]}


@cache
def _all_superclasses() -> Mapping[str, list[str]]:
    return superclasses(found.name for found in imagenet_classes())


class _Table:
    """The packaged table; synsets are classes and superclasses alike."""

    def __init__(self) -> None:
        table = resources.files("linexp.concepts.vocabulary").joinpath("imagenet.json")
        read = json.loads(table.read_text(encoding="utf-8"))
        self.classes: tuple[str, ...] = tuple(read["classes"])
        self.lemmas: dict[str, tuple[str, ...]] = {}
        self.parents: dict[str, list[str]] = {}
        for synset, row in {**read["classes"], **read["superclasses"]}.items():
            words, above = row.split(" < ")
            self.lemmas[synset], self.parents[synset] = tuple(words.split("; ")), above.split()
        self.above: dict[str, frozenset[str]] = {}
        for synset in self.lemmas:
            self._climb(synset)
        n_below = Counter(synset for wnid in self.classes for synset in self.above[wnid])
        self.counted = frozenset(synset for synset, n_classes in n_below.items() if n_classes > 1)
        self.class_words = frozenset(word for wnid in self.classes for word in self.lemmas[wnid])
        self.homonyms = self.class_words | self._shared(self.counted)
        shared = self._shared(self.classes)
        self.names = {wnid: self.name(wnid, shared) for wnid in self.classes}
        self.names |= {synset: self.name(synset, self.homonyms) for synset in self.counted}
        self.depths: dict[str, int] = {}
        self.by_name: dict[str, tuple[str, ...]] = {}  # as it is written, and without regard to case
        for synset, name in self.names.items():
            for spelling in {name, name.casefold()}:
                self.by_name[spelling] = (*self.by_name.get(spelling, ()), synset)
        self.by_word = self._words() | {self.names[wnid]: [wnid] for wnid in self.classes}

    def name(self, synset: str, taken: Container[str]) -> str:
        """Return the synset's first word, followed by the word above it if the first alone is taken."""
        word = self.lemmas[synset][0]
        return f"{word} ({self.word_above(synset)})" if word in taken else word

    def depth(self, synset: str) -> int:
        """Return how many synsets the longest way up to "entity" has, both ends counted."""
        if synset not in self.depths:
            self.depths[synset] = 1 + max(map(self.depth, self.parents[synset]), default=0)
        return self.depths[synset]

    def word_above(self, synset: str) -> str:
        # both meanings of "substance" are matter, one is also a part: the last parent is the telling one
        return self.lemmas[self.parents[synset][-1]][0]

    def _shared(self, synsets: Iterable[str]) -> frozenset[str]:
        """Return the first words that several synsets have."""
        counts = Counter(self.lemmas[synset][0] for synset in synsets)
        return frozenset(word for word, count in counts.items() if count > 1)

    def _climb(self, synset: str) -> frozenset[str]:
        if synset not in self.above:
            parents = self.parents[synset]
            self.above[synset] = frozenset(parents).union(*(self._climb(parent) for parent in parents))
        return self.above[synset]

    def _words(self) -> dict[str, list[str]]:
        """Return the classes that each word may mean: as it is written, else without regard to case.

        "Cardigan" is a dog and "cardigan" a jacket; a word that is some class's first one means that class.
        """
        words: dict[str, list[str]] = {}
        for rewrite in (str, str.casefold):
            for n_first in (1, None):
                spelled: dict[str, list[str]] = {}
                for wnid in self.classes:
                    for word in dict.fromkeys(rewrite(word) for word in self.lemmas[wnid][:n_first]):
                        spelled.setdefault(word, []).append(wnid)
                words = spelled | words
        return words


_table = cache(_Table)


def _resolve(classes: Iterable[str], table: _Table) -> dict[str, str]:
    """Return the wnid of each class given, and how it was called."""
    found: dict[str, str] = {}
    if isinstance(classes, str):
        raise ValueError(f"The classes are the text {classes!r}. Give a list of wnids or names.")
    for name in classes:
        wnid = name if name in table.classes else _by_word(name, table)
        if wnid in found:
            raise ValueError(f"'{found[wnid]}' and '{name}' are the same class of ImageNet. Give it once.")
        found[wnid] = name
    return found


def _by_word(name: str, table: _Table) -> str:
    text = name.replace("_", " ").strip()
    first = text.partition(",")[0]
    spellings = (text, text.casefold(), first, first.casefold())
    wnids = next((table.by_word[spelling] for spelling in spellings if spelling in table.by_word), [])
    if len(wnids) == 1:
        return wnids[0]
    if wnids:
        meant = " or ".join(f"'{table.names[wnid]}'" for wnid in wnids)
        raise ValueError(f"The word '{name}' is the name of {len(wnids)} classes of ImageNet. Write {meant}.")
    known = [*table.classes, *(table.names[wnid] for wnid in table.classes)]
    raise ValueError(
        f"ImageNet has no class '{name}'.{closest(name, known)} Give wnids or names of imagenet_classes()."
    )


def _merge(members: Mapping[str, list[str]], order: Sequence[str], table: _Table) -> dict[str, list[str]]:
    """Put synsets of one first word together, under the one with the most members."""
    merged: dict[str, list[str]] = {}
    by_word: dict[str, list[str]] = {}
    for synset in members:
        by_word.setdefault(table.lemmas[synset][0], []).append(synset)
    for synsets in by_word.values():
        largest = max(synsets, key=lambda synset: (len(members[synset]), synset))
        inside = {name for synset in synsets for name in members[synset]}
        merged[largest] = [name for name in order if name in inside]
    return merged
