"""The store: long work in shards that are each complete or absent, kept under a key made of everything they depend on.

From top to bottom: what an object is, as a number (content, code); a key (key); one at a time (lock); the folder of one
key (entry); the store itself (store); looking after it (upkeep).
"""

from linexp.shards.content import UnknownContentError, content_of, model_of, weights_of
from linexp.shards.key import Key, rows_per_shard, surroundings
from linexp.shards.store import Keep, Store, after, gather

__all__ = [
    "Keep",
    "Key",
    "Store",
    "UnknownContentError",
    "after",
    "content_of",
    "gather",
    "model_of",
    "rows_per_shard",
    "surroundings",
    "weights_of",
]
