"""The embedded default: packaged pictures, words and network, with nothing to download."""

from linexp.demo.run import IMAGES, run_demo

__all__ = [
    "IMAGES",
    "run_demo",
]
