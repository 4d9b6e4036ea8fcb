"""Softmax losses with a term beside them.

Any loss over class weights takes any term: `arcface() + Ring(0.01)`.
"""

from gonio.loss import Loss
from gonio.losses.chain import softmax
from gonio.losses.multiplicative import sphereface_r
from gonio.losses.table import row
from gonio.rules import BetweenClasses, Center, Closeness, InverseSquareAngle, Mean, Number, Ring
from gonio.rules.ranges import AtLeastOne, AtLeastZero, Positive, Share

__all__ = ["center_loss", "regularface", "ring_loss", "sphereface_plus", "uniformface"]


@row
def center_loss(
    weight: AtLeastZero[float] = 0.003, rate: Share[float] = 0.5, bias: bool = True
) -> Loss:
    """Softmax, and every embedding is drawn to the running centre of its class.

        loss = -log( e^{z_y} / sum_j e^{z_j} ) + lambda / 2 |x - c_y|^2,   z_j = <x, w_j> + b_j
        c_j <- c_j - alpha sum_{i of j} (c_j - x_i) / (1 + n_j)   after each training batch

    Args:
        weight: lambda >= 0.
        rate: alpha in [0, 1].
        bias: whether each class has a learned bias b_j.

    Source: Wen et al., "A discriminative feature learning approach for deep face recognition", ECCV
    2016, eqs. (2) to (5).
    """
    return softmax(bias) + Center(weight, rate)


@row
def ring_loss(
    weight: AtLeastZero[float] = 0.01, radius: Positive[float] = 20.0, bias: bool = True
) -> Loss:
    """Softmax, and the norms of the embeddings are drawn to a common, learned radius R.

        loss = -log( e^{z_y} / sum_j e^{z_j} ) + lambda / 2 (|x| - R)^2,   z_j = <x, w_j> + b_j

    Args:
        weight: lambda >= 0.
        radius: where R begins, > 0.
        bias: whether each class has a learned bias b_j.

    Source: Zheng et al., "Ring loss: convex feature normalization for face recognition", CVPR 2018,
    eq. (2).
    """
    return softmax(bias) + Ring(weight, radius)


@row
def regularface(weight: AtLeastZero[float] = 1.0, bias: bool = True) -> Loss:
    """Softmax, and the class weights of the batch are pushed from their nearest other class.

        loss = -log( e^{z_y} / sum_j e^{z_j} ) + lambda max_{j != y} cos(w_y, w_j)
        z_j = <x, w_j> + b_j

    Args:
        weight: lambda >= 0.
        bias: whether each class has a learned bias b_j.

    Source: Zhao et al., "RegularFace: deep face recognition via exclusive regularization", CVPR 2019,
    eq. (4); there over all classes at once, here over those of the batch.
    """
    return softmax(bias) + BetweenClasses(weight)


@row
def uniformface(weight: AtLeastZero[float] = 1.0, bias: bool = True) -> Loss:
    """Softmax, and the class weights of the batch repel all others, as charges do.

        loss = -log( e^{z_y} / sum_j e^{z_j} ) + lambda mean_{j != y} 1 / (1 + |u_y - u_j|)
        z_j = <x, w_j> + b_j,   u_j = w_j / |w_j|

    Args:
        weight: lambda >= 0.
        bias: whether each class has a learned bias b_j.

    Source: Duan et al., "UniformFace: learning deep equidistributed representation for face
    recognition", CVPR 2019, eq. (5); there over class means, here over the class weights.
    """
    return softmax(bias) + BetweenClasses(weight, Closeness(), Mean())


@row
def sphereface_plus(
    margin: AtLeastOne[Number] = 1.5,
    weight: AtLeastZero[float] = 1.0,
    scale: Positive[float] = 30.0,
) -> Loss:
    """SphereFace-R, and the class weights of the batch have a small energy on the sphere.

        loss = SphereFace-R v0 + lambda mean_{j != y} angle(w_y, w_j)^-2

    Args:
        margin: m >= 1, multiplies the angle.
        weight: lambda >= 0.
        scale: s > 0.

    Source: Liu et al., "Learning towards minimum hyperspherical energy", NeurIPS 2018, eq. (8); there
    over pairs of classes in the batch, here of each of them with all others.
    """
    return sphereface_r("v0", margin, scale) + BetweenClasses(weight, InverseSquareAngle(), Mean())
