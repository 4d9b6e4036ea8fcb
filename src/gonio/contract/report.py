"""Verdicts for a person and for a program."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from gonio.contract.batch import Batch
from gonio.contract.subject import Subject
from gonio.contract.verdict import Verdict

ROUNDED: dict[torch.dtype, type[np.floating[Any]]] = {
    torch.float64: np.float64,
    torch.float32: np.float32,
    torch.float16: np.float16,
    torch.bfloat16: np.float32,
}
STYLES = {"pass": "green", "fail": "bold red", "not applicable": "dim"}


def verdict_table(subject: Subject, verdicts: Mapping[str, Verdict]) -> Table:
    """One row for each point."""
    table = Table(title=Text(_title(subject)), title_justify="left", box=SIMPLE_HEAD)
    table.add_column("point", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("number", justify="right")
    table.add_column("of what", overflow="fold")
    for check, verdict in verdicts.items():
        number = "-" if verdict.number is None else f"{verdict.number:.3g}"
        status = Text(verdict.status, STYLES[verdict.status])
        table.add_row(check, status, number, Text(" ".join(verdict.what.split())))
    return table


def inputs(subject: Subject, verdicts: Mapping[str, Verdict]) -> str:
    """The smallest input of every failure, as Python that can be pasted."""
    lines = []
    for check, verdict in verdicts.items():
        if verdict.smallest is not None:
            lines.append(f"{check} fails for")
            lines += [f"    {line}" for line in _python(subject, verdict.smallest)]
    return "\n".join(lines)


def to_dict(subject: Subject, verdicts: Mapping[str, Verdict]) -> dict[str, Any]:
    """Everything as plain values; a number that is not finite is null."""
    return {
        check: {
            "status": verdict.status,
            "number": verdict.number if math.isfinite(verdict.number or 0) else None,
            "what": verdict.what,
            "smallest": verdict.smallest and _plain(subject, verdict.smallest),
        }
        for check, verdict in verdicts.items()
    }


def _title(subject: Subject) -> str:
    claim = subject.claim
    if claim is None or claim.name == subject.name:
        return subject.name
    return f"{subject.name} as {claim.name}"


def _python(subject: Subject, batch: Batch) -> Iterator[str]:
    master = f", dtype={batch.master}"
    dtypes = {"embeddings": f", dtype={batch.dtype}", "weight": master, "bias": master}
    for name, values in _plain(subject, batch).items():
        if isinstance(values, list):
            yield f"{name} = torch.tensor({values}{dtypes.get(name, '')})"


def _plain(subject: Subject, batch: Batch) -> dict[str, Any]:
    plain = {
        "dtype": str(batch.dtype).removeprefix("torch."),
        "embeddings": _numbers(batch.embeddings.tolist(), batch.dtype),
        "labels": batch.labels.tolist(),
    }
    if subject.layout is not None:
        weight = batch.weight if subject.layout.centers > 1 else batch.weight[:, 0]
        plain["weight"] = _numbers(weight.tolist(), batch.master)
        if subject.layout.bias:
            plain["bias"] = _numbers(batch.bias.tolist(), batch.master)
    return plain


def _numbers(values: Any, dtype: torch.dtype) -> Any:
    """Nested lists of numbers, with as few digits as make the same number of this dtype."""
    if isinstance(values, list):
        return [_numbers(value, dtype) for value in values]
    return float(str(ROUNDED[dtype](values)))
