"""A toy of KIND (Xie et al. 2024, arXiv 2408.07337): components of weights that classes share, and some of each class.

A denoiser of handwritten digits learns some classes. Each of its weights is a sum of components u·s·vᵀ, as a singular
value decomposition writes it; a gate lets an image through the shared ones and those of its own class, so that what the
classes have in common gathers in the shared ones. These go to classes that were never seen, frozen, and only fresh
components of the new classes are trained there, on a few images of each. The paper does it with diffusion transformers
on ImageNet; here a network of three layers on images of 8 by 8 pixels shows the mechanism and no more.
"""

import copy

import torch
from sklearn.datasets import load_digits
from torch import nn

from peftsearch import program

SOURCE, TARGET = (0, 1, 2, 3, 4, 5), (6, 7, 8, 9)  # digits to learn from, and those that are new
FEW, STEPS, TIMES = 10, 200, 16  # images of a new digit, steps on them, features of the noise level
SHARED = -1


class Gated(nn.Module):
    """A linear layer of components: `shared` ones, and `specific` ones of each class for its own images."""

    def __init__(self, inputs, outputs, shared, specific, classes):
        super().__init__()
        owners = [SHARED] * shared + [owner for owner in range(classes) for _ in range(specific)]
        self.register_buffer("owners", torch.tensor(owners))
        self.down = nn.Parameter(torch.randn(len(owners), inputs) / inputs**0.5)
        self.values = nn.Parameter(torch.ones(len(owners)))
        self.up = nn.Parameter(torch.randn(len(owners), outputs) / (shared + specific) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, seen, classes):
        """States `[rows, inputs]` of images of `classes` `[rows]` to `[rows, outputs]`."""
        gate = (self.owners == SHARED) | (self.owners == classes[:, None])
        return (seen @ self.down.T * self.values * gate) @ self.up + self.bias

    def for_classes(self, specific, classes):
        """The shared components as they are, frozen, beside fresh ones of other classes."""
        kept = self.owners == SHARED
        fresh = Gated(self.down.shape[1], self.up.shape[1], int(kept.sum()), specific, classes)
        own = fresh.owners != SHARED
        with torch.no_grad():
            fresh.up[own] = 0.0  # nothing is added at the start
            for name in ("down", "values", "up"):
                getattr(fresh, name)[~own] = getattr(self, name)[kept]
            fresh.bias.copy_(self.bias)
        for name in ("down", "values", "up"):
            rows = own if name == "values" else own[:, None]
            getattr(fresh, name).register_hook(lambda gradient, rows=rows: gradient * rows)
        fresh.bias.requires_grad_(False)
        return fresh


class Denoiser(nn.Module):
    """From a noisy image, how noisy it is, and its class, to the image."""

    def __init__(self, layers):
        super().__init__()
        self.layers = nn.ModuleList(layers)

    @classmethod
    def fresh(cls, hidden, shared, specific, classes):
        sizes = ((64 + TIMES, hidden), (hidden, hidden), (hidden, 64))
        return cls([Gated(*size, shared, specific, classes) for size in sizes])

    def for_classes(self, specific, classes):
        return Denoiser([layer.for_classes(specific, classes) for layer in self.layers])

    def forward(self, noisy, level, classes):
        waves = level[:, None] * torch.arange(1, TIMES // 2 + 1) * torch.pi
        seen = torch.cat([noisy, waves.sin(), waves.cos()], dim=1)
        for layer in self.layers[:-1]:
            seen = nn.functional.silu(layer(seen, classes))
        return self.layers[-1](seen, classes)

    def loss(self, images, classes, draw=None):
        """Mean squared error of a pixel (-1 to 1), each image at a noise level of its own."""
        level = torch.rand(len(images), generator=draw)
        noise = torch.randn(images.shape, generator=draw)
        clean, dirty = (level * torch.pi / 2).cos()[:, None], (level * torch.pi / 2).sin()[:, None]
        return (self(clean * images + dirty * noise, level, classes) - images).square().mean()


def train(denoiser, optimizer, images, classes, steps):
    for _ in range(steps):
        rows = torch.randint(len(images), (64,))
        optimizer.zero_grad()
        denoiser.loss(images[rows], classes[rows]).backward()
        optimizer.step()


def transferred(denoiser, config, data):
    """The loss on held-out images of the new digits, after training on a few of each."""
    few_images, few_classes, images, classes = data
    moved = denoiser.for_classes(config["specific"], len(TARGET))
    trained = [value for value in moved.parameters() if value.requires_grad]
    train(moved, torch.optim.Adam(trained, lr=config["learning_rate"]), few_images, few_classes, STEPS)
    with torch.no_grad():
        return moved.loss(images, classes, torch.Generator().manual_seed(0)).item()


def digits():
    """Images and classes of the known digits; a few, and all others, of the new ones."""
    found = load_digits()
    images, labels = torch.tensor(found.data, dtype=torch.float32) / 8 - 1, torch.tensor(found.target)
    known = labels < len(SOURCE)
    order = [(labels == digit).nonzero().flatten() for digit in TARGET]
    few, others = torch.cat([rows[:FEW] for rows in order]), torch.cat([rows[FEW:] for rows in order])
    first = len(SOURCE)
    return (images[known], labels[known]), (images[few], labels[few] - first, images[others], labels[others] - first)


def main(trial):
    """Pre-train for the trial's epochs of 100 steps; after each, see what the shared components are worth elsewhere."""
    torch.manual_seed(trial.seed)
    config, (source, target) = trial.config, digits()
    gated = config["specific"] if config["gate"] == "class" else 0  # `none`: all that is learnt is shared
    denoiser = Denoiser.fresh(config["hidden"], config["shared"], gated, len(SOURCE))
    unlearnt = transferred(copy.deepcopy(denoiser), config, target)
    optimizer = torch.optim.Adam(denoiser.parameters(), lr=config["learning_rate"])
    if trial.checkpoint:
        for part, name in ((denoiser, "denoiser"), (optimizer, "optimizer")):
            part.load_state_dict(torch.load(trial.checkpoint / name, weights_only=True))
    for epoch in range(trial.start, int(trial.epochs)):
        train(denoiser, optimizer, *source, steps=100)
        loss = transferred(denoiser, config, target)
        sizes = sum(layer.down.shape[1] + layer.up.shape[1] + 1 for layer in denoiser.layers)
        (trial.output / "state").mkdir(exist_ok=True)
        torch.save(denoiser.state_dict(), trial.output / "state" / "denoiser")
        torch.save(optimizer.state_dict(), trial.output / "state" / "optimizer")
        told = {"loss": loss, "gain": 1 - loss / unlearnt, "trained": config["specific"] * len(TARGET) * sizes}
        if trial.report(told, epoch=epoch + 1, checkpoint=trial.output / "state") != "continue":
            break


if __name__ == "__main__":
    main(program.trial())
