"""How words stand to each other: which is a kind of which, how general a word is, and how common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

from linexp.concepts.vocabulary.read import read_vocabulary
from linexp.concepts.vocabulary.wordnet import ancestors


def kinds(names: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return, of the names that WordNet knows as ImageNet's classes and superclasses, those above each.

    Returns
    -------
    above
        From a name to those of the given ones that it is a kind of, each with how alike the two are (Wu & Palmer 1994):
        2·d/(d + e), from 0 to 1, where d and e are the depths of the more and of the less general one below "entity",
        which has depth 1. Names that WordNet does not know, or knows two of, are left out.

    Examples
    --------
    >>> {name: round(alike, 2) for name, alike in kinds(["beagle", "hound", "entity"])["beagle"].items()}
    {'hound': 0.97, 'entity': 0.11}
    """
    known = {name: found for name in names if (found := ancestors(name)) is not None}
    of = {synset: name for name, (synset, _, _) in known.items()}
    return {
        name: {
            of[other]: 2 * depth / (depth + own)
            for other, depth in sorted(above.items(), key=lambda pair: -pair[1])
            if other in of
        }
        for name, (_, own, above) in known.items()
    }


def commonness(names: Sequence[str]) -> Mapping[str, int]:
    """Return the place of each name among the most common English nouns, 0 the most common; others are left out."""
    places = _noun_places()
    return {name: places[name.casefold()] for name in names if name.casefold() in places}


@cache
def _noun_places() -> Mapping[str, int]:
    places: dict[str, int] = {}
    for place, noun in enumerate(read_vocabulary("nouns:9000").words):
        places.setdefault(noun.casefold(), place)
    return places
