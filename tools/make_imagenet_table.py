"""Make the two word lists that ship with the package, from WordNet 3.0 alone.

``imagenet.json`` holds ImageNet's 1,000 classes in class order and every WordNet synset above them; ``nouns.txt`` holds
common English nouns for what a photograph can show. Run it again only to change what is kept of WordNet::

    apt-get install wordnet-base
    PYTHONPATH=.venv/beside .venv/bin/python tools/make_imagenet_table.py /usr/share/wordnet

The class order comes from timm, which ``make lint`` installs into ``.venv/beside``. How common a noun is comes from
WordNet too: how often it was tagged in texts (``cntlist.rev``) times how often it stands in WordNet's own glosses.
Counts from larger corpora have licences under which the list could not be shipped here.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import torch

TARGET = Path(__file__).parents[1] / "src" / "linexp" / "concepts" / "vocabulary"
N_NOUNS = 9000
PHYSICAL, PROCESS = "00001930", "00029677"  # a physical process is under "physical entity", but is no thing
CHROMATIC, ACHROMATIC = "04959672", "04960079"  # colours
SEEN_TOO = {"14", "19", "25"}  # lexicographer files: groups, phenomena (weather), shapes
# What makes a word rude: how WordNet explains it, or, where its explanation says nothing of the kind, the word itself.
RUDE = re.compile(
    r"slur\b|obscene|offensive (name|term|word)|derogat|disparag|vulgar|pejorative|contemptuous|slang for sexual"
    r"|(subnormal|less than normal) intelligence|mentally retarded"
)
RUDE_TOO = re.compile(
    "aborigine|blackface|bugger|bum|commie|cripple|cum|git|homo|illegitimate|jewfish|masturbator|mulatto|nymphomaniac"
    "|pee|ponce|poon|puke|quadroon|slattern|spastic|squaw|tit|whore"
)


@dataclass(frozen=True)
class Synset:
    """What is kept of one line of ``data.noun``."""

    lemmas: tuple[str, ...]
    parents: tuple[str, ...]
    file: str
    gloss: str
    is_instance: bool


@dataclass(frozen=True)
class Counted:
    """How often words were tagged as nouns (by sense) and as anything else, and stand in glosses of nouns."""

    nouns: Counter[tuple[str, int]]
    others: Counter[str]
    glosses: Counter[str]


def read_synsets(folder: Path) -> tuple[str, dict[str, Synset]]:
    """Return the licence notice and all noun synsets by offset."""
    notice: list[str] = []
    synsets: dict[str, Synset] = {}
    for line in (folder / "data.noun").read_text(encoding="utf-8").splitlines():
        if line.startswith("  "):
            notice.append(line.split(maxsplit=1)[1].rstrip() if len(line.split()) > 1 else "")
            continue
        head, _, gloss = line.partition(" | ")
        fields = head.split()
        n_lemmas = int(fields[3], 16)
        pointers = fields[5 + 2 * n_lemmas :]
        kinds = list(zip(pointers[0::4], pointers[1::4], strict=False))
        synsets[fields[0]] = Synset(
            tuple(lemma.replace("_", " ") for lemma in fields[4 : 4 + 2 * n_lemmas : 2]),
            tuple(target for kind, target in kinds if kind in {"@", "@i"}),
            fields[1],
            gloss.strip(),
            any(kind == "@i" for kind, _ in kinds),
        )
    return "\n".join(notice).strip(), synsets


def above(offset: str, synsets: dict[str, Synset]) -> dict[str, None]:
    """Return every synset above one, nearest first."""
    found: dict[str, None] = {}
    queue = list(synsets[offset].parents)
    while queue:
        found[queue[0]] = None
        queue += [parent for parent in synsets[queue.pop(0)].parents if parent not in found]
    return found


def class_order() -> list[str]:
    """Return the wnids of ImageNet's classes in class order."""
    library = torch.library.Library("torchvision", "FRAGMENT")
    if importlib.util.find_spec("torchvision") and not hasattr(torch.ops.torchvision, "nms"):
        # torchvision's binary may belong to another build of torch; timm only needs its import to pass
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    from timm.data import ImageNetInfo

    return list(ImageNetInfo("imagenet-1k").label_names())


