"""What a checkpoint of a head says of the head: its loss, and every setting that shapes what it keeps."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass

import torch
from torch import Tensor

from gonio.loss import Loss
from gonio.rules.state import State

SHORT = 8
"""Numbers of a setting up to which they are written out; of more, a digest."""


@dataclass(frozen=True)
class Fingerprint:
    """Setting -> text. Equal texts are equal settings."""

    settings: dict[str, str]

    @classmethod
    def of(
        cls, loss: Loss, states: Mapping[str, State], class_weight: Tensor | None
    ) -> "Fingerprint":
        """That of a loss, of the numbers that its states begin with, and of the weights of classes."""
        parts = {f"loss.{one.name}": _text(getattr(loss, one.name)) for one in fields(loss)}
        given = {name: one.start for name, one in states.items() if isinstance(one.start, Tensor)}
        numbers = {name: _text(tuple(start.double().tolist())) for name, start in given.items()}
        weights = None if class_weight is None else tuple(class_weight.double().tolist())
        return cls(parts | numbers | {"class_weight": _text(weights)})

    def differences(self, other: "Fingerprint") -> list[str]:
        """A sentence for each setting in which a checkpoint differs."""
        names = sorted({*self.settings, *other.settings})
        return [
            f"{name}: the checkpoint has {other.settings.get(name, 'nothing')}, this head "
            f"{self.settings.get(name, 'nothing')}; build the head as it was, or pass strict=False"
            for name in names
            if self.settings.get(name) != other.settings.get(name)
        ]

    def as_tensor(self) -> Tensor:
        """(bytes,) uint8, which every format of tensors can hold."""
        text = json.dumps(self.settings, sort_keys=True).encode()
        return torch.frombuffer(bytearray(text), dtype=torch.uint8)

    @classmethod
    def from_tensor(cls, tensor: Tensor) -> "Fingerprint":
        """Read it back; what is no fingerprint differs from every head."""
        try:
            found = json.loads(bytes(tensor.cpu().tolist()))
        except ValueError:
            return cls({"fingerprint": "what cannot be read"})
        return cls({str(name): str(text) for name, text in dict(found).items()})


def _text(part: object) -> str:
    """A part with all its settings; a long list of numbers by its digest."""
    if is_dataclass(part) and not isinstance(part, type):
        inner = ", ".join(f"{one.name}={_text(getattr(part, one.name))}" for one in fields(part))
        return f"{type(part).__name__}({inner})"
    if isinstance(part, tuple):
        if len(part) > SHORT:
            return f"{len(part)} numbers {hashlib.sha256(repr(part).encode()).hexdigest()[:12]}"
        return f"({', '.join(map(_text, part))})"
    return repr(part)
