"""The other side: `Trainer` with peft as users write it, and the same step in a captured graph."""

from __future__ import annotations

import time
from tempfile import TemporaryDirectory
from typing import Any

import peft
import torch
import transformers

from benchmarks.gpu.cases import ALPHA, CLASSES, RANK, RATE, Case
from benchmarks.gpu.clock import Clock
from workers.models.heads import SEQUENCE


def _adapted(case: Case, model: transformers.PreTrainedModel) -> peft.PeftModel:
    config = peft.LoraConfig(
        task_type=case.kind.peft_type, r=RANK, lora_alpha=ALPHA, target_modules=case.targets, lora_dropout=0.0
    )
    adapted: peft.PeftModel = peft.get_peft_model(model, config)
    return adapted


def trainer(case: Case, device: torch.device, clock: Clock) -> float:
    """Milliseconds of a step of `Trainer`, in bfloat16 on a GPU."""
    model = _adapted(case, case.model(device, torch.float32))
    ids = torch.randint(5, case.vocabulary, (case.rows * 64, case.tokens)).tolist()
    rows = [
        {"input_ids": row, "labels": number % 4 if case.kind is SEQUENCE else row} for number, row in enumerate(ids)
    ]

    def collate(batch: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        found = {name: torch.tensor([row[name] for row in batch]) for name in ("input_ids", "labels")}
        return found | {"attention_mask": torch.ones_like(found["input_ids"])}

    with TemporaryDirectory() as folder:
        arguments = transformers.TrainingArguments(
            output_dir=folder, per_device_train_batch_size=case.rows, max_steps=clock.before + clock.steps,
            learning_rate=RATE, save_strategy="no", eval_strategy="no", report_to="none", disable_tqdm=True,
            logging_steps=1000, bf16=device.type == "cuda", use_cpu=device.type == "cpu",
        )  # fmt: skip
        watch = _Watch(clock)
        run = transformers.Trainer(
            model=model,
            args=arguments,
            train_dataset=rows,
            data_collator=collate,
            callbacks=[watch],
        )
        run.train()
    return watch.milliseconds


class _Watch(transformers.TrainerCallback):
    """Times the steps of a training behind its first ones."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._started, self.milliseconds = clock, 0.0, 0.0

    def on_step_end(self, args: Any, state: Any, control: Any, **_options: Any) -> None:
        """Start behind the first steps, stop behind the last."""
        del args, control
        if state.global_step in (self._clock.before, self._clock.before + self._clock.steps):
            self._clock.wait()
            spent, self._started = time.perf_counter() - self._started, time.perf_counter()
            self.milliseconds = spent / self._clock.steps * 1e3


def captured(case: Case, device: torch.device, clock: Clock) -> float:
    """Milliseconds of one trial's whole step as a CUDA graph: base in bfloat16, fused AdamW. A GPU is needed."""
    model = _adapted(case, case.model(device, torch.bfloat16))
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=RATE, fused=True, capturable=True)
    ids = torch.randint(5, case.vocabulary, (case.rows, case.tokens), device=device)
    labels = torch.arange(case.rows, device=device) % CLASSES if case.kind is SEQUENCE else ids

    def step() -> None:
        with torch.autocast("cuda", torch.bfloat16):
            loss = model(input_ids=ids, labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=False)

    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return clock.milliseconds(graph.replay)
