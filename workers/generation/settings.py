"""How a model is asked for answers. Imports no torch: jobs hold it, the API checks it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from workers.bounded import INT32


class GenerationSettings(BaseModel):
    """How answers are written; names are those of transformers' `GenerationConfig` where the meaning is equal."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_new_tokens: int = Field(default=128, ge=1, le=4096, description="tokens of an answer at most")
    temperature: float = Field(default=0.0, ge=0.0, le=10.0, description="0: always the likeliest token")
    top_p: float = Field(
        default=1.0, gt=0.0, le=1.0, description="draw from the likeliest tokens that together have this probability"
    )
    seed: int = Field(default=0, ge=0, le=INT32, description="of the draws; a row's draws do not depend on others")
    batch_size: int = Field(default=16, ge=1, le=1024, description="rows that are answered together")
