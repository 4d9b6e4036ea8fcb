"""What is checked: any loss, made anew for every input and called as `loss(embeddings, labels)`."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
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
    bias: str = ""
    """The number of each class that is added to its score; "" where there is none."""
    others: tuple[tuple[str, int], ...] = ()
    """What else is kept for each class, and along which axis: learned margins, counts, centres."""

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
                bias, others = "", []
                for other, tensor in _tensors(module).items():
                    if other.endswith("bias") and tensor.shape == (classes,):
                        bias = other
                    elif other != name and classes in tensor.shape:
                        others.append((other, tensor.shape.index(classes)))
                return cls(name, centers, shape == (dim, rows), bias, tuple(others))
        return None

    @torch.no_grad()
    def fill(self, module: nn.Module, batch: Batch) -> None:
        """Put the weights and the bias of a batch into the module, and its classes into their order."""
        tensors, rows = _tensors(module), batch.weight.flatten(0, 1)
        weight = tensors[self.parameter]
        weight.copy_((rows.T if self.is_transposed else rows).reshape(weight.shape))
        if self.bias:
            tensors[self.bias].copy_(batch.bias)
        for name, axis in self.others:
            tensors[name].copy_(tensors[name].index_select(axis, batch.order))


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    """All that a module learns or keeps."""
    return dict(module.named_parameters()) | dict(module.named_buffers())


class Result(NamedTuple):
    """What a loss gives for a batch."""

    value: Tensor
    """() or (batch,)."""
    gradients: dict[str, Tensor]
    """Of the sum of `value`, in "embeddings" and in every parameter; zeros where there is none."""

    def named(self) -> dict[str, Tensor]:
        """All of it in float64, by names for a reader."""
        gradients = {f"gradient of {name}": one.double() for name, one in self.gradients.items()}
        return {"loss": self.value.double()} | gradients


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
    fewest: int = 1
    """Samples in a batch: 2 where it refuses one alone."""
    precisions: tuple[torch.dtype, ...] = (torch.float64, torch.float32)
    """In which it is asked to be finite; the first, in which all else is asked."""
    reference: "Subject | None" = None
    """The same loss by the reference engine, where it has more than one."""
    claim: "Subject | None" = None
    """The loss whose formula it says it computes."""
    claimed_to: float = 1e-6
    """How closely, relative to 1 + loss."""

    def batch(self, sizes: Sizes) -> Batch:
        """Random inputs."""
        made = random_batch(sizes, 1 if self.layout is None else self.layout.centers)
        return made.to(self.precisions[0])

    def at(self, batch: Batch) -> nn.Module:
        """The loss in evaluation mode, with the class weights of a batch."""
        with isolated(), _default_dtype(batch.master):
            module = self.make(batch.sizes).to(batch.master).eval()
        if self.layout is not None:
            self.layout.fill(module, batch)
        return module

    def losses(self, batch: Batch) -> Tensor:
        """(batch,): the loss of each sample alone, or beside itself where it refuses a batch of one."""
        rows = range(len(batch.labels))
        return torch.stack([self.value(batch.rows(*[row] * self.fewest)) for row in rows])

    @torch.no_grad()
    def value(self, batch: Batch) -> Tensor:
        """(): the summed loss of a batch, by a module that was not called before."""
        return call(self.at(batch), batch.embeddings.to(batch.dtype), batch.labels).sum().double()

    @torch.no_grad()
    def mean(self, batch: Batch) -> Tensor:
        """The loss of a batch."""
        return call(self.at(batch), batch.embeddings, batch.labels).mean()

    def run(self, batch: Batch) -> Result:
        """The loss of a batch and its gradients."""
        return evaluate(self.at(batch), batch)

    def claims(self, claim: "Subject", to: float = 1e-6) -> "Subject":
        """The same loss, which says that it computes the formula of another.

        Args:
            claim: the other.
            to: how closely, relative to 1 + loss.

        Raises:
            ConfigError: their class weights do not have the same form.
        """
        ours, theirs = (one.layout and one.layout.centers for one in (claim, self))
        if ours != theirs:
            raise ConfigError(
                f"--as {claim.name}: that loss has {ours or 'no'} weights for each class, "
                f"{self.name} has {theirs or 'none'}; compare it with another"
            )
        return replace(self, claim=claim, claimed_to=to, meets=self.meets or claim.meets)


def call(loss: Callable[..., Tensor], embeddings: Tensor, labels: Tensor) -> Tensor:
    """The loss, with the same random numbers on every call, and quietly."""
    with isolated():
        return loss(embeddings, labels)


def evaluate(module: nn.Module, batch: Batch) -> Result:
    """The loss of a batch and its gradients."""
    embeddings = batch.embeddings.to(batch.dtype, copy=True).requires_grad_()
    value = call(module, embeddings, batch.labels)
    learned = {"embeddings": embeddings} | dict(module.named_parameters())
    module.zero_grad()
    if value.requires_grad:
        with isolated():
            value.sum().backward()  # type: ignore[no-untyped-call]
    gradients = {
        name: torch.zeros_like(one) if one.grad is None else one.grad.clone()
        for name, one in learned.items()
    }
    return Result(value.detach(), gradients)


@contextmanager
def isolated() -> Iterator[None]:
    """The same random numbers each time, torch's own generator untouched, and nothing printed."""
    with torch.random.fork_rng(devices=[]), redirect_stdout(io.StringIO()):
        torch.default_generator.manual_seed(0)
        yield


@contextmanager
def _default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """Numbers that a loss learns or keeps start with all digits of `dtype`."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
