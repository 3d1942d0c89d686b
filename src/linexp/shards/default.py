"""Where the store is unless the user says otherwise."""

from __future__ import annotations

from pathlib import Path


def default_folder() -> Path:
    """Return the store's folder in the user's cache."""
    import platformdirs

    return platformdirs.user_cache_path("linexp") / "store"
