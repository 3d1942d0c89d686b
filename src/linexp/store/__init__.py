"""The store: long work in shards that are each complete or absent, kept under a key made of everything they depend on.

From top to bottom: what an object is, as a number (content, code); a key (key); one at a time (lock); the folder of one
key (entry); the store itself (store); looking after it (upkeep).
"""

from linexp.store.hashing import UnknownContentError, content_of, model_of, weights_of
from linexp.store.key import Key, rows_per_shard, surroundings
from linexp.store.store import Keep, Store, after, default_folder, gather, open_store, with_store
from linexp.store.upkeep import Stored, list_store, parse_age, parse_size, prune_store, verify_store

__all__ = [
    "Keep",
    "Key",
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
    "with_store",
]
