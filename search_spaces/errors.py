"""What can go wrong with a space. The tree, and who can act on it:

SpaceError (ValueError)
├── InvalidSpace          whoever wrote the space: a parameter, condition or constraint makes no sense
│   └── InvalidOverride   whoever changed a ready-made space
├── InvalidConfig         whoever wrote the configuration
├── InfiniteSpace         whoever wanted a list of a space that has no end
└── SpaceTooConstrained   whoever wrote the constraints: almost nothing satisfies them
"""

from __future__ import annotations


class SpaceError(ValueError):
    """Base of all errors of this package; a `ValueError`, because the input is what has to change."""


class InvalidSpace(SpaceError):
    """A space, or one of its parts, cannot be built as described."""


class InvalidOverride(InvalidSpace):
    """A change to a space names an unknown parameter or asks for what the parameter does not allow.

    Args:
        parameter: the name the user gave.
        found: what was asked for.
        allowed: what would do, in words.
    """

    def __init__(self, parameter: str, found: object, allowed: str) -> None:
        self.parameter = parameter
        self.found = found
        self.allowed = allowed
        super().__init__(f"{parameter}: found {found!r}, allowed: {allowed}")


class InvalidConfig(SpaceError):
    """A configuration is not in the space.

    Args:
        parameter: the parameter at fault, or several joined by a comma when a constraint is violated.
        value: the offending value.
        allowed: what would do, in words.
    """

    def __init__(self, parameter: str, value: object, allowed: str) -> None:
        self.parameter = parameter
        self.value = value
        self.allowed = allowed
        super().__init__(f"{parameter}: found {value!r}, allowed: {allowed}")


class InfiniteSpace(SpaceError):
    """The space has continuous parameters, so it cannot be listed without a resolution."""


class SpaceTooConstrained(SpaceError):
    """The constraints leave nothing, or too little to be found by sampling."""
