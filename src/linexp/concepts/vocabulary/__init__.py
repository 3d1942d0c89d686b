"""Words and groups of classes: from files, WordNet, OpenMoji."""

from linexp.concepts.vocabulary.files import IMAGENET as IMAGENET
from linexp.concepts.vocabulary.files import IMAGENET_PAPER as IMAGENET_PAPER
from linexp.concepts.vocabulary.files import WORDNET as WORDNET
from linexp.concepts.vocabulary.files import open_folder as open_folder
from linexp.concepts.vocabulary.files import open_groups as open_groups
from linexp.concepts.vocabulary.files import open_pictures as open_pictures
from linexp.concepts.vocabulary.files import read_class_names as read_class_names
from linexp.concepts.vocabulary.groups import Group as Group
from linexp.concepts.vocabulary.groups import group_names as group_names
from linexp.concepts.vocabulary.groups import resolve_groups as resolve_groups
from linexp.concepts.vocabulary.kinds import commonness as commonness
from linexp.concepts.vocabulary.kinds import kinds as kinds
from linexp.concepts.vocabulary.openmoji import OpenMojiImages as OpenMojiImages
from linexp.concepts.vocabulary.openmoji import emoji_concepts as emoji_concepts
from linexp.concepts.vocabulary.openmoji import emoji_words as emoji_words
from linexp.concepts.vocabulary.read import Vocabulary as Vocabulary
from linexp.concepts.vocabulary.read import read_vocabulary as read_vocabulary
from linexp.concepts.vocabulary.wordnet import imagenet_classes as imagenet_classes
from linexp.concepts.vocabulary.wordnet import superclasses as superclasses
