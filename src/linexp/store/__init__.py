"""The store: long work in shards that are each complete or absent, kept under a key made of everything they depend on.

From top to bottom: what an object is, as a number (hashing, code); a key (key); rows to compute (parts); who is at work
on what (claims); the folder of one key (entry); a run in it (filling); the store itself (store); looking after it
(upkeep).
"""

from linexp.store.hashing import UnknownContentError as UnknownContentError
from linexp.store.hashing import content_of as content_of
from linexp.store.hashing import model_of as model_of
from linexp.store.hashing import weights_of as weights_of
from linexp.store.key import Key as Key
from linexp.store.key import rows_per_shard as rows_per_shard
from linexp.store.key import surroundings as surroundings
from linexp.store.parts import Compute as Compute
from linexp.store.parts import Keep as Keep
from linexp.store.parts import Parts as Parts
from linexp.store.parts import after as after
from linexp.store.parts import gather as gather
from linexp.store.parts import whole as whole
from linexp.store.store import Store as Store
from linexp.store.store import default_folder as default_folder
from linexp.store.store import open_store as open_store
from linexp.store.store import with_store as with_store
from linexp.store.upkeep import Stored as Stored
from linexp.store.upkeep import list_store as list_store
from linexp.store.upkeep import parse_age as parse_age
from linexp.store.upkeep import parse_size as parse_size
from linexp.store.upkeep import prune_store as prune_store
from linexp.store.upkeep import verify_store as verify_store
