"""The training itself: LoRA on a quantised base, first by examples (SFT), then by preferences (DPO)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    import torch

    Conversation = Sequence[Mapping[str, str]]
    Item = tuple[
        torch.Tensor, torch.Tensor
    ]  # what the lower layers say of each token, and the token after it
    Step = Callable[[], object]

FIRST_LAYER = 15  # the layers below it never change, so their output is computed once for all epochs
TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
WARMUP, CLIP, CHUNK, IGNORED = 0.06, 1.0, 16, -100


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """
    Hyperparameters.

    Attributes:
        beta: How strongly DPO keeps to the policy that SFT ended with.
        anchor: Weight of the preferred answer's own loss in DPO.
    """

    rank: int = 6
    alpha: int = 12
    seed: int = 7
    batch: int = 8
    sft_epochs: int = 3
    sft_rate: float = 2e-3
    dpo_epochs: int = 1
    dpo_rate: float = 1e-4
    beta: float = 0.1
    anchor: float = 0.2


class Policy:
    """SmolLM2 with a LoRA adapter on its upper layers; on one thread, so that a seed gives one adapter."""

    def __init__(self, weights: Path, recipe: Recipe, start: Path | None = None) -> None:
        """
        Args:
            weights: The GGUF file of the base.
            start: Folder of an adapter whose matrices are trained on; new ones without it.
        """
        import torch
        from peft import LoraConfig, get_peft_model, set_peft_model_state_dict
        from safetensors.torch import load_file
        from transformers import AutoModelForCausalLM, AutoTokenizer

        torch.set_num_threads(1)
        torch.manual_seed(recipe.seed)
        folder, name = str(weights.parent), weights.name
        self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, gguf_file=name)
        model: Any = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32)
        self.config = LoraConfig(
            r=recipe.rank,
            lora_alpha=recipe.alpha,
            target_modules=list(TARGETS),
            layers_to_transform=list(range(FIRST_LAYER, model.config.num_hidden_layers)),
            task_type="CAUSAL_LM",
            base_model_name_or_path=weights.stem,
        )
        self._peft: Any = get_peft_model(model, self.config)
        if start is not None:
            matrices = load_file(start / "adapter_model.safetensors")
            set_peft_model_state_dict(self._peft, {name: matrix.float() for name, matrix in matrices.items()})
        self._torch, self._model = torch, model.model
        self._layers, self._norm = self._model.layers, self._model.norm
        # Half precision is 2.7 times as fast on processors that have it, and slower on the others.
        self.fast = bool(torch.cpu._is_avx512_bf16_supported())  # noqa: SLF001 - there is no public name
        self._head = model.lm_head.weight.detach()
        if self.fast:  # kept so, what is never trained need not be converted at each step
            self._head = self._head.to(torch.bfloat16)
            for module in self._model.layers.modules():
                if isinstance(module, torch.nn.Linear) and not module.weight.requires_grad:
                    module.weight.data = module.weight.data.to(torch.bfloat16)

    @property
    def parameters(self) -> list[torch.nn.Parameter]:
        """What is trained."""
        return [weight for weight in self._peft.parameters() if weight.requires_grad]

    def state(self) -> dict[str, torch.Tensor]:
        """The adapter's matrices by PEFT's names."""
        from peft import get_peft_model_state_dict

        matrices: dict[str, torch.Tensor] = get_peft_model_state_dict(self._peft)
        return {name: matrix.detach().clone() for name, matrix in matrices.items()}

    def prepare(self, conversations: Sequence[Conversation], step: Step) -> list[Item]:
        """Run the lower layers once for each conversation, whose last message is the assistant's."""
        torch = self._torch
        encoded = [self._encode(messages) for messages in conversations]
        order = sorted(range(len(encoded)), key=lambda place: len(encoded[place][0]))
        items: dict[int, Item] = {}
        self._model.layers, self._model.norm = self._layers[:FIRST_LAYER], torch.nn.Identity()
        try:
            for start in range(0, len(order), CHUNK):
                chunk = order[start : start + CHUNK]
                ids = self._pad([torch.tensor(encoded[place][0]) for place in chunk], 0)
                with torch.no_grad(), self._precision():
                    hidden = self._model(input_ids=ids, use_cache=False).last_hidden_state.float()
                for row, place in zip(hidden, chunk, strict=True):
                    tokens, labels = encoded[place]
                    items[place] = (row[: len(tokens)].clone(), torch.tensor(labels))
                step()
        finally:
            self._model.layers, self._model.norm = self._layers, self._norm
        return [items[place] for place in range(len(encoded))]

    def score(self, items: Sequence[Item]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Of the assistants' tokens: log-probability, whether it is the likeliest, and the item's place."""
        torch = self._torch
        hidden = self._pad([item[0] for item in items], 0)
        labels = self._pad([item[1] for item in items], IGNORED)
        # Padding stands on the right, where the causal mask hides it from all tokens that count.
        self._model.layers = self._layers[FIRST_LAYER:]
        try:
            with self._precision():
                output = self._model(inputs_embeds=hidden, use_cache=False).last_hidden_state
                chosen = labels != IGNORED
                logits = torch.nn.functional.linear(output[chosen], self._head).float()
        finally:
            self._model.layers = self._layers
        logs = -torch.nn.functional.cross_entropy(logits, labels[chosen], reduction="none")
        return logs, logits.argmax(dim=-1) == labels[chosen], chosen.nonzero()[:, 0]

    def _encode(self, messages: Conversation) -> tuple[list[int], list[int]]:
        asked = self._tokenizer.apply_chat_template(messages[:-1], tokenize=False, add_generation_prompt=True)
        prompt = self._tokenizer(asked, add_special_tokens=False)["input_ids"]
        reply = self._tokenizer(messages[-1]["content"] + "<|im_end|>", add_special_tokens=False)["input_ids"]
        tokens = prompt + reply
        return tokens[:-1], ([IGNORED] * len(prompt) + reply)[1:]

    def _pad(self, rows: list[torch.Tensor], value: int) -> torch.Tensor:
        return self._torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=value)

    def _precision(self) -> Any:
        return self._torch.autocast("cpu", self._torch.bfloat16, enabled=self.fast)


def tune_by_examples(policy: Policy, items: Sequence[Item], recipe: Recipe, step: Step) -> list[float]:
    """Train on the assistants' tokens; returns the loss of every step."""
    batches = list(_batches(items, recipe.batch, recipe.sft_epochs, recipe.seed))

    def loss_of(place: int) -> torch.Tensor:
        return -policy.score([items[one] for one in batches[place]])[0].mean()

    return _run(policy, len(batches), loss_of, recipe.sft_rate, step)


def tune_by_preferences(
    policy: Policy, pairs: Sequence[tuple[Item, Item]], examples: Sequence[Item], recipe: Recipe, step: Step
) -> list[float]:
    """
    Train on (preferred, rejected) pairs; returns the loss of every step.

    Each step also sees a few examples of the first stage, so that plans are not forgotten.
    """
    import torch

    with torch.no_grad():
        before = [[float(policy.score([item])[0].sum()) for item in pair] for pair in pairs]
    half = max(1, recipe.batch // 2)
    batches = list(_batches([pair[0] for pair in pairs], half, recipe.dpo_epochs, recipe.seed))
    replay = list(_batches(examples, half, 1, recipe.seed + 1))

    def loss_of(place: int) -> torch.Tensor:
        batch = batches[place]
        both = [pairs[one][side] for side in (0, 1) for one in batch]
        logs, _, owner = policy.score(both)
        sums = torch.zeros(len(both)).index_add(0, owner, logs)
        gain = sums - torch.tensor([before[one][side] for side in (0, 1) for one in batch])
        margin = gain[: len(batch)] - gain[len(batch) :]
        preferred = -logs[owner < len(batch)].mean()
        kept = policy.score([examples[one] for one in replay[place % len(replay)]])[0].mean()
        wanted = -torch.nn.functional.logsigmoid(recipe.beta * margin).mean()
        return wanted + recipe.anchor * preferred - kept

    return _run(policy, len(batches), loss_of, recipe.dpo_rate, step)


def measure(policy: Policy, items: Sequence[Item]) -> dict[str, float]:
    """
    `loss` of the assistants' tokens, and `exact`: conversations with every token the likeliest.

    The second is what greedy decoding gets exactly right, without decoding.
    """
    import torch

    losses, exact = [], 0
    with torch.no_grad():
        for start in range(0, len(items), CHUNK):
            chunk = items[start : start + CHUNK]
            logs, right, owner = policy.score(chunk)
            losses += [-float(log) for log in logs]
            exact += len(chunk) - len(set(owner[~right].tolist()))
    return {"loss": round(sum(losses) / len(losses), 4), "exact": round(exact / len(items), 4)}


def _run(
    policy: Policy, count: int, loss_of: Callable[[int], torch.Tensor], rate: float, step: Step
) -> list[float]:
    """Steps of AdamW; the rate rises at first, then falls along a cosine to a twentieth."""
    import torch

    optimiser = torch.optim.AdamW(policy.parameters, lr=rate, weight_decay=0.0)
    warm = max(1, round(WARMUP * count))
    losses: list[float] = []
    for place in range(count):
        rise = (place + 1) / warm
        fall = 0.05 + 0.95 * (1 + math.cos(math.pi * (place - warm) / max(1, count - warm))) / 2
        for group in optimiser.param_groups:
            group["lr"] = rate * (rise if place < warm else fall)
        loss = loss_of(place)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(policy.parameters, CLIP)
        optimiser.step()
        losses.append(loss.item())
        step()
    return losses


def _batches(items: Sequence[Item], size: int, epochs: int, seed: int) -> Iterator[list[int]]:
    """Places of items of like length, so that little is padded; another order in each epoch."""
    for epoch in range(epochs):
        random = Random(f"{seed} {epoch}")  # noqa: S311 - a fixed seed is wanted
        order = sorted(range(len(items)), key=lambda place: (len(items[place][1]) // 12, random.random()))
        batches = [order[start : start + size] for start in range(0, len(order), size)]
        random.shuffle(batches)
        yield from batches
