"""An exported adapter gives the same logits in a fresh process: peft's own by plain peft, ours by `load_adapter`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.workers.methods.test_conformance import ROWS, attach, logits, train
from tests.workers.tiny_models import batch, tiny_base, tiny_model
from workers.methods.attached import AdapterCard
from workers.methods.registry import method

_RELOAD = """
import copy, json, sys
import torch
from peft import PeftModel
from safetensors.torch import save_file
from transformers import AutoModelForSequenceClassification
from transformers.utils import logging
logging.set_verbosity_error()
torch.set_num_threads(1)
folder, inputs = sys.argv[1], torch.load(sys.argv[1] + "/inputs.pt", weights_only=True)
plans = json.load(open(folder + "/plans.json"))
untouched = AutoModelForSequenceClassification.from_pretrained(folder + "/base").eval()
found = {}
for name, kind in sorted(plans.items(), key=lambda item: item[1] != "peft"):
    base = copy.deepcopy(untouched)
    if kind == "peft":
        assert "workers" not in sys.modules and "peftsearch" not in sys.modules
        model = PeftModel.from_pretrained(base, folder + "/" + name).eval()
    else:
        import peftsearch
        model = peftsearch.load_adapter(base, folder + "/" + name)
    with torch.no_grad():
        found[name] = model(**inputs).logits
save_file(found, folder + "/logits.safetensors")
"""


@pytest.fixture(scope="module")
def reloaded(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor], Path]:
    """Logits (before saving, after loading in a fresh process) of every row, peft's own by plain peft."""
    folder = tmp_path_factory.mktemp("adapters")
    model = tiny_model("bert")
    model.save_pretrained(folder / "base")
    base = tiny_base("bert")
    before, plans = {}, {}
    for row in ROWS:
        name, knobs = row.values
        attached, values = attach(base, name, knobs)
        train(attached, method(name).learning_rates.mode)
        before[row.id] = logits(attached.model)
        classes = tuple("abc")
        attached.save(folder / row.id, AdapterCard(name, "tiny", config=values, labels=classes))
        attached.detach()
        plans[row.id] = method(name).format
    (folder / "plans.json").write_text(json.dumps(plans))
    torch.save(batch(), folder / "inputs.pt")
    subprocess.run([sys.executable, "-c", _RELOAD, str(folder)], check=True, capture_output=True)
    return before, load_file(folder / "logits.safetensors"), folder


@pytest.mark.parametrize("row", [row.id for row in ROWS])
def test_saved_adapter_gives_the_same_logits_in_a_fresh_process(reloaded: Any, row: str) -> None:
    before, after, folder = reloaded
    torch.testing.assert_close(after[row], before[row], atol=1e-6, rtol=0)
    card = (folder / row / "README.md").read_text()
    assert "AutoModelForSequenceClassification" in card
