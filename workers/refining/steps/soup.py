"""`soup`: the mean of several winners (Wortsman et al. 2022, arXiv 2203.05482; POINTS, arXiv 2409.04828).

Certain: the greedy soup takes models in turn, best first, each only where the mean with it is not worse on the
validation rows. Choice: what is averaged are the updates ΔW of LoRAs, of whatever ranks and layers, rather than their
factors, whose mean is no mean of models.
"""

from __future__ import annotations

from collections.abc import Sequence

from workers.assignment import Outcome
from workers.methods.compressed import start_tensors
from workers.refining.lora_updates import as_lora, mean_of, rest_of, updates_of
from workers.refining.retraining import beside
from workers.refining.scene import Scene, Tensors


def soup(scene: Scene) -> Outcome:
    """The mean of all sources, or of those that a greedy choice takes."""
    stored = scene.stored()
    fresh = start_tensors(scene.base, "lora", scene.prepared.knobs, scene.given.seed)
    updates, rests = [updates_of(one) for one in stored], [rest_of(one) for one in stored]

    def mixed(members: Sequence[int]) -> Tensors:
        return as_lora(mean_of([updates[n] for n in members]), fresh) | mean_of([rests[n] for n in members])

    with scene.attached(scene.given.seed) as attached:
        with scene.measuring(attached) as measured:
            qualities = {n: measured(mixed([n])) for n in range(len(stored))}
            order = sorted(qualities, key=lambda n: scene.loss(qualities[n]))
            members, quality = order, measured(mixed(order))
            if scene.given.options["kind"] == "greedy":
                members, quality = [order[0]], qualities[order[0]]
                for candidate in order[1:]:
                    tried = measured(mixed([*members, candidate]))
                    if scene.loss(tried) <= scene.loss(quality):
                        members, quality = [*members, candidate], tried
            scene.put(attached, mixed(members))
        told = beside("best_member", qualities[order[0]]) | {"members": float(len(members))}
        return scene.outcome(attached, quality | told)
