"""Softmax without class weights: the other embeddings of the batch stand in their place.

A sample needs another one of its label in the batch; one without adds nothing. Samples meet.
"""

from gonio.loss import Loss
from gonio.losses.table import row
from gonio.rules import BATCH, Fixed, OneVersusRest, Pairing, SoftplusSum, Subtract, Threshold
from gonio.rules.ranges import CosineMargin, Finite, Positive

__all__ = ["infonce", "nt_xent", "supcon", "uss"]


@row
def infonce(temperature: Positive[float] = 0.07) -> Loss:
    """Each positive against the negatives alone; other positives of the sample are left out.

        loss_i = mean_{p} -log( e^{c_ip / T} / ( e^{c_ip / T} + sum_{n} e^{c_in / T} ) )

    p are the other samples of the batch with the label of i, n those with another label.

    Args:
        temperature: T > 0.

    Source: van den Oord et al., "Representation learning with contrastive predictive coding", 2018,
    eq. (4), over cosines.
    """
    return Loss(scale=Fixed(1 / temperature), pairing=Pairing("batch", "alone"))


@row
def nt_xent(temperature: Positive[float] = 0.5) -> Loss:
    """Two views of each sample find each other among all others: SimCLR.

        loss_i = -log( e^{c_ip / T} / sum_{a != i} e^{c_ia / T} ),   p the other view of i

    With more than one p it is "supcon".

    Args:
        temperature: T > 0.

    Source: Chen et al., "A simple framework for contrastive learning of visual representations", ICML
    2020, eq. (1).
    """
    return Loss(scale=Fixed(1 / temperature), pairing=BATCH)


@row
def supcon(temperature: Positive[float] = 0.07) -> Loss:
    """Each positive against all other samples of the batch, other positives included.

        loss_i = mean_{p} -log( e^{c_ip / T} / sum_{a != i} e^{c_ia / T} )

    p are the other samples of the batch with the label of i.

    Args:
        temperature: T > 0.

    Source: Khosla et al., "Supervised contrastive learning", NeurIPS 2020, eq. (2).
    """
    return Loss(scale=Fixed(1 / temperature), pairing=BATCH)


@row
def uss(
    margin: CosineMargin[float] = 0.1,
    threshold: Finite[float] = 0.5,
    scale: Positive[float] = 64.0,
) -> Loss:
    """All positive pairs above one learned border, all negative pairs below it.

        loss_i = mean_{p} log(1 + e^{b - s (c_ip - m)}) + sum_{n} log(1 + e^{s c_in - b})

    p are the other samples of the batch with the label of i, n those with another label. The authors
    compare with a memory of one past sample for each class; here it is the batch.

    Args:
        margin: m in [0, 3], in units of the cosine.
        threshold: b / s at the start, in units of the cosine.
        scale: s > 0.

    Source: Zhou et al., "UniTSFace: unified threshold integrated sample-to-sample loss for face
    recognition", NeurIPS 2023, and its authors' code.
    """
    return Loss(
        scale=Fixed(scale),
        target=Subtract(margin),
        pool=SoftplusSum(),
        penalty=OneVersusRest(),
        offset=Threshold(scale * threshold, sign=-1),
        pairing=Pairing("batch", "alone"),
    )
