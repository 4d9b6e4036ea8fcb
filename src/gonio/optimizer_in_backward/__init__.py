"""Class weights that move inside backward, tile by tile, so that their gradient never exists.

A `Mover` is what `head.attach_optimizer` makes. Each forward pass has a `Pass`, which a backend hands the
gradient to, and each backward pass that reaches the weight a `Step`. Classes that were not drawn wait as
`LazyRows`. While they wait or a step is under way, a `Guard` stands before the weight.
"""

from gonio.optimizer_in_backward.attachable import Attachable
from gonio.optimizer_in_backward.guard import past_guards
from gonio.optimizer_in_backward.mover import Mover

__all__ = ["Attachable", "Mover", "past_guards"]
