"""The words that may explain a neuron: built-in lists, files, and unions of them.

The nouns are made from WordNet 3.0 and their file carries its licence notice: WordNet 3.0 Copyright 2006 by Princeton
University, all rights reserved, provided "as is".
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib import resources
from pathlib import Path
from typing import TypeAlias

from linexp._internal.checks import check_at_least, closest
from linexp._internal.files import decode_text, read_csv
from linexp.concepts.vocabulary import wordnet

N_NOUNS = 7000
_BUILT_IN = ("labels", "superclasses", "imagenet", "nouns", "nouns:2000", "wordnet:animal", "broden:label.csv")
_COLOUR, _SCENE = re.compile("-c$"), re.compile("-s$")
Part: TypeAlias = "str | Path"


@dataclass(frozen=True)
class Vocabulary:
    """Words in the order they were read, each once; printed, it says how many there are and what was dropped.

    Parameters
    ----------
    words
        The words or phrases.
    dropped
        From the reason ("empty", "duplicate" or "case") to what was dropped for it, as it was written.
    """

    words: tuple[str, ...]
    dropped: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])

    def __str__(self) -> str:
        counts = ", ".join(f"{reason} {len(words):,}" for reason, words in self.dropped.items() if words)
        return f"{len(self.words):,} words (dropped: {counts or 'none'})"


def read_vocabulary(
    spec: Part | Sequence[Part],
    *,
    labels: Sequence[str] | None = None,
    superclasses: Iterable[str] | None = None,
    unify_case: bool = False,
) -> Vocabulary:
    """Read words from built-in lists and files, one word or phrase a line, and unite them in this order.

    Spaces around a word and empty lines go, and so does a word that was there before. A word is never a number or a
    missing value: "null", "nan" and "2" are words.

    Parameters
    ----------
    spec
        Parts joined by "+", as "labels+superclasses+nouns+my.txt", or a list of parts (a path with a "+" in it is safe
        there, or as a ``Path``). A part is a file in UTF-8 or one of:

        - "labels", "superclasses": those passed here; superclasses that are not passed are WordNet's, if the labels
          are classes of ImageNet.
        - "imagenet": the names of ImageNet's 1,000 classes.
        - "nouns": the 7,000 most common English nouns that a photograph can show, "nouns:2000" the 2,000 (at most
          9,000) most common.
        - "wordnet:animal": what WordNet has below animal, as far as ImageNet has it.
        - "broden:label.csv": the concepts of the Broden data set, from the file of its own; "-c" is read as " color",
          "-s" (a scene) removed, "_" a space.

        A file of the same name is read if it is written as a path: "./nouns".
    labels
        Class names of the images.
    superclasses
        Names of groups of them; a mapping such as ``wordnet.superclasses`` returns will do.
    unify_case
        Whether to drop a word that was there before with other capitals.

    Raises
    ------
    FileNotFoundError, IsADirectoryError
        There is no such file.
    ValueError
        There is no such built-in list, a list that was not passed, a file that is not UTF-8, or no word at all.

    Examples
    --------
    >>> read_vocabulary("labels+superclasses", labels=["tabby", "beagle", "tabby "], superclasses=["pet"]).words
    ('tabby', 'beagle', 'pet')
    """
    given = {"labels": labels, "superclasses": superclasses}
    if superclasses is None and labels is not None and "superclasses" in _split(spec):
        given["superclasses"] = wordnet.superclasses(labels)
    kept: dict[str, None] = {}
    dropped: dict[str, list[str]] = {"empty": [], "duplicate": []}
    for written in (word for part in _split(spec) for word in _read(part, given)):
        word = written.strip()
        if not word:
            dropped["empty"].append(written)
        elif word in kept:
            dropped["duplicate"].append(word)
        else:
            kept[word] = None
    words = list(kept)
    if unify_case:
        words, dropped["case"] = _unify_case(words)
    if not words:
        raise ValueError(f"The vocabulary {_described(spec)} has no word. Write one word or phrase a line.")
    if len(words) == 1:
        warnings.warn(
            f"The vocabulary {_described(spec)} has one word ('{words[0]}'), so no explanation can name another. "
            "Add words.",
            stacklevel=2,
        )
    return Vocabulary(tuple(words), {reason: tuple(found) for reason, found in dropped.items()})


def read_broden(path: Path) -> list[str]:
    """Return the concepts in Broden's ``label.csv``, cleaned: "red-c" is "red color", "bus_station-s" "bus station"."""
    give = "Give the file label.csv of the Broden data set."
    header, lines = read_csv(_read_text(path), path, give, strict=False)
    if "name" not in header:
        raise ValueError(f"'{path}' has no column 'name'. {give}")
    names = [str(line["name"] or "") for _, line in lines]
    return [_SCENE.sub("", _COLOUR.sub(" color", name)).replace("_", " ") for name in names]