def write_table(notice: str, synsets: dict[str, Synset], wnids: list[str]) -> None:
    """Write one line per synset: "lemma; lemma < wnids of its parents"."""
    parents: dict[str, None] = {}
    for wnid in wnids:
        parents |= above(wnid[1:], synsets)

    def rows(offsets: list[str]) -> str:
        above_it = {o: " ".join(f"n{parent}" for parent in synsets[o].parents) for o in offsets}
        row = {f"n{o}": f"{'; '.join(synsets[o].lemmas)} < {above_it[o]}" for o in offsets}
        return ",\n".join(f"{json.dumps(synset)}:{json.dumps(line)}" for synset, line in row.items())

    text = (
        f'{{"notice":{json.dumps(notice)},\n"classes":{{\n{rows([wnid[1:] for wnid in wnids])}\n}},\n'
        f'"superclasses":{{\n{rows(sorted(parents))}\n}}}}\n'
    )
    (TARGET / "imagenet.json").write_text(text, encoding="utf-8")
    print(f"imagenet.json: {len(wnids)} classes, {len(parents)} synsets above them, {len(text) // 1000} KB")


def read_senses(folder: Path) -> dict[str, list[str]]:
    """Return the senses of every noun, the most frequent first."""
    lines = (folder / "index.noun").read_text(encoding="utf-8").splitlines()
    fields = [line.split() for line in lines if not line.startswith("  ")]
    return {field[0]: field[-int(field[2]) :] for field in fields}


def read_tags(folder: Path) -> tuple[Counter[tuple[str, int]], Counter[str]]:
    """Return how often each sense of each noun was tagged in texts, and each word as another part of speech."""
    nouns: Counter[tuple[str, int]] = Counter()
    others: Counter[str] = Counter()
    for line in (folder / "cntlist.rev").read_text(encoding="utf-8").splitlines():
        key, sense, count = line.split()
        lemma, _, kind = key.partition("%")
        if kind.startswith("1:"):
            nouns[lemma, int(sense)] += int(count)
        else:
            others[lemma] += int(count)
    return nouns, others


def is_visible(offset: str, synsets: dict[str, Synset]) -> bool:
    """Return whether a photograph can show it: a thing, or a group, a phenomenon, a shape or a colour."""
    parents = {offset, *above(offset, synsets)}
    is_thing = PHYSICAL in parents and PROCESS not in parents
    return is_thing or synsets[offset].file in SEEN_TOO or bool({CHROMATIC, ACHROMATIC} & parents)


def noun_score(word: str, senses: list[Synset], visible: list[bool], counted: Counted) -> float:
    """Return how common a visible noun is, 0 for all others."""
    tags = [counted.nouns[word, number] for number in range(1, len(senses) + 1)]
    seen = [tag for tag, is_seen in zip(tags, visible, strict=True) if is_seen]
    # a word that WordNet writes with a capital is somebody's name
    is_plain = re.fullmatch(r"[a-z]{3,}", word) and word in senses[0].lemmas and not senses[0].is_instance
    is_seen = sum(seen) >= sum(tags) / 3 if any(tags) else visible[0]
    share = (1 + sum(tags)) / (1 + sum(tags) + counted.others[word])
    is_colour = visible[0] and senses[0].file == "07"  # tagged as an adjective more often, and a good word even so
    is_rude = RUDE_TOO.fullmatch(word) or any(RUDE.search(sense.gloss) for sense in senses)
    if not is_plain or not is_seen or (share < 0.5 and not is_colour) or is_rude:
        return 0
    return (1 + sum(seen)) * (1 + share * counted.glosses[word]) - 1


def write_nouns(notice: str, folder: Path, synsets: dict[str, Synset]) -> None:
    """Write the most common visible nouns, in order."""
    glosses: Counter[str] = Counter()
    for synset in synsets.values():
        glosses.update(re.findall(r"[a-z]+", synset.gloss))
    counted = Counted(*read_tags(folder), glosses)
    scores: dict[str, float] = {}
    for word, offsets in read_senses(folder).items():
        visible = [is_visible(offset, synsets) for offset in offsets]
        scores[word] = noun_score(word, [synsets[offset] for offset in offsets], visible, counted)
    # a plural says nothing new beside its singular
    ranked = sorted(
        (-score, word)
        for word, score in scores.items()
        if score and not scores.get(word[:-1] if word.endswith("s") else "")
    )
    words = [word for _, word in ranked[:N_NOUNS]]
    header = "".join(f"# {line}".rstrip() + "\n" for line in notice.splitlines())
    text = header + "".join(f"{word}\n" for word in words)
    (TARGET / "nouns.txt").write_text(text, encoding="utf-8")
    print(f"nouns.txt: {len(words)} of {len(ranked)} words, {len(text) // 1000} KB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Make the word lists that ship with the package.")
    parser.add_argument("wordnet", type=Path, help="folder with WordNet 3.0's data.noun, index.noun and cntlist.rev")
    folder = parser.parse_args().wordnet
    notice, synsets = read_synsets(folder)
    write_table(notice, synsets, class_order())
    write_nouns(notice, folder, synsets)
