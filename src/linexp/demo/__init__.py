"""The embedded default: packaged pictures, words and network, with nothing to download."""
