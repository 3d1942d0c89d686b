"""What every room needs and no user does: checks and the wording of errors, files written whole, progress, threads."""

from linexp._internal.checks import closest

__all__ = [
    "closest",
]
