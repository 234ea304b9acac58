"""Forms of updates that trials of a pack can stack. Imports no torch: dispatchers ask which methods have them.

A method whose trained parameters all are of these forms (`Method.forms`) shares passes with others. How a form is read
from an attached method and computed for all members at once is said in `workers.engines.stacked`.
"""

from __future__ import annotations

from typing import Literal

Form = Literal["head", "low-rank", "scale", "bias", "norm", "serial", "parallel", "prefix"]
"""The head; s·BA beside a linear layer (and a magnitude for each output); factors of its inputs or outputs; a bias of
its own; the numbers of a norm; a bottleneck behind or beside a sublayer; keys and values in front of attention's."""
