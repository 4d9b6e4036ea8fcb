"""Is a loss what it says: a contract for any `loss(embeddings, labels)`, ours or a stranger's.

subject = imported("package.module:Class", {})      # or of_loss("mine", gonio.losses.arcface())
verdict = examine(subject, CHECKS["gradient is the derivative"], Sizes(7, 5))
"""

from gonio.conformance.batch import Batch, Sizes
from gonio.conformance.examine import CHECKS, examine
from gonio.conformance.find import imported, of_loss
from gonio.conformance.report import inputs, to_dict, verdict_table
from gonio.conformance.subject import Subject
from gonio.conformance.verdict import Verdict

__all__ = [
    "CHECKS",
    "Batch",
    "Sizes",
    "Subject",
    "Verdict",
    "examine",
    "imported",
    "inputs",
    "of_loss",
    "to_dict",
    "verdict_table",
]
