"""Which file a job means by `program`, and whether the operator allows it. Imports neither torch nor ray."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from workers.errors import InvalidInput

BUILTIN = "builtin:"
_OWN = Path(__file__).with_name("builtin")


def builtin_programs() -> tuple[str, ...]:
    """Names that may stand behind `builtin:`."""
    return tuple(sorted(file.stem for file in _OWN.glob("*.py") if not file.stem.startswith("_")))


def program_file(reference: str, folders: Sequence[str | Path]) -> Path:
    """The file that a job's `program` names, links followed: one of ours, or one in a folder that is allowed.

    Asked when a job is submitted and again before each start, as folders, files and links may have changed meanwhile.

    Raises:
        InvalidInput: field `program`; there is no such program, or none may be run from there.
    """
    if reference.startswith(BUILTIN):
        name = reference.removeprefix(BUILTIN)
        if name not in builtin_programs():
            raise InvalidInput("program", reference, ", ".join(f"builtin:{one}" for one in builtin_programs()))
        return _OWN / f"{name}.py"
    file = Path(os.path.realpath(reference))
    roots = [Path(os.path.realpath(folder)) for folder in folders]
    if not roots:
        raise InvalidInput("program", reference, "built-in programs, as the operator has set no `programs` folder")
    if not any(root in file.parents for root in roots):
        raise InvalidInput("program", reference, f"a program in {', '.join(map(str, roots))}")
    if not file.is_file():
        raise InvalidInput("program", reference, "a file")
    if file.suffix != ".py" and not os.access(file, os.X_OK):
        raise InvalidInput("program", reference, "a Python file, or one that may be executed (chmod +x)")
    return file
