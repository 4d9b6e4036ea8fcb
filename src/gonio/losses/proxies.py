"""Class weights as proxies of their samples: the metric-learning view."""

from typing import Literal

from gonio.loss import Loss
from gonio.losses.table import row
from gonio.rules import ANCHORS, Add, Apart, Difference, Fixed, Softplus, Subtract
from gonio.rules.ranges import CosineMargin, Positive

__all__ = ["proxy_anchor", "proxy_nca"]


@row
def proxy_nca(
    scale: Positive[float] = 1.0, denominator: Literal["others", "all"] = "others"
) -> Loss:
    """Nearer to the own proxy than to the others, by squared distances of directions.

        loss = -log( e^{-s d_y} / sum_{j != y} e^{-s d_j} ),   d_j = |x/|x| - w_j/|w_j||^2

    Args:
        scale: s > 0.
        denominator: "others" is the equation, which has no floor; "all" adds e^{-s d_y} to the sum,
            as public codes do, and is "normface" at twice the scale.

    Source: Movshovitz-Attias et al., "No fuss distance metric learning using proxies", ICCV 2017,
    eq. (4).
    """
    penalty = Difference() if denominator == "others" else Softplus()
    return Loss(scale=Fixed(2 * scale), penalty=penalty)


@row
def proxy_anchor(margin: CosineMargin[float] = 0.1, scale: Positive[float] = 32.0) -> Loss:
    """Each proxy pulls the hardest of its samples and pushes the hardest of all others.

        loss = 1/P sum_{p in batch} log(1 + sum_{x of p} e^{-s (cos t_xp - m)})
               + 1/C sum_p log(1 + sum_{x not of p} e^{s (cos t_xp + m)})

    P of the C classes are in the batch. Samples meet, so a loss of one sample alone means little.

    Args:
        margin: m in [0, 3], in units of the cosine.
        scale: s > 0.

    Source: Kim et al., "Proxy anchor loss for deep metric learning", CVPR 2020, eq. (4).
    """
    return Loss(
        scale=Fixed(scale),
        target=Subtract(margin),
        negative=Add(margin),
        penalty=Apart(),
        pairing=ANCHORS,
    )
