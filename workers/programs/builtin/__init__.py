"""Programs that jobs may name without an operator's leave: `builtin:NAME` is the file `NAME.py` of this folder."""
