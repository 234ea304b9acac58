"""A spiking network on handwritten digits: leaky integrate-and-fire neurons, trained through a surrogate gradient.

Nothing here is PEFT: the search sees numbers in and numbers out. It trades accuracy against spikes, which cost energy.
"""

import torch
from sklearn.datasets import load_digits

from peftsearch import program


class Spike(torch.autograd.Function):
    """A step forward; backward, the slope of a fast sigmoid (Zenke & Ganguli 2018)."""

    @staticmethod
    def forward(ctx, potential):
        ctx.save_for_backward(potential)
        return (potential > 0).float()

    @staticmethod
    def backward(ctx, gradient):
        return gradient / (1 + 10 * ctx.saved_tensors[0].abs()) ** 2


def run(network, images, leak, steps):
    """Scores `[images, 10]` and the spikes of an image, on average."""
    potential, score, spikes = 0.0, 0.0, 0.0
    for _ in range(steps):
        potential = leak * potential + network[0](torch.bernoulli(images))  # brightness is a rate of spikes
        fired = Spike.apply(potential - 1)
        potential = potential * (1 - fired)
        score, spikes = score + network[1](fired) / steps, spikes + fired.sum(1).mean()
    return score, spikes


trial = program.trial()
torch.manual_seed(trial.seed)
config, digits = trial.config, load_digits()
images, labels = torch.tensor(digits.data, dtype=torch.float32) / 16, torch.tensor(digits.target)
network = torch.nn.Sequential(torch.nn.Linear(64, config["hidden"]), torch.nn.Linear(config["hidden"], 10))
optimizer = torch.optim.Adam(network.parameters(), lr=config["learning_rate"])
if trial.checkpoint:
    for part, name in ((network, "network"), (optimizer, "optimizer")):
        part.load_state_dict(torch.load(trial.checkpoint / name, weights_only=True))
for epoch in range(trial.start, int(trial.epochs)):
    for rows in torch.randperm(1400).split(64):
        score, _ = run(network, images[rows], config["leak"], config["steps"])
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(score, labels[rows]).backward()
        optimizer.step()
    with torch.no_grad():
        score, spikes = run(network, images[1400:], config["leak"], config["steps"])
    accuracy = (score.argmax(1) == labels[1400:]).float().mean().item()
    (trial.output / "state").mkdir(exist_ok=True)
    torch.save(network.state_dict(), trial.output / "state" / "network")
    torch.save(optimizer.state_dict(), trial.output / "state" / "optimizer")
    told = {"accuracy": accuracy, "spikes": spikes.item()}
    if trial.report(told, epoch=epoch + 1, checkpoint=trial.output / "state") != "continue":
        break
