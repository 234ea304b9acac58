"""`python -m peftsearch` is the same as `peftsearch`."""

from peftsearch.cli import main

main()
