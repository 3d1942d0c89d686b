"""Whose file an autoencoder is, and what of it makes the latents: a package a file."""

from linexp.forward.units.readers.choose import read_autoencoder as read_autoencoder
from linexp.forward.units.readers.own import write as write
