"""Training steps, one after the other; what is done between them is the caller's business."""

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from gonio.base.errors import GonioError
from gonio.data import Images, to_float
from gonio.train.config import TrainConfig
from gonio.train.mixup import Batch, mixed
from gonio.train.optimise import learning_rate
from gonio.train.order import Order
from gonio.train.state import TrainState


class DivergedError(GonioError):
    """A loss or gradient that is not finite; the weights are those before the step."""


@dataclass(frozen=True)
class Metrics:
    """What a step saw in its batch, before it changed the weights.

    Attributes:
        step: steps taken, this one included.
        epoch: pass over the images, from 1.
        loss: mean over the batch, in nats.
        accuracy: share of the batch whose own class has the largest cosine of all; without class
            weights, whose nearest other image is of its identity.
        angle_degrees: mean angle to the own class, or to the nearest other image of its identity.
        learning_rate: of this step.
        gradient_norm: of all parameters together, before it was cut; but for those that move in
            backward.
    """

    step: int
    epoch: int
    loss: float
    accuracy: float
    angle_degrees: float
    learning_rate: float
    gradient_norm: float


def order_of(config: TrainConfig, images: Images) -> Order:
    """Which images each step of a run sees."""
    optimise = config.optimise
    return Order(images.labels, optimise.batch_size, optimise.per_identity, config.seed)


def training_steps(
    state: TrainState, images: Images, config: TrainConfig
) -> Iterator[Metrics | None]:
    """Take the steps that are left, one for each item; `log_every` says which are measured.

    Raises:
        DivergedError: a loss or gradient that is not finite; that step changes no weight but those
            that move in backward.
    """
    optimise, order = config.optimise, order_of(config, images)
    if order.incomplete:
        warnings.warn(
            f"optimise.per_identity: {order.incomplete} of {len(images.names)} identities have fewer "
            f"than {order.per_identity} images, so that an image is paired with itself; lower it, or "
            "leave these identities out",
            stacklevel=2,
        )
    total = optimise.epochs * order.per_epoch
    device = state.head.step.device
    moves_itself = state.head.weight if state.head.is_attached else None
    others = [one for one in state.model.parameters() if one is not moves_itself]
    state.model.train()
    for chosen in islice(order.since(state.step), total - state.step):
        pixels = to_float(images.read(chosen.tolist()).to(device))
        batch = mixed(pixels, images.labels[chosen].to(device), config, state.step)
        rate = learning_rate(state.step, total, optimise)
        for group in state.optimizer.param_groups:
            group["lr"] = rate
        number = state.step + 1
        is_logged = number % config.log_every == 0 or number == total
        loss, measured = _backward(state, batch, chosen, is_measured=is_logged)
        norm = clip_grad_norm_(others, optimise.max_grad_norm)
        if not bool(norm.isfinite()):
            raise _diverged(state, chosen, f"gradient: its norm is {float(norm)}")
        metrics = None
        if measured is not None:
            right, angle = measured
            metrics = Metrics(
                step=number,
                epoch=state.step // order.per_epoch + 1,
                loss=float(loss),
                accuracy=float(right.float().mean()),
                angle_degrees=math.degrees(float(angle.mean())),
                learning_rate=rate,
                gradient_norm=float(norm),
            )
        state.optimizer.step()
        state.step = number
        yield metrics


def _backward(
    state: TrainState, batch: Batch, chosen: Tensor, *, is_measured: bool
) -> tuple[Tensor, tuple[Tensor, Tensor] | None]:
    """Leave the gradients of a batch on the parameters; its loss, and how it stood before."""
    state.optimizer.zero_grad()
    embeddings = state.backbone(batch.pixels)
    try:
        measured = state.head.measure(embeddings.detach(), batch.own) if is_measured else None
        loss: Tensor = state.head(embeddings, batch.labels, label_mass=batch.mass)
    except ValueError as error:
        raise _diverged(state, chosen, str(error)) from error
    loss.backward()  # type: ignore[no-untyped-call]
    return loss.detach(), measured


def _diverged(state: TrainState, chosen: Tensor, cause: str) -> DivergedError:
    which = "all weights but those of the classes" if state.head.is_attached else "the weights"
    return DivergedError(
        f"step {state.step + 1}: {cause}; {which} are as before that step; a lower optimise.lr "
        f"may help; the batch holds the training images {', '.join(map(str, chosen.tolist()))}"
    )
