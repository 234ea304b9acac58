"""Types of fields that everything behind them can hold: databases, tensors, generators of random numbers, people."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

INT32 = 2**31 - 1  # an INTEGER of PostgreSQL
INT64 = 2**63 - 1

Seed = Annotated[int, Field(ge=0, lt=2**32)]
"""NumPy's and transformers' seeding take 32 bits without sign."""

Count = Annotated[int, Field(ge=1, le=INT32)]
"""How many of something there are, at least one."""

Ordinal = Annotated[int, Field(ge=0, le=INT32)]
"""A step, an attempt, a number in a sequence."""

TokenId = Annotated[int, Field(ge=0, le=INT32)]
"""A token of a vocabulary."""

NewText = Annotated[str, Field(min_length=1, max_length=100)]
"""The text of a token that is added to a vocabulary."""

Bytes = Annotated[int, Field(ge=0, le=INT64)]

Number = Annotated[float, Field(ge=-1e18, le=1e18)]
"""Finite, and so far from the largest float that sums and squares of it are finite too."""

Seconds = Annotated[float, Field(ge=0, le=1e10)]
"""Three hundred years."""

Name = Annotated[str, Field(max_length=200)]
Location = Annotated[str, Field(max_length=4096)]
"""A path, a hub id or a name of something built in; 4096 is Linux's longest path."""

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""SHA-256 in hexadecimal."""
