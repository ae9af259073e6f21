"""The two stages: learning from examples (SFT), then from preferences (DPO)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import torch

    from reference_app.training.tuning.checkpoint import Checkpoints
    from reference_app.training.tuning.policy import Item, Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """
    Hyperparameters, chosen on the validation part.

    Attributes:
        beta: How strongly DPO keeps to the policy that SFT ended with.
        anchor: Weight of the preferred answer's own loss in DPO.
    """

    rank: int = 6
    alpha: int = 12
    dropout: float = 0.05
    seed: int = 7
    batch: int = 4
    sft_epochs: int = 3
    sft_rate: float = 2e-3
    dpo_epochs: int = 1
    dpo_rate: float = 1e-4
    beta: float = 0.1
    anchor: float = 0.2
    save_every: int = 50


WARMUP = 0.06
CLIP = 1.0


def tune_by_examples(
    policy: Policy,
    items: Sequence[Item],
    recipe: Recipe,
    checkpoints: Checkpoints,
    progress: Callable[[float], object],
) -> list[float]:
    """Train on the assistants' tokens; returns the loss of every step."""

    def loss_of(batch: Sequence[int], _: int) -> torch.Tensor:
        logs, _, _ = policy.score([items[place] for place in batch])
        return -logs.mean()

    steps = list(_batches(items, recipe.batch, recipe.sft_epochs, recipe.seed))
    return _run(
        "sft",
        policy,
        steps,
        loss_of,
        rate=recipe.sft_rate,
        save_every=recipe.save_every,
        checkpoints=checkpoints,
        progress=progress,
    )


def tune_by_preferences(  # noqa: PLR0913 - what the stage works on
    policy: Policy,
    pairs: Sequence[tuple[Item, Item]],
    examples: Sequence[Item],
    *,
    recipe: Recipe,
    checkpoints: Checkpoints,
    progress: Callable[[float], object],
) -> list[float]:
    """
    Train on (preferred, rejected) pairs; returns the loss of every step.

    Each step also sees a few examples of the first stage, so that plans are not forgotten.
    """
    import torch

    sums_before = _score_before(policy, pairs, checkpoints)
    half = max(1, recipe.batch // 2)
    steps = list(_batches([pair[0] for pair in pairs], half, recipe.dpo_epochs, recipe.seed))
    replay = list(
        _batches(examples, half, 1 + recipe.dpo_epochs * len(pairs) // len(examples), recipe.seed + 1)
    )

    def loss_of(batch: Sequence[int], step: int) -> torch.Tensor:
        both = [pairs[place][side] for side in (0, 1) for place in batch]
        logs, _, owner = policy.score(both)
        sums = torch.zeros(len(both)).index_add(0, owner, logs)
        before = torch.tensor([sums_before[place][side] for side in (0, 1) for place in batch])
        gain = sums - before
        margin = gain[: len(batch)] - gain[len(batch) :]
        preferred = -logs[owner < len(batch)].mean()
        kept, _, _ = policy.score([examples[place] for place in replay[step % len(replay)]])
        return (
            -torch.nn.functional.logsigmoid(recipe.beta * margin).mean()
            + recipe.anchor * preferred
            - kept.mean()
        )

    return _run(
        "dpo",
        policy,
        steps,
        loss_of,
        rate=recipe.dpo_rate,
        save_every=recipe.save_every,
        checkpoints=checkpoints,
        progress=progress,
    )


def _score_before(
    policy: Policy, pairs: Sequence[tuple[Item, Item]], checkpoints: Checkpoints
) -> list[list[float]]:
    """What the policy that SFT ended with gives each side of each pair."""
    import torch

    reference = checkpoints.load("reference")
    if reference is None:
        with torch.no_grad():
            reference = {"sums": [[float(policy.score([item])[0].sum()) for item in pair] for pair in pairs]}
        checkpoints.save("reference", reference)
    sums: list[list[float]] = reference["sums"]
    return sums


def measure(policy: Policy, items: Sequence[Item], batch: int = 16) -> tuple[float, float]:
    """
    Mean loss of the assistants' tokens and the share of conversations with every token the likeliest.

    The second is what greedy decoding gets exactly right, without decoding.
    """
    import torch

    losses: list[float] = []
    exact = 0
    order = sorted(range(len(items)), key=lambda place: len(items[place].labels))
    with torch.no_grad():
        for start in range(0, len(order), batch):
            chunk = order[start : start + batch]
            logs, right, owner = policy.score([items[place] for place in chunk])
            losses += [-float(log) for log in logs]
            wrong = set(owner[~right].tolist())
            exact += len(chunk) - len(wrong)
    return sum(losses) / len(losses), exact / len(items)


def _run(  # noqa: PLR0913 - one loop for both stages
    stage: str,
    policy: Policy,
    steps: Sequence[Sequence[int]],
    loss_of: Callable[[Sequence[int], int], torch.Tensor],
    *,
    rate: float,
    save_every: int,
    checkpoints: Checkpoints,
    progress: Callable[[float], object],
) -> list[float]:
    import torch

    optimiser: Any = torch.optim.AdamW(policy.parameters, lr=rate, weight_decay=0.0)
    losses: list[float] = []
    if saved := checkpoints.load(stage):
        policy.load(saved["adapter"])
        optimiser.load_state_dict(saved["optimiser"])
        losses = saved["losses"]
        for loss in losses:
            progress(loss)
    for step in range(len(losses), len(steps)):
        for group in optimiser.param_groups:
            group["lr"] = rate * _schedule(step, len(steps))
        policy.train(mode=True)
        loss = loss_of(steps[step], step)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(policy.parameters, CLIP)
        optimiser.step()
        policy.train(mode=False)
        losses.append(loss.item())
        progress(losses[-1])
        if (step + 1) % save_every == 0 or step + 1 == len(steps):
            checkpoints.save(
                stage, {"adapter": policy.state(), "optimiser": optimiser.state_dict(), "losses": losses}
            )
    return losses


def _schedule(step: int, total: int) -> float:
    """Rises over the first steps, then falls along a cosine to a twentieth."""
    warm = max(1, round(WARMUP * total))
    if step < warm:
        return (step + 1) / warm
    return 0.05 + 0.95 * (1 + math.cos(math.pi * (step - warm) / max(1, total - warm))) / 2


def _batches(items: Sequence[Item], size: int, epochs: int, seed: int) -> Iterator[list[int]]:
    """Places of items of like length, so that little is padded; another order in each epoch."""
    for epoch in range(epochs):
        random = Random(f"{seed} {epoch}")  # noqa: S311 - a fixed seed is wanted
        order = sorted(range(len(items)), key=lambda place: (len(items[place].labels) // 12, random.random()))
        batches = [order[start : start + size] for start in range(0, len(order), size)]
        random.shuffle(batches)
        yield from batches
