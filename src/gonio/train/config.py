"""Every setting of a training run, typed, with its unit."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from gonio.base.errors import ConfigError
from gonio.settings import BackendConfig, LossConfig, check_path, fitted, plain


@dataclass(frozen=True)
class DataConfig:
    """What is trained on, and what is kept apart.

    Args:
        source: "glyphs", "digits", or the path of a folder with a sub-folder for each identity.
        size: height and width of the images in pixels, in [8, 65535].
        channels: 1 for grey, 3 for RGB.
        unseen: share of the identities that is not trained on but evaluated, in [0, 1).
        split_seed: chooses them, in [0, 2^63).
        max_bad_fraction: share of unreadable files that a folder may have, in [0, 1].

    Raises:
        ConfigError: a number outside its range.
    """

    source: str = "glyphs"
    size: int = 32
    channels: Literal[1, 3] = 1
    unseen: float = 0.25
    split_seed: int = 0
    max_bad_fraction: float = 0.01

    def __post_init__(self) -> None:
        _require(self.source != "", "data.source", self.source, "a name or a path")
        check_path("data.source", self.source)
        _require(8 <= self.size <= 65_535, "data.size", self.size, "in [8, 65535] pixels")
        _require(0 <= self.unseen < 1, "data.unseen", self.unseen, "in [0, 1)")
        _require(0 <= self.split_seed < 2**63, "data.split_seed", self.split_seed, "in [0, 2^63)")
        fraction = self.max_bad_fraction
        _require(0 <= fraction <= 1, "data.max_bad_fraction", fraction, "in [0, 1]")


@dataclass(frozen=True)
class ModelConfig:
    """What turns an image into an embedding.

    Args:
        backbone: name of the network.
        embedding_dim: dimension of the embeddings, in [1, 65535].

    Raises:
        ConfigError: a number outside its range.
    """

    backbone: str = "small"
    embedding_dim: int = 128

    def __post_init__(self) -> None:
        dim = self.embedding_dim
        _require(1 <= dim <= 65_535, "model.embedding_dim", dim, "in [1, 65535]")


@dataclass(frozen=True)
class TargetsConfig:
    """What the loss is to learn of each image, beside its identity.

    Args:
        label_smoothing: share of each label that is spread evenly over all identities, in [0, 1);
            for losses that are a cross-entropy.
        class_weights: "equal", or "balanced" to weigh each of the N images by N / (C n), n the number
            of images of its identity and C that of identities.
        mixup: alpha >= 0; above 0, each image is mixed with another one of its batch, and so are their
            labels, in the proportion lambda : 1 - lambda, lambda from Beta(alpha, alpha) at each step.

    Raises:
        ConfigError: a number outside its range.
    """

    label_smoothing: float = 0.0
    class_weights: Literal["equal", "balanced"] = "equal"
    mixup: float = 0.0

    def __post_init__(self) -> None:
        smoothing = self.label_smoothing
        _require(0 <= smoothing < 1, "targets.label_smoothing", smoothing, "in [0, 1)")
        _require(0 <= self.mixup < float("inf"), "targets.mixup", self.mixup, "finite and >= 0")


@dataclass(frozen=True)
class OptimiseConfig:
    """Stochastic gradient descent with momentum, the same for every loss.

    Args:
        epochs: passes over the training images, in [1, 10^9].
        batch_size: images in a step at most, in [2, 2^20]; the batches of an epoch are equal but for a
            group of `per_identity` images, and have one group more where it would be left alone.
        per_identity: images of an identity that are drawn together, >= 1 and at most half of
            `batch_size`; an identity whose images do not divide by it shows some of them again.
        lr: learning rate at its highest, > 0.
        momentum: in [0, 1).
        weight_decay: L2 penalty per step of weights with two dimensions or more, >= 0.
        warmup: share of all steps in which the learning rate rises linearly, in [0, 1); in the
            others it falls to 0 along a half cosine.
        max_grad_norm: length to which the gradient of all parameters together is cut, > 0.
        in_backward: whether the class weights move inside backward, a tile at a time, so that their
            gradient is never stored; it is then not cut either.

    Raises:
        ConfigError: a number outside its range.
    """

    epochs: int = 12
    batch_size: int = 128
    per_identity: int = 1
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-3
    warmup: float = 0.1
    max_grad_norm: float = 5.0
    in_backward: bool = False

    def __post_init__(self) -> None:
        _require(1 <= self.epochs <= 10**9, "optimise.epochs", self.epochs, "in [1, 10^9]")
        size = self.batch_size
        _require(2 <= size <= 2**20, "optimise.batch_size", size, "in [2, 2^20]")
        together = self.per_identity
        allowed = ">= 1 and at most half of optimise.batch_size"
        is_so = 1 <= together <= self.batch_size // 2
        _require(is_so, "optimise.per_identity", together, allowed)
        _require(0 < self.lr < float("inf"), "optimise.lr", self.lr, "finite and > 0")
        _require(0 <= self.momentum < 1, "optimise.momentum", self.momentum, "in [0, 1)")
        decay, norm = self.weight_decay, self.max_grad_norm
        _require(0 <= decay < float("inf"), "optimise.weight_decay", decay, "finite and >= 0")
        _require(0 <= self.warmup < 1, "optimise.warmup", self.warmup, "in [0, 1)")
        _require(0 < norm < float("inf"), "optimise.max_grad_norm", norm, "finite and > 0")


@dataclass(frozen=True)
class TrainConfig:
    """A training run.

    Args:
        data: what is trained on.
        model: the backbone.
        loss: which loss; another one than the file's leaves the file's settings of it out; see
            gonio losses.
        backend: what the loss over all classes is computed with.
        targets: what it is given beside the identities.
        optimise: the optimizer and its schedule.
        seed: of the first weights and the order of the images, in [0, 2^63).
        device: "cuda", "cpu", or "auto" for cuda where there is one.
        out: folder of the run, `~` being the home folder; by default the next free `runs/<data>-<loss>-<number>`.
        checkpoint_every: steps between two checkpoints, >= 1; the last step always has one.
        log_every: steps between two lines of metrics, >= 1; the last step always has one.

    Raises:
        ConfigError: a number outside its range.
    """

    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    loss: LossConfig = field(default_factory=lambda: LossConfig("arcface"))
    backend: BackendConfig = field(default_factory=lambda: BackendConfig("auto"))
    targets: TargetsConfig = field(default_factory=TargetsConfig)
    optimise: OptimiseConfig = field(default_factory=OptimiseConfig)
    seed: int = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    out: str | None = None
    checkpoint_every: int = 200
    log_every: int = 10

    def __post_init__(self) -> None:
        _require(0 <= self.seed < 2**63, "seed", self.seed, "in [0, 2^63)")
        _require(self.out != "", "out", self.out, "the path of a folder")
        if self.out is not None:
            check_path("out", self.out)
            object.__setattr__(self, "out", os.path.expanduser(self.out))
        _require(self.checkpoint_every >= 1, "checkpoint_every", self.checkpoint_every, ">= 1")
        _require(self.log_every >= 1, "log_every", self.log_every, ">= 1")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, section by section, as a YAML file has them."""
        found: dict[str, Any] = plain(self)
        return found

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "TrainConfig":
        """The inverse of `to_dict`; what is not given has its default.

        Raises:
            ConfigError: an unknown setting, or a value that cannot be used.
        """
        config: TrainConfig = fitted(values, cls, "")
        return config


def dotted(sections: Mapping[str, Any]) -> dict[str, Any]:
    """Sections of settings -> each setting by a name such as `optimise.lr`."""
    flat: dict[str, Any] = {}
    for section, value in sections.items():
        if isinstance(value, dict):
            flat |= {f"{section}.{name}": one for name, one in value.items()}
        else:
            flat[str(section)] = value
    return flat


def _require(is_so: bool, name: str, got: object, allowed: str) -> None:
    if not is_so:
        raise ConfigError(f"{name}: got {got!r}; it must be {allowed}")
