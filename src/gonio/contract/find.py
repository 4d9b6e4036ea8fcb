"""From a name on the command line to a `Subject`."""

import contextlib
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from gonio.base import importing
from gonio.base.checks import describe
from gonio.base.errors import ConfigError
from gonio.contract.batch import Sizes
from gonio.contract.function import Function, MakeFunction, order_of
from gonio.contract.points.labels import IGNORED
from gonio.contract.signature import Signature
from gonio.contract.subject import Layout, Subject, call, isolated
from gonio.head import Head
from gonio.loss import Loss

PRIMES = Sizes(num_classes=13, embedding_dim=11)
"""Sizes by which the axes of a weight are told apart."""


def _even(num_classes: int) -> Tensor:
    return torch.full((num_classes,), 10)


def of_loss(
    name: str,
    loss: Loss,
    backend: Any = "auto",
    class_counts: Callable[[int], Tensor] = _even,
) -> Subject:
    """A head with a loss of ours.

    Args:
        name: for the reader.
        loss: from `gonio.losses`, or of one's own.
        backend: an engine, as `Head` takes it.
        class_counts: the number of classes -> (classes,) training samples of each.
    """

    def make(sizes: Sizes, ignore_index: int | None = None) -> Head:
        return Head(
            sizes.embedding_dim,
            sizes.num_classes,
            loss,
            backend=backend,
            ignore_index=ignore_index,
            class_counts=class_counts(sizes.num_classes),
        )

    ignoring = functools.partial(make, ignore_index=IGNORED)
    with isolated():
        layout = Layout.of(make(PRIMES), PRIMES)
    by_engine = Subject(
        name,
        make,
        layout,
        ignoring,
        is_detached=loss.is_detached,
        meets=loss.is_batchwise,
        precisions=(torch.float64, torch.float32, torch.bfloat16, torch.float16),
    )
    if backend == "reference":
        return by_engine
    return replace(by_engine, reference=of_loss(name, loss, "reference", class_counts))


def imported(name: str, settings: Mapping[str, Any]) -> Subject:
    """Anything that can be imported and called as a loss.

    Args:
        name: `package.module:attribute`. The attribute is a class or a function that makes a loss (a
            `Loss` of ours, a module, or a function), or a function that is one: of embeddings and
            labels, or of embeddings, weight and labels.
        settings: more arguments, beside the number of classes and the dimension of embeddings.

    Raises:
        ConfigError: it cannot be imported, made or called.
    """
    with isolated():
        attribute = importing.imported(name, (name,))
    if isinstance(attribute, Loss):
        return of_loss(name, attribute)
    if not (inspect.isclass(attribute) or inspect.isfunction(attribute)):
        raise ConfigError(
            f"{name}: it is a {type(attribute).__name__}; name a class, or a function that makes one"
        )
    signature = Signature(attribute, name)
    signature.check(settings)
    missing = signature.missing(settings)
    if not inspect.isclass(attribute) and missing:
        function = functools.partial(attribute, **settings)
        return _of_function(name, lambda sizes: function, missing)
    if missing:
        raise ConfigError(
            f"{name}: it needs {', '.join(missing)}; give it by --set {missing[0]}=VALUE"
        )

    def make(sizes: Sizes, **keywords: int) -> Any:
        return attribute(**{**signature.sized(sizes), **settings, **keywords})

    try:
        with isolated():
            made = make(PRIMES)
    except (Exception, SystemExit) as error:
        raise ConfigError(f"{name}: it cannot be made: {importing.said(error)}") from error
    if isinstance(made, Loss):
        return of_loss(name, made)
    if not isinstance(made, nn.Module):
        return _of_function(name, make, Signature(made, name).missing(()))
    takes_it = "ignore_index" in signature.parameters
    ignoring = functools.partial(make, ignore_index=IGNORED) if takes_it else None
    layout = Layout.of(made, PRIMES)
    is_detached = signature.says("gradient", settings) == "detached"
    return _tried(Subject(name, make, layout, ignoring, is_detached, meets=layout is None))


def _of_function(name: str, make: MakeFunction, parameters: Sequence[str]) -> Subject:
    """A function of two or three tensors; a weight is (classes, dim), or (dim, classes)."""
    if len(parameters) not in (2, 3):
        raise ConfigError(
            f"{name}: it takes {', '.join(parameters) or 'nothing'}; a loss takes embeddings and "
            "labels, or embeddings, weight and labels"
        )
    order = order_of(parameters)
    if len(parameters) == 2:
        return _tried(Subject(name, lambda sizes: Function(make(sizes), order), None, meets=True))
    rows_first = Subject(
        name, lambda sizes: Function(make(sizes), order, sizes), Layout("weight", 1, False)
    )
    columns_first = replace(
        rows_first,
        make=lambda sizes: Function(make(sizes), order, sizes[::-1]),
        layout=Layout("weight", 1, True),
    )
    try:
        return _tried(rows_first)
    except ConfigError:
        with contextlib.suppress(ConfigError):
            return _tried(columns_first)
        raise


def _tried(subject: Subject) -> Subject:
    """Call it with a batch, then with one sample, which it may refuse.

    Raises:
        ConfigError: it fails, or does not return a loss.
    """
    batch = subject.batch(PRIMES).to(torch.float32)
    given = f"embeddings {describe(batch.embeddings.float())} and labels {describe(batch.labels)}"
    try:
        value = call(subject.at(batch), batch.embeddings.float(), batch.labels)
    except Exception as error:
        raise ConfigError(
            f"{subject.name}: it fails on {given}: {importing.said(error)}"
        ) from error
    got = describe(value) if isinstance(value, Tensor) else type(value).__name__
    if not isinstance(value, Tensor) or value.shape not in ((), batch.labels.shape):
        raise ConfigError(
            f"{subject.name}: for {given} it returns {got}; a loss returns one number, or one for "
            "each row"
        )
    try:
        call(subject.at(batch), batch.embeddings[:1].float(), batch.labels[:1])
    except Exception:
        return replace(subject, fewest=2)
    return subject
