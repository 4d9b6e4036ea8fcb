"""What every process of `test_sharded` does, and what one process with everything does."""

import torch
from torch.func import functional_call  # noqa: F401

from gonio import losses
from gonio.anchors import anchor_loss
from gonio.columns import ClassWeights, Drawn, Shard, Sharded
from gonio.engines import Chunked
from gonio.engines.workspace import Workspace
from gonio.equation import Result, margin_loss
from gonio.ranks import ALONE, Group
from gonio.rules.facts import Memory
from gonio.rules.state import Sizes, states
from gonio.targets import Targets

CLASSES, DIM, ROWS = 11, 4, 9
COUNTS = torch.arange(1, CLASSES + 1)
NAMES = [name for name in losses.names() if losses.get(name).loss().pairing.against != "batch"]
SEVERAL = ["softmax", "arcface", "mv-am-softmax", "adaface", "sub-center-arcface", "adaptiveface"]
FORMS = ["two labels", "probabilities", "smoothed", "weighed", "drawn"]
CASES = [(name, "one label") for name in NAMES] + [(n, form) for n in SEVERAL for form in FORMS]


def normal(seed, *shape):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def targets(form):
    """Of all rows."""
    labels = (torch.arange(ROWS) * 4 % CLASSES)[:, None]
    labels[-1] = labels[0]
    if form == "two labels":
        labels = torch.cat([labels, (labels + 3) % CLASSES], dim=1)
        share = normal(5, ROWS).sigmoid()
        return Targets(labels, torch.stack([share, 1 - share], dim=1), smoothing=0.1)
    if form == "probabilities":
        mass = normal(6, ROWS, CLASSES).softmax(dim=1)
        return Targets(torch.arange(CLASSES).expand(ROWS, CLASSES), mass)
    weight = normal(7, CLASSES).exp() if form == "weighed" else None
    smoothing = 0.2 if form in ("smoothed", "weighed") else 0.0
    return Targets(labels, smoothing=smoothing, class_weight=weight)


def one(name, form, ranks, shards, batches):
    """Losses, gradients and changes of the rows and the classes of a process."""
    loss = losses.get(name).loss().bind(CLASSES).at(3)
    first, size = sum(shards[: ranks.rank]), shards[ranks.rank]
    mine = slice(sum(batches[: ranks.rank]), sum(batches[: ranks.rank + 1]))
    here = slice(first, first + size)
    kept, learned = {}, {}
    for key, state in states(loss, Sizes(CLASSES, DIM, COUNTS)).items():
        whole = torch.zeros(state.shape, dtype=torch.float64)
        state.fill(whole) if state.start is not None else whole.fill_(5)
        if state.is_per_class and not state.is_learned:
            whole += 0.1 * normal(8, *state.shape).abs()
        kept[key] = whole[here].clone() if state.is_per_class else whole
        if state.is_learned:
            learned[key] = kept[key].requires_grad_()
    weight = 0.8 * normal(1, *loss.weight_shape(CLASSES, DIM))[here].clone()
    x, weight = 1.3 * normal(2, ROWS, DIM)[mine].clone(), weight.requires_grad_()
    x.requires_grad_()
    shard = Shard(first, size, CLASSES, ranks)
    memory = Memory(kept, 3, True)
    offset = loss.offset(memory)
    given = loss.score, Chunked(4), Workspace()
    if offset is not None:
        offset = offset.expand(size)
    if ranks.size == 1:
        columns = ClassWeights(weight, *given, offset)
    else:
        columns, memory = Sharded(weight, *given, shard, offset), memory._replace(classes=shard)
    if form == "drawn":
        columns = Drawn(columns, torch.arange(size), torch.full((size,), -0.3))
    everything = ranks.gather(x, batches)
    if loss.pairing.against == "anchors":
        labels = targets(form).labels[:, 0]
        result = Result(anchor_loss(everything, labels, loss, columns, memory))
    else:
        result = margin_loss(everything, targets(form), loss, columns, memory)
    own = ranks.mine(result.losses, batches)
    own.sum().backward()
    found = {"losses": own.detach(), "of x": x.grad, "of weight": weight.grad}
    none = torch.zeros_like
    sums = {
        key: none(value) if value.grad is None else value.grad for key, value in learned.items()
    }
    found |= {f"of {key}": value if value.ndim else value[None] for key, value in sums.items()}
    after = memory.after(result.changes)
    kept = {key: after.read(key).detach() for key in result.changes}
    return found | {
        f"new {key}": value if value.ndim else value[None] for key, value in kept.items()
    }


def run(given):
    """All cases, by one of several processes."""
    ranks = Group()
    return {case: one(*case, ranks, given["shards"], given["batches"]) for case in CASES}


def alone():
    """All cases, by one process."""
    return {case: one(*case, ALONE, [CLASSES], [ROWS]) for case in CASES}
