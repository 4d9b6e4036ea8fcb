"""Pairings: what an embedding is compared with."""

from dataclasses import dataclass
from typing import Literal, get_args

from gonio.rules.ranges import one_of

Against = Literal["classes", "batch", "anchors"]
Positives = Literal["rivals", "alone"]


@dataclass(frozen=True)
class Pairing:
    """Who stands in the rows and in the columns of the score matrix.

        "classes"   each embedding against the class weights
        "batch"     each embedding against the other embeddings of its batch; there are no weights
        "anchors"   each class weight against the embeddings of the batch

    Args:
        against: one of these words.
        positives: with several positives in a row, whether the others stand among the negatives of
            each ("rivals") or are left out of them ("alone").

    Raises:
        ValueError: another word.
    """

    against: Against = "classes"
    positives: Positives = "rivals"

    def __post_init__(self) -> None:
        one_of("against", self.against, get_args(Against))
        one_of("positives", self.positives, get_args(Positives))


CLASSES = Pairing("classes")
BATCH = Pairing("batch")
ANCHORS = Pairing("anchors")
