"""The embedded default: packaged pictures, words and network, with nothing to download."""

from linexp.demo.run import run_demo

__all__ = [
    "run_demo",
]
