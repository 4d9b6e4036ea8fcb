"""Is a loss what it says: a contract for any `loss(embeddings, labels)`, ours or a stranger's.

subject = imported("package.module:Class", {})      # or of_loss("mine", gonio.losses.arcface())
verdict = examine(subject, POINTS["gradient is the derivative"], Sizes(7, 5))
"""

from gonio.contract.batch import Batch, Sizes
from gonio.contract.examine import examine
from gonio.contract.find import PRIMES, imported, of_loss
from gonio.contract.point import Point
from gonio.contract.points import POINTS
from gonio.contract.report import inputs, to_dict, verdict_table
from gonio.contract.subject import Layout, Subject
from gonio.contract.verdict import Verdict

__all__ = [
    "POINTS",
    "PRIMES",
    "Batch",
    "Layout",
    "Point",
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
