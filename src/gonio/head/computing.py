"""What a head makes of a batch: it puts the columns together, and asks the equation."""

from dataclasses import replace

import torch

from gonio.anchors import anchor_loss
from gonio.columns import BatchColumns, ClassWeights, Columns, Drawn, Replicated
from gonio.engines import Sampled, engine_of
from gonio.engines.workspace import Workspace
from gonio.equation import Result, margin_loss
from gonio.head.agreement import LOOKS, check_agreement
from gonio.head.batch import Batch
from gonio.head.reading import Reads
from gonio.loss import Loss
from gonio.optimizer_in_backward import Attachable, past_guards
from gonio.ranks import ALONE, Ranks, present_ranks
from gonio.rules.facts import Memory
from gonio.rules.number import at_step_in_tensors


class Computes(Attachable, Reads):
    """Losses of the samples of a batch, by the loss and the backend of a head."""

    _looks = 0

    def _ranks(self, *, is_training: bool) -> Ranks:
        """The processes whose samples meet: all of them in training, where anything asks for more than one."""
        ranks = present_ranks() if is_training else ALONE
        if ranks.size > 1 and self.weight is not None and self._looks < LOOKS:
            self._looks += 1
            check_agreement(self.weight)
        return ranks if self._sees_batch else ALONE

    def _result(self, batch: Batch, ranks: Ranks, *, is_training: bool) -> Result:
        """Of a batch that has been gathered."""
        is_drawn = is_training and isinstance(self.backend, Sampled)
        # a look at the device, which is worth one at most
        asks = self._reads_step or is_drawn or (is_training and self.is_attached)
        step = self._step_number() if asks else 0
        loss, x = self.loss, batch.embeddings
        if self._is_scheduled:
            negative = at_step_in_tensors(loss.negative, step, x.dtype)
            loss = replace(loss.at(step), negative=negative)
        memory = Memory(self._kept, step, is_training)
        if loss.pairing.against == "batch":
            return self._asked(self._of_batch(batch, loss, memory), batch, ranks, loss, memory)
        if (
            is_training
            and self.is_attached
            and self.weight is not None
            and self.weight.requires_grad
        ):
            moved: Result = self._moved(batch, loss, memory)
            return moved
        self.catch_up()
        columns = self._of_classes(batch, loss, memory, self.workspace)
        if loss.pairing.against == "anchors":
            assert isinstance(columns, ClassWeights), "Sampled is not for anchors"
            labels = batch.targets.labels[:, 0]
            return Result(anchor_loss(x, labels, loss, columns, memory))
        return self._asked(columns, batch, ranks, loss, memory)

    def _asked(
        self, columns: Columns, batch: Batch, ranks: Ranks, loss: Loss, memory: Memory
    ) -> Result:
        if ranks.size > 1:
            columns = Replicated(columns, ranks, list(batch.counts))
        return margin_loss(batch.embeddings, batch.targets, loss, columns, memory)

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def _moved(self, batch: Batch, loss: Loss, memory: Memory) -> Result:
        """Losses whose backward moves the weight."""
        assert self._mover is not None, "the head is attached"
        update = self._mover.begin(self.weight, batch.targets.labels, memory.step)
        columns = self._of_classes(batch, loss, memory, self.workspace.into(update))
        # the own classes are among those that are drawn, and class 0 never waits
        self._mover.catch_up(columns.drawn if isinstance(columns, Drawn) else None)
        with past_guards():  # other classes may go on waiting
            result = margin_loss(batch.embeddings, batch.targets, loss, columns, memory)
        update.follow(result.losses)
        return result

    def _of_classes(
        self, batch: Batch, loss: Loss, memory: Memory, workspace: Workspace
    ) -> ClassWeights | Drawn:
        assert self.weight is not None, "the loss has class weights"
        offset = loss.offset(memory)
        if offset is not None:
            offset = offset.to(batch.embeddings.dtype).expand(self.num_classes)
        engine = engine_of(self.backend)
        columns = ClassWeights(self.weight, loss.score, engine, workspace, offset)
        if not (memory.is_training and isinstance(self.backend, Sampled)):
            return columns
        drawn: Drawn = Drawn.by(self.backend, columns, batch.targets.labels, memory.step)
        return drawn

    def _of_batch(self, batch: Batch, loss: Loss, memory: Memory) -> BatchColumns:
        offset, classes = loss.offset(memory), batch.targets.classes
        assert classes is not None, "the batch is in pairs"
        engine = engine_of(self.backend)
        return BatchColumns(batch.embeddings, classes, loss.score, engine, self.workspace, offset)
