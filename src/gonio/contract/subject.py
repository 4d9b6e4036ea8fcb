"""What is checked: any loss, made anew for every input and called as `loss(embeddings, labels)`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from gonio.base.errors import ConfigError
from gonio.contract.batch import Batch, Sizes, random_batch

Make = Callable[[Sizes], nn.Module]
"""Sizes -> a loss as a module."""


class Layout(NamedTuple):
    """Where a module keeps its class weights, and how: (classes, [centers,] dim) or the transpose."""

    parameter: str
    centers: int
    is_transposed: bool

    @classmethod
    def of(cls, module: nn.Module, sizes: Sizes) -> "Layout | None":
        """The first parameter whose shape is that of class weights; None where there is none.

        Args:
            module: made for `sizes`.
            sizes: two different primes, so that a shape has one reading.
        """
        classes, dim = sizes
        for name, parameter in module.named_parameters():
            rows, shape = parameter.numel() // dim, tuple(parameter.shape)
            centers = rows // classes
            if centers * classes != rows or centers == 0:
                continue
            if shape in {(rows, dim), (classes, centers, dim), (dim, rows)}:
                return cls(name, centers, is_transposed=shape == (dim, rows))
        return None

    def fill(self, module: nn.Module, weight: Tensor) -> None:
        """Put (classes, centers, dim) weights into the module."""
        parameter, rows = module.get_parameter(self.parameter), weight.flatten(0, 1)
        with torch.no_grad():
            parameter.copy_((rows.T if self.is_transposed else rows).reshape(parameter.shape))


class Result(NamedTuple):
    """What a loss gives for a batch."""

    value: Tensor
    """() or (batch,)."""
    gradients: dict[str, Tensor]
    """Of the sum of `value`, in "embeddings" and in every parameter; zeros where there is none."""


@dataclass(frozen=True)
class Subject:
    """A loss to check."""

    name: str
    make: Make
    layout: Layout | None
    """None for a loss without class weights."""
    ignoring: Make | None = None
    """The loss that leaves out rows with the label -1, where it can be told to."""
    is_detached: bool = False
    """Whether it says that its gradient is not the derivative."""
    meets: bool = False
    """Whether the samples of a batch are meant to meet: as pairs, or when the hardest are chosen."""
    claim: "Subject | None" = None
    """The loss whose formula it says it computes."""

    def batch(self, sizes: Sizes) -> Batch:
        """Random inputs."""
        return random_batch(sizes, 1 if self.layout is None else self.layout.centers)

    def at(self, batch: Batch) -> nn.Module:
        """The loss in evaluation mode, with the class weights of a batch and no bias."""
        with own_randomness():
            module = self.make(batch.sizes).to(batch.master).eval()
        if self.layout is not None:
            self.layout.fill(module, batch.weight)
        with torch.no_grad():
            for name, parameter in module.named_parameters():
                if name.endswith("bias") and parameter.shape == batch.weight.shape[:1]:
                    parameter.zero_()
        return module

    @torch.no_grad()
    def losses(self, batch: Batch) -> Tensor:
        """(batch,): the loss of each sample alone."""
        module = self.at(batch)
        alone = [call(module, one.embeddings, one.labels).sum() for one in batch.singles()]
        return torch.stack(alone)

    @torch.no_grad()
    def mean(self, batch: Batch) -> Tensor:
        """The loss of a batch."""
        return call(self.at(batch), batch.embeddings, batch.labels).mean()

    def run(self, batch: Batch) -> Result:
        """The loss of a batch and its gradients."""
        return evaluate(self.at(batch), batch)

    def claims(self, claim: "Subject") -> "Subject":
        """The same loss, which says that it computes the formula of another.

        Raises:
            ConfigError: their class weights do not have the same form.
        """
        ours, theirs = (one.layout and one.layout.centers for one in (claim, self))
        if ours != theirs:
            raise ConfigError(
                f"--as {claim.name}: that loss has {ours or 'no'} weights for each class, "
                f"{self.name} has {theirs or 'none'}; compare it with another"
            )
        return replace(self, claim=claim, meets=self.meets or claim.meets)


def call(loss: Callable[..., Tensor], embeddings: Tensor, labels: Tensor) -> Tensor:
    """The loss, with the same random numbers on every call."""
    with own_randomness():
        return loss(embeddings, labels)


def evaluate(module: nn.Module, batch: Batch) -> Result:
    """The loss of a batch and its gradients."""
    embeddings = batch.embeddings.to(batch.dtype, copy=True).requires_grad_()
    value = call(module, embeddings, batch.labels)
    learned = {"embeddings": embeddings} | dict(module.named_parameters())
    module.zero_grad()
    if value.requires_grad:
        value.sum().backward()  # type: ignore[no-untyped-call]
    gradients = {
        name: torch.zeros_like(one) if one.grad is None else one.grad.clone()
        for name, one in learned.items()
    }
    return Result(value.detach(), gradients)


@contextmanager
def own_randomness() -> Iterator[None]:
    """The same random numbers each time, with torch's own generator untouched."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        yield
