"""GaLore, Natural GaLore and GradNormLoRP: Adam in a subspace of low rank that follows the gradient. Needs torch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from workers.strategies.strategy import Subject
from workers.strategies.tensor_adamw import State, TensorAdamW, adam_direction


class GaLore(TensorAdamW):
    """For a matrix [m, n] with m ≤ n: R = PᵀG, step = α·P·Adam(R), and mirrored for m > n.

    P [m, r] holds the leading singular vectors of the gradient, taken anew every T steps; the moments stay as they are
    then. Matrices of encoder layers with a short side above r are projected, all else has plain AdamW.
    """

    def __init__(self, subject: Subject, rank: int, interval: int, scale: float) -> None:
        super().__init__(subject)
        self._rank, self._interval, self._scale = rank, interval, scale
        self.projected = {
            name
            for name, value in self.parameters.items()
            if value.ndim == 2 and min(value.shape) > rank and subject.layers[name] is not None
        }

    def direction(self, name: str, gradient: Tensor) -> Tensor:
        """Where a parameter goes, of its own shape."""
        if name not in self.projected:
            return super().direction(name, gradient)
        wide = gradient if gradient.shape[0] <= gradient.shape[1] else gradient.T
        state = self.state[name]
        if int(state.get("steps", torch.zeros(()))) % self._interval == 0:
            self.turn(state, wide)
        step = self._scale * state["basis"] @ adam_direction(state, self.narrow(state, state["basis"].T @ wide))
        return step if wide is gradient else step.T

    def turn(self, state: State, gradient: Tensor) -> None:
        """Follow the gradient [m, n] with m ≤ n to its leading subspace."""
        state["basis"] = leading_subspace(gradient, self._rank)

    def narrow(self, _state: State, gradient: Tensor) -> Tensor:
        """What Adam sees of a projected gradient [r, n]."""
        return gradient


class NaturalGaLore(GaLore):
    """GaLore with (λI + GGᵀ)⁻¹g in place of the projected gradient g, G [r·n, s] being the last s of them, this one
    included. By Woodbury only an s × s system is solved. A new subspace starts a new history."""

    def __init__(self, subject: Subject, rank: int, interval: int, scale: float, history: int, damping: float) -> None:
        super().__init__(subject, rank, interval, scale)
        self._history, self._damping = history, damping

    def turn(self, state: State, gradient: Tensor) -> None:
        """A new subspace: gradients of the old one mean nothing in it."""
        super().turn(state, gradient)
        state.pop("history", None)

    def narrow(self, state: State, gradient: Tensor) -> Tensor:
        """The natural gradient [r, n]."""
        flat = gradient.reshape(1, -1)
        state["history"] = torch.cat([state.get("history", flat[:0]), flat])[-self._history :]
        return natural_gradient(state["history"], flat[0], self._damping).view_as(gradient)


class GradNormLoRP(GaLore):
    """W = m·V/‖V‖ by rows: Adam on the magnitudes m [rows], GaLore on V.

    V is kept as W and the norms of its rows, since V = W·‖V‖/m. Weight decay acts on m.
    """

    def update(self, name: str, parameter: nn.Parameter, gradient: Tensor, rate: float, decay: float) -> None:
        """One step of one parameter."""
        if name not in self.projected:
            super().update(name, parameter, gradient, rate, decay)
            return
        state = self.state[name]
        if "magnitude" not in state:
            state["magnitude"] = row_norms(parameter)
            state["norm"] = state["magnitude"].clone()
        unit = parameter / state["magnitude"]  # V/‖V‖
        along = (gradient * unit).sum(1, keepdim=True)  # gradient of m
        across = state["magnitude"] / state["norm"] * (gradient - along * unit)  # gradient of V
        direction = unit * state["norm"] - rate * self.direction(name, across)  # V after its step
        state["magnitude"].mul_(decay).sub_(adam_direction(state, along, "magnitude_"), alpha=rate)
        state["norm"] = row_norms(direction)
        parameter.copy_(state["magnitude"] * direction / state["norm"])


def leading_subspace(gradient: Tensor, rank: int) -> Tensor:
    """The leading left singular vectors [m, r] of a matrix [m, n], each with its largest entry positive.

    From the eigenvectors of the small side; without a rule for the signs, moments kept from the subspace before would
    fit or not by chance.
    """
    vectors: Tensor = torch.linalg.eigh(gradient @ gradient.T).eigenvectors[:, -rank:].flip(1)
    largest = vectors.gather(0, vectors.abs().argmax(0, keepdim=True))
    # As a checkpoint gives it back: a product with another order in memory rounds otherwise.
    return (vectors * largest.sign()).contiguous()


def natural_gradient(history: Tensor, gradient: Tensor, damping: float) -> Tensor:
    """(λI + GGᵀ)⁻¹g = g/λ − G(λI + GᵀG)⁻¹Gᵀg/λ for G = `history`ᵀ [d, s], g = `gradient` [d] and λ = `damping`."""
    small = history @ history.T + damping * torch.eye(len(history), dtype=history.dtype, device=history.device)
    within: Tensor = torch.linalg.solve(small, history @ gradient)
    return (gradient - history.T @ within) / damping


def row_norms(matrix: Tensor) -> Tensor:
    """Norms of the rows [rows, 1]; of a row of zeros the smallest number there is, so that it can be divided by."""
    norms: Tensor = torch.linalg.vector_norm(matrix.detach(), dim=1, keepdim=True)
    return norms.clamp_min(torch.finfo(matrix.dtype).tiny)
