"""Words and groups of classes: from files, WordNet, OpenMoji."""

from linexp.concepts.vocabulary.files import (
    IMAGENET,
    IMAGENET_PAPER,
    WORDNET,
    open_folder,
    open_groups,
    open_pictures,
    read_class_names,
    read_groups,
)
from linexp.concepts.vocabulary.groups import Group, group_names, resolve_groups
from linexp.concepts.vocabulary.openmoji import EmojiWords, OpenMojiImages, emoji_concepts, emoji_words
from linexp.concepts.vocabulary.read import Vocabulary, read_vocabulary
from linexp.concepts.vocabulary.wordnet import imagenet_classes, superclasses

__all__ = [
    "IMAGENET",
    "IMAGENET_PAPER",
    "WORDNET",
    "EmojiWords",
    "Group",
    "OpenMojiImages",
    "Vocabulary",
    "emoji_concepts",
    "emoji_words",
    "group_names",
    "imagenet_classes",
    "open_folder",
    "open_groups",
    "open_pictures",
    "read_class_names",
    "read_groups",
    "read_vocabulary",
    "resolve_groups",
    "superclasses",
]
