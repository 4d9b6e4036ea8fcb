"""From a name on the command line to a `Subject`."""

import contextlib
import functools
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from gonio.base import importing
from gonio.base.checks import describe
from gonio.base.errors import ConfigError
from gonio.contract.batch import Sizes
from gonio.contract.function import Function, MakeFunction, order_of
from gonio.contract.labels import IGNORED
from gonio.contract.signature import Signature
from gonio.contract.subject import Layout, Subject, call, own_randomness
from gonio.head import Head
from gonio.loss import Loss

PRIMES = Sizes(num_classes=13, embedding_dim=11)
"""Sizes by which the axes of a weight are told apart."""


def of_loss(name: str, loss: Loss, backend: str = "auto") -> Subject:
    """A head with a loss of ours, for classes of the same size."""

    def make(sizes: Sizes, ignore_index: int | None = None) -> Head:
        return Head(
            sizes.embedding_dim,
            sizes.num_classes,
            loss,
            backend=backend,
            ignore_index=ignore_index,
            class_counts=torch.full((sizes.num_classes,), 10),
        )

    ignoring = functools.partial(make, ignore_index=IGNORED)
    with own_randomness():
        layout = Layout.of(make(PRIMES), PRIMES)
    return Subject(
        name,
        make,
        layout,
        ignoring,
        is_detached=loss.is_detached,
        meets=loss.is_batchwise,
    )


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
    attribute = importing.imported(name)
    if isinstance(attribute, Loss):
        return of_loss(name, attribute)
    if isinstance(attribute, nn.Module) or not callable(attribute):
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
        with own_randomness():
            made = make(PRIMES)
    except Exception as error:
        raise ConfigError(f"{name}: it cannot be made: {importing.said(error)}") from error
    if isinstance(made, Loss):
        return of_loss(name, made)
    if not isinstance(made, nn.Module):
        return _of_function(name, make, Signature(made, name).missing(()))
    takes_it = "ignore_index" in signature.parameters
    ignoring = functools.partial(make, ignore_index=IGNORED) if takes_it else None
    layout = Layout.of(made, PRIMES)
    is_detached = signature.says("gradient", settings) == "detached"
    subject = Subject(name, make, layout, ignoring, is_detached, meets=layout is None)
    _try(subject)
    return subject


def _of_function(name: str, make: MakeFunction, parameters: Sequence[str]) -> Subject:
    """A function of two or three tensors; a weight is (classes, dim), or (dim, classes)."""
    if len(parameters) not in (2, 3):
        raise ConfigError(
            f"{name}: it takes {', '.join(parameters) or 'nothing'}; a loss takes embeddings and "
            "labels, or embeddings, weight and labels"
        )
    order = order_of(parameters)
    if len(parameters) == 2:
        alone = Subject(name, lambda sizes: Function(make(sizes), order), None, meets=True)
        _try(alone)
        return alone
    rows_first = Subject(
        name, lambda sizes: Function(make(sizes), order, sizes), Layout("weight", 1, False)
    )
    columns_first = replace(
        rows_first,
        make=lambda sizes: Function(make(sizes), order, sizes[::-1]),
        layout=Layout("weight", 1, True),
    )
    try:
        _try(rows_first)
    except ConfigError:
        with contextlib.suppress(ConfigError):
            _try(columns_first)
            return columns_first
        raise
    return rows_first


def _try(subject: Subject) -> None:
    """Call it once.

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
