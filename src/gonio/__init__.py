"""gonio: softmax-based losses with margins. `Head` is the door, `losses` the table."""

from gonio import losses
from gonio.equation import Loss
from gonio.head import Head
from gonio.rules import Annealing, Learned, Ramp

__all__ = ["Annealing", "Head", "Learned", "Loss", "Ramp", "losses"]
