"""Class weights that move inside backward, tile by tile, so that their gradient never exists.

An `Attachment` is what `head.attach_optimizer` makes. Each forward pass has a `Pass`, which a backend
hands the gradient to, and each backward pass that reaches the weight a `Move`. Classes that were not drawn
wait as `LazyRows`.
"""

from gonio.optimizer_in_backward.attachable import Attachable
from gonio.optimizer_in_backward.attachment import Attachment

__all__ = ["Attachable", "Attachment"]
