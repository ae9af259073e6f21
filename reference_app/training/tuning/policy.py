"""The model in training: SmolLM2 with a LoRA adapter on its upper layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import torch

FIRST_LAYER = 15  # the layers below it never change, so their output is computed once for all epochs
TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
CHUNK = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """
    One conversation ready for training.

    Attributes:
        hidden: What comes out of the layers that do not change, shape (tokens, width).
        labels: The token that follows each token, -100 where it is not the assistant's.
    """

    hidden: torch.Tensor
    labels: torch.Tensor


class Policy:
    """Computes the probabilities of assistants' tokens; on one thread, so that a seed gives one adapter."""

    def __init__(self, weights: Path, *, rank: int, alpha: int, dropout: float, seed: int) -> None:
        """
        Args:
            weights: The GGUF file of the base.
        """
        import torch
        from peft import LoraConfig, get_peft_model
        from transformers import AutoModelForCausalLM, AutoTokenizer

        torch.set_num_threads(1)
        torch.manual_seed(seed)
        folder, name = str(weights.parent), weights.name
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder, gguf_file=name)
        model: Any = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32)
        count = model.config.num_hidden_layers
        self.config = LoraConfig(
            r=rank,
            lora_alpha=alpha,
            lora_dropout=dropout,
            target_modules=list(TARGETS),
            layers_to_transform=list(range(FIRST_LAYER, count)),
            task_type="CAUSAL_LM",
            base_model_name_or_path=weights.stem,
        )
        self._peft: Any = get_peft_model(model, self.config)
        self._peft.eval()
        self._model = model
        self._layers = model.model.layers
        self._norm = model.model.norm
        self.fast = bool(torch.cpu._is_avx512_bf16_supported())  # noqa: SLF001 - there is no public name
        self._torch = torch
        self._head = model.lm_head.weight
        if self.fast:
            self._halve(model)

    @property
    def parameters(self) -> list[torch.nn.Parameter]:
        """What is trained."""
        return [weight for weight in self._peft.parameters() if weight.requires_grad]

    def train(self, *, mode: bool) -> None:
        """Switch dropout on or off."""
        self._peft.train(mode)

    def state(self) -> dict[str, torch.Tensor]:
        """The adapter's matrices by PEFT's names."""
        from peft import get_peft_model_state_dict

        matrices: dict[str, torch.Tensor] = get_peft_model_state_dict(self._peft)
        return {name: matrix.detach().clone() for name, matrix in matrices.items()}

    def load(self, state: Mapping[str, torch.Tensor]) -> None:
        """Put the adapter's matrices back."""
        from peft import set_peft_model_state_dict

        set_peft_model_state_dict(self._peft, dict(state))

    def prepare(
        self, conversations: Sequence[Sequence[Mapping[str, str]]], progress: Callable[[], object]
    ) -> list[Item]:
        """
        Run the lower layers once for each conversation, whose last message is the assistant's.

        Args:
            progress: Called after each chunk of 16.
        """
        torch = self._torch
        encoded = [self._encode(messages) for messages in conversations]
        order = sorted(range(len(encoded)), key=lambda place: len(encoded[place][0]))
        items: dict[int, Item] = {}
        self._model.model.layers = self._layers[:FIRST_LAYER]
        self._model.model.norm = torch.nn.Identity()
        try:
            for start in range(0, len(order), CHUNK):
                chunk = order[start : start + CHUNK]
                ids = torch.nn.utils.rnn.pad_sequence(
                    [torch.tensor(encoded[place][0]) for place in chunk], batch_first=True
                )
                with torch.no_grad(), self._precision():
                    hidden = self._model.model(input_ids=ids, use_cache=False).last_hidden_state.float()
                for row, place in zip(hidden, chunk, strict=True):
                    tokens, labels = encoded[place]
                    items[place] = Item(hidden=row[: len(tokens)].clone(), labels=torch.tensor(labels))
                progress()
        finally:
            self._model.model.layers, self._model.model.norm = self._layers, self._norm
        return [items[place] for place in range(len(encoded))]

    def score(self, items: Sequence[Item]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """
        Log-probabilities of the assistants' tokens.

        Returns:
            For each token its log-probability, whether it is the likeliest one, and its item's place.
        """
        torch = self._torch
        hidden = torch.nn.utils.rnn.pad_sequence([item.hidden for item in items], batch_first=True)
        labels = torch.nn.utils.rnn.pad_sequence(
            [item.labels for item in items], batch_first=True, padding_value=-100
        )
        # Padding stands on the right, where the causal mask hides it from all tokens that count.
        self._model.model.layers = self._layers[FIRST_LAYER:]
        try:
            with self._precision():
                output = self._model.model(inputs_embeds=hidden, use_cache=False).last_hidden_state
                chosen = labels != -100  # noqa: PLR2004 - torch's mark of a token that does not count
                logits = torch.nn.functional.linear(output[chosen], self._head)
        finally:
            self._model.model.layers = self._layers
        logits, wanted = logits.float(), labels[chosen]
        logs = -torch.nn.functional.cross_entropy(logits, wanted, reduction="none")
        return logs, logits.argmax(dim=-1) == wanted, chosen.nonzero()[:, 0]

    def _halve(self, model: Any) -> None:
        """Keep what is never trained in half precision, so that it need not be converted at each step."""
        torch = self._torch
        self._head = self._head.detach().to(torch.bfloat16)
        for module in model.model.layers.modules():
            if isinstance(module, torch.nn.Linear) and not module.weight.requires_grad:
                module.weight.data = module.weight.data.to(torch.bfloat16)

    def _encode(self, messages: Sequence[Mapping[str, str]]) -> tuple[list[int], list[int]]:
        asked = self.tokenizer.apply_chat_template(messages[:-1], tokenize=False, add_generation_prompt=True)
        prompt = self.tokenizer(asked, add_special_tokens=False)["input_ids"]
        reply = self.tokenizer(messages[-1]["content"] + "<|im_end|>", add_special_tokens=False)["input_ids"]
        tokens = prompt + reply
        return tokens[:-1], ([-100] * len(prompt) + reply)[1:]

    def _precision(self) -> Any:
        """Half precision is 2.7 times as fast on processors that have it, and slower on the others."""
        return self._torch.autocast("cpu", self._torch.bfloat16, enabled=self.fast)
