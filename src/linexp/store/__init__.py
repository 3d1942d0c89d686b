"""The store: long work in shards that are each complete or absent, kept under a key made of everything they depend on.

From top to bottom: what an object is, as a number (hashing, code); a key (key); rows to compute (parts); who is at work
on what (claims); the folder of one key (entry); a run in it (filling); the store itself (store); looking after it
(upkeep).
"""

from linexp.store.hashing import UnknownContentError, content_of, model_of, weights_of
from linexp.store.key import Key, rows_per_shard, surroundings
from linexp.store.parts import Compute, Keep, Parts, after, gather, whole
from linexp.store.store import Store, default_folder, open_store, with_store
from linexp.store.upkeep import Stored, list_store, parse_age, parse_size, prune_store, verify_store

__all__ = [
    "Compute",
    "Keep",
    "Key",
    "Parts",
    "Store",
    "Stored",
    "UnknownContentError",
    "after",
    "content_of",
    "default_folder",
    "gather",
    "list_store",
    "model_of",
    "open_store",
    "parse_age",
    "parse_size",
    "prune_store",
    "rows_per_shard",
    "surroundings",
    "verify_store",
    "weights_of",
    "whole",
    "with_store",
]
