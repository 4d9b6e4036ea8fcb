"""What a head accepts as its loss, and as another one in its place."""

from gonio import losses
from gonio.loss import Loss
from gonio.rules.state import Sizes, states


def as_loss(loss: str | Loss, num_classes: int) -> Loss:
    """A name of the table or a loss -> the loss, bound to the number of classes.

    Raises:
        TypeError: neither.
        ValueError: an unknown name.
    """
    if isinstance(loss, str):
        loss = losses.get(loss).loss()
    if not isinstance(loss, Loss):
        raise TypeError(
            f"loss: {loss!r} is neither a name nor a Loss; call a row, as in losses.arcface()"
        )
    return loss.bind(num_classes)


def check_exchange(old: Loss, new: Loss, sizes: Sizes, *, is_attached: bool) -> None:
    """Refuse what cannot take the place of a loss, because optimizers have what the head learns.

    Raises:
        ValueError: another weight, other learned numbers, or an attached optimizer.
    """
    if is_attached:
        raise ValueError(
            "loss: an optimizer is attached, which was checked against the old one; call "
            "head.detach_optimizer() first, and attach it again"
        )
    shapes = [one.weight_shape(sizes.num_classes, sizes.embedding_dim) for one in (old, new)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"loss: {new} needs a weight of shape {shapes[1]}, and this Head has {shapes[0]}; build "
            "a new Head with it"
        )
    learned = [
        {name: one.shape for name, one in states(loss, sizes).items() if one.is_learned}
        for loss in (old, new)
    ]
    if learned[0] != learned[1]:
        raise ValueError(
            f"loss: {new} learns {sorted(learned[1]) or 'nothing'} beside the weight, and this Head "
            f"{sorted(learned[0]) or 'nothing'}; build a new Head with it"
        )