def _read_nouns(n_words: str = str(N_NOUNS)) -> list[str]:
    text = resources.files("linexp.concepts.vocabulary").joinpath("nouns.txt").read_text(encoding="utf-8")
    nouns = [line for line in text.splitlines() if not line.startswith("#")]
    if not re.fullmatch("[0-9]{1,9}", n_words):
        raise ValueError(f"'nouns:{n_words[:20]}' has no number of nouns. Write 'nouns:2000'.")
    check_at_least("The number of nouns", int(n_words), 1)
    if int(n_words) > len(nouns):
        raise ValueError(f"There are {len(nouns)} nouns, not {n_words}. Write 'nouns:{len(nouns)}'.")
    return nouns[: int(n_words)]


def _read(part: Part, given: Mapping[str, Iterable[str] | None]) -> list[str]:
    """Return the words of one part, as they are written."""
    if isinstance(part, Path):
        return _read_file(part)
    if part in given:
        words = given[part]
        if words is None:
            raise ValueError(f"The vocabulary names '{part}', but there are none. Pass {part}=[…], or leave it out.")
        if isinstance(words, str):
            raise ValueError(f"{part} is the text {words!r}. Give a list of names.")
        return list(words)
    name, colon, argument = part.partition(":")
    readers: dict[str, Callable[[], list[str]]] = {
        "imagenet": lambda: [found.name for found in wordnet.imagenet_classes()],
        "nouns": _read_nouns,
        "nouns:": partial(_read_nouns, argument),
        "wordnet:": lambda: wordnet.branch(argument),
        "broden:": lambda: read_broden(Path(argument)),
    }
    reader = readers.get(name + colon)
    return reader() if reader else _read_file(Path(part))


def _split(spec: Part | Sequence[Part]) -> list[Part]:
    if isinstance(spec, Path):
        return [spec]
    if isinstance(spec, str):
        is_file = "+" in spec and Path(spec).is_file()
        parts: list[Part] = [Path(spec)] if is_file else [part.strip() for part in spec.split("+")]
        if "" in parts:
            raise ValueError(f"The vocabulary {spec!r} has an empty part. Name a list or a file in its place.")
        return parts
    return list(spec)


def _described(spec: Part | Sequence[Part]) -> str:
    return f"'{spec}'" if isinstance(spec, (str, Path)) else str([str(part) for part in spec])


def _read_file(path: Path) -> list[str]:
    """Return the lines of a file; ``splitlines`` would also split at characters that words may have inside."""
    lines = _read_text(path).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return lines[:-1] if not lines[-1] else lines


def _read_text(path: Path) -> str:
    try:
        # bytes, because text is read with its line ends changed and csv wants them as they are
        return decode_text(path.read_bytes(), path)
    except FileNotFoundError:
        folder = path.parent
        near = [str(folder / other.name) for other in folder.iterdir()] if folder.is_dir() else []
        near = near if path.suffix or len(path.parts) > 1 else [*_BUILT_IN, *near]
        raise FileNotFoundError(
            f"There is no built-in list and no file '{path}'.{closest(str(path), near)} "
            f"Built in are {', '.join(_BUILT_IN)}."
        ) from None
    except IsADirectoryError:
        raise IsADirectoryError(f"'{path}' is a folder. Give a file of words, one a line.") from None


def _unify_case(words: Sequence[str]) -> tuple[list[str], list[str]]:
    first: dict[str, str] = {}
    for word in words:
        first.setdefault(word.casefold(), word)
    kept = set(first.values())
    return list(first.values()), [word for word in words if word not in kept]
