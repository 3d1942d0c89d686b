"""``python -m linexp``: the command line."""

from linexp.cli import main

main()
