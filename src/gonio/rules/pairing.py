"""Pairings: what an embedding is compared with."""

from dataclasses import dataclass
from typing import Literal

from gonio.rules.reading import Checked

Against = Literal["classes", "batch", "anchors"]
Positives = Literal["rivals", "alone"]


@dataclass(frozen=True)
class Pairing(Checked):
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


CLASSES = Pairing("classes")
BATCH = Pairing("batch")
ANCHORS = Pairing("anchors")
