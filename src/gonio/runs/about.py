"""What a run is: its settings and its data, from which its numbers follow, and what computes them."""

import platform
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import torch

from gonio.data import Fingerprint

PACKAGES = ("gonio", "torch", "numpy", "safetensors", "pillow")


@dataclass(frozen=True)
class Facts:
    """What the numbers of a run follow from.

    Attributes:
        settings: every one, section by section, as plain values.
        data: all images, those kept apart too.
    """

    settings: dict[str, Any]
    data: Fingerprint


@dataclass(frozen=True)
class Environment:
    """What computes; the same numbers to the last digit are promised only where it is the same."""

    python: str
    platform: str
    packages: dict[str, Any]
    device: str
    threads: int

    @classmethod
    def here(cls, device: torch.device) -> "Environment":
        """That of this process."""
        return cls(
            python=platform.python_version(),
            platform=platform.platform(),
            packages={name: version(name) for name in PACKAGES},
            device=str(device),
            threads=torch.get_num_threads(),
        )

    def differences(self, before: "Environment") -> list[str]:
        """What of it may move the last digits of numbers, such as ["threads (2 now, 4 before)"]."""
        now, then = (
            one.packages | {"device": one.device, "threads": one.threads} for one in (self, before)
        )
        return [
            f"{name} ({now[name]} now, {then.get(name)} before)"
            for name in now
            if now[name] != then.get(name)
        ]


@dataclass(frozen=True)
class About:
    """What a run is.

    Attributes:
        run: its settings and data.
        steps: to its end.
        environment: that it was last begun or gone on with in.
    """

    run: Facts
    steps: int
    environment: Environment
