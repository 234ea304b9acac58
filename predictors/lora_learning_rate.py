"""Learning rate of LoRA from the width of the model (the rule of Thinking Machines' tinker-cookbook).

    learning rate = 5e-5 · 10 · (2000 / hidden size)^p        p = 0.781 for Llama, 0.0775 for Qwen

Full fine-tuning drops the factor 10. Other families were not calibrated and are refused.
"""

from __future__ import annotations

from predictors.answer import Answer, OutOfDomain, Quantity, Range, outside, positive

SOURCE = "tinker-cookbook hyperparam_utils; LoRA Without Regret (Thinking Machines, 2025)"
EXPONENTS = {"llama": 0.781, "qwen": 0.0775}
LORA_OVER_FULL = 10.0
HIDDEN_SIZE = Range(1024, 16384, "units")


def lora_learning_rate(hidden_size: int, family: str, full_fine_tuning: bool = False) -> Answer:
    """Learning rate for LoRA on all layers of a `family` model of this hidden size.

    Raises:
        OutOfDomain: a size that is not positive, or a family that the rule was not calibrated for.
    """
    positive(hidden_size=hidden_size)
    exponent = EXPONENTS.get(family.lower())
    if exponent is None:
        raise OutOfDomain(
            "family", family, f"one of {', '.join(sorted(EXPONENTS))}: the rule was not calibrated for others"
        )
    factor = 1.0 if full_fine_tuning else LORA_OVER_FULL
    return Answer(
        quantities={"learning_rate": Quantity(5e-5 * factor * (2000 / hidden_size) ** exponent, "1")},
        source=SOURCE,
        standing="published",
        valid_for="LoRA on all linear layers of decoder language models, batches of ordinary size",
        warnings=outside(hidden_size=(HIDDEN_SIZE, hidden_size)),
    )
