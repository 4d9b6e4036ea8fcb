"""Does torch.compile take the loss whole?"""

import contextlib
import logging
import warnings
from collections.abc import Iterator

import torch
import torch._dynamo
from torch._dynamo.utils import counters

from gonio.contract.batch import Batch
from gonio.contract.subject import Subject, call
from gonio.contract.verdict import Verdict, at_most

WANTED = "`torch.compiler.disable()`d function"


def compiles_whole(subject: Subject, batch: Batch) -> Verdict:
    """One graph: no break but those that the loss asks for itself, by `torch.compiler.disable`.

    The eager backend is used, so that no compiler is needed.
    """
    module = subject.at(batch)
    with _counted() as breaks:
        call(torch.compile(module, backend="eager"), batch.embeddings, batch.labels)
        found = {reason.strip().splitlines()[0]: number for reason, number in breaks.items()}
    wanted = sum(found.pop(reason) for reason in list(found) if reason.endswith(WANTED))
    beside = f" (and {wanted} asked for by torch.compiler.disable)" if wanted else ""
    reasons = "".join(f"; {reason}" for reason in found)
    return at_most(0, sum(found.values()), f"breaks of the graph{beside}{reasons}", batch)


@contextlib.contextmanager
def _counted() -> Iterator[dict[str, int]]:
    """Torch's own count of breaks by their reasons; what it warns and logs of itself is kept quiet."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    torch._dynamo.reset()
    counters.clear()
    try:
        with warnings.catch_warnings(action="ignore"):
            yield counters["graph_break"]
    finally:
        torch._dynamo.reset()
        logging.disable(before)
