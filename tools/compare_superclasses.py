"""Compare our superclasses of ImageNet's 1,000 classes with a file of others: {"dog": [151, 152, …]}, class numbers.

Says how many of its groups have the same members as one of ours: WordNet's synsets each for itself, or merged by word.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from linexp import superclasses
from linexp.concepts.vocabulary.wordnet import imagenet_classes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="groups of class numbers in JSON")
    theirs = {frozenset(members) for members in json.loads(parser.parse_args().file.read_text()).values()}
    number = {one.name: place for place, one in enumerate(imagenet_classes())}
    for merge in (False, True):
        groups = superclasses(number, merge_homonyms=merge)
        ours = {frozenset(number[name] for name in members) for members in groups.values()}
        print(f"merge_homonyms={merge}: {len(ours)} groups; {len(theirs & ours)} of their {len(theirs)} among them")


if __name__ == "__main__":
    main()
