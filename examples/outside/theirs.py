"""Somebody else's training script: it knows its flags and writes its metrics as JSON, and nothing of peftsearch.

Fits a low-rank update of a frozen linear map to data that a map of rank 4 made; replace it by yours.
"""

import argparse
import json

import numpy as np

parser = argparse.ArgumentParser()
parser.add_argument("--rank", type=int, required=True)
parser.add_argument("--learning-rate", type=float, required=True)
parser.add_argument("--out", required=True)
flags = parser.parse_args()

rng = np.random.default_rng(0)
features, truth = rng.normal(size=(512, 24)), rng.normal(size=(24, 4)) @ rng.normal(size=(4, 24)) / 10
targets = features @ truth
down, up = rng.normal(size=(24, flags.rank)) / 5, np.zeros((flags.rank, 24))
for _ in range(300):
    error = (features @ down @ up - targets) / len(features)
    step_down, step_up = features.T @ error @ up.T, down.T @ features.T @ error
    down, up = down - flags.learning_rate * 100 * step_down, up - flags.learning_rate * 100 * step_up
explained = 1 - np.square(features @ down @ up - targets).mean() / np.square(targets).mean()
accuracy = float(np.clip(np.nan_to_num(explained), 0, 1))
with open(flags.out, "w") as file:
    json.dump({"accuracy": accuracy, "trainable_params": float(down.size + up.size)}, file)
