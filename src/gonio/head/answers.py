"""What a head tells beside its loss: scores of all classes, how a batch stands, what an optimizer needs."""

from typing import Any

import torch
from torch import Tensor

from gonio.base.arrays import Rows
from gonio.base.checks import check_embeddings
from gonio.engines import engine_of
from gonio.head.computing import Computes
from gonio.head.labels import check_several_labels
from gonio.head.logits import plain_logits, trained_logits
from gonio.head.measure import among_batch, among_classes
from gonio.rules.facts import Memory


class Answers(Computes):
    """A head that can be asked."""

    def logits(
        self, embeddings: Tensor, labels: Rows | None = None, *, margin: bool = False
    ) -> Tensor:
        """(batch, dim) -> (batch, classes): scale x cosine, or the loss's own score.

        Args:
            embeddings: (batch, dim), floating.
            labels: (batch,), integers in [0, classes), or probabilities as in `forward`; asked for with
                a margin. Rows with `ignore_index` are left out.
            margin: False leaves out the margin, and what else is for training alone; True gives the scores
                that the loss compares, with the target rule at the labels and the negative rule
                elsewhere. A cross-entropy of these is the loss, where the loss is a cross-entropy.

        Raises:
            TypeError: embeddings that are not floating.
            ValueError: a shape that does not match, a label out of range, labels without a margin or a
                margin without labels, or a loss without class weights.
        """
        if self.weight is None:
            raise ValueError("loss: it has no class weights, so there are no logits of classes")
        if margin and self.loss.pairing.against != "classes":
            raise ValueError(f"margin: the loss compares {self.loss.pairing}; ask without a margin")
        if margin != (labels is not None):
            raise ValueError(
                f"margin: got {margin} {'without' if labels is None else 'beside'} labels; pass labels and "
                "margin=True for the scores of training, neither for plain ones"
            )
        check_embeddings(embeddings, self.embedding_dim, self.step.device)
        self.catch_up()
        memory = Memory(self._kept, self._step_number() if self._reads_step else 0)
        with torch.autocast(embeddings.device.type, enabled=False):
            if labels is None:
                x = self._computed(embeddings)
                return plain_logits(x, self.weight, self.current_loss, memory)
            batch = self._read(embeddings, labels)
            if batch.targets.mass is not None:
                check_several_labels(self.loss)
            columns = self._of_classes(batch, self.current_loss, memory, self.workspace)
            given = batch.embeddings, batch.targets, self.current_loss
            return trained_logits(*given, columns, self.weight, memory)

    @torch.no_grad()
    def measure(self, embeddings: Tensor, labels: Rows) -> tuple[Tensor, Tensor]:
        """How a batch stands without any margin.

        Args:
            embeddings: (batch, dim), floating.
            labels: (batch,), integers in [0, classes); rows with `ignore_index` are left out.

        Returns:
            (batch,) bool, whether the own class has a larger cosine than all others (a tie, to
            rounding, is none); and (batch,) angles to the own class in radians. Both are shorter than
            the batch by the rows that were left out. Where there are no class weights, the nearest
            other sample of the same label stands for the own class, and samples without one are left
            out too.
        """
        self.catch_up()
        with torch.autocast(self.step.device.type, enabled=False):
            batch = self._read(embeddings, labels)
            whose = batch.targets.labels[:, 0]
            if self.weight is None:
                return among_batch(batch.embeddings, whose)
            engine, centers = engine_of(self.backend), self.loss.score.centers
            given = batch.embeddings, whose, self.weight, centers
            return among_classes(*given, engine, self.workspace)

    def param_groups(self, **settings: Any) -> list[dict[str, Any]]:
        """The parameters as an optimizer takes them: the class weights, and what the loss learns beside them.

        What the loss learns (a scale, a border, a radius, margins, a bias) has no weight decay, which would
        pull it to 0.

        Args:
            settings: of both groups, such as `lr=0.5`; of `weight_decay`, only the class weights.

        Example:
            >>> import gonio
            >>> head = gonio.Head(8, 5, loss="softmax")
            >>> [group["name"] for group in head.param_groups(lr=0.1)]
            ['head.weight', 'head.learned']
        """
        weight = [] if self.weight is None else [self.weight]
        learned = [one for one in self.parameters() if one is not self.weight]
        groups = [
            settings | {"name": "head.weight", "params": weight},
            settings | {"name": "head.learned", "params": learned, "weight_decay": 0.0},
        ]
        return [group for group in groups if group["params"]]
