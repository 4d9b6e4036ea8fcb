"""What a loss is held to: one question, written once, and what its answer depends on."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from gonio.contract.batch import Batch
from gonio.contract.subject import Subject
from gonio.contract.verdict import Verdict

Need = Literal["formula", "engine", "dtype", "tracing"]
"""What changes an answer: the formula that is claimed, the engine that folds the negatives, the dtype
of the embeddings, or torch's tracer."""


@dataclass(frozen=True)
class Point:
    """One point of the contract."""

    name: str
    check: Callable[[Subject, Batch], Verdict]
    depends_on: frozenset[Need] = frozenset()
    """It is asked once for each of these, and of nothing else."""
