"""The kernels of `Fused`, in Triton: a tile of scores lives and dies on the chip.

No kernel adds to what another program wrote. Each writes its own part, and parts are joined in a fixed
order, so that every run gives the same bits. Offsets into matrices are 64-bit. Sizes need not divide
by blocks. Matrices named (rows, batch) have the batch innermost.

`rule` is a printed rule (`printed.py`): (score, scale, norm, cosine, angle, target, 3 settings) -> z, its
slope in the score, and those of its slopes in the facts of the sample that are not 0 everywhere.
"""

import triton
import triton.language as tl


@triton.jit
def arccos(c):
    """In float32, to 3e-7, from a polynomial for the arcsine with a relative error of 5e-9 on [0, 1/2]."""
    a = tl.minimum(tl.abs(c), 1.0)
    is_large = a > 0.5
    q = tl.where(is_large, (1.0 - a) * 0.5, a * a)
    x = tl.where(is_large, tl.sqrt(q), a)
    p = 0.0421651276 * q + 0.02418016397
    p = p * q + 0.04547025489
    p = p * q + 0.07495298512
    p = p * q + 0.1666675246
    arcsine = x + x * q * p
    large = tl.where(c > 0, 2.0 * arcsine, 3.14159265358979 - 2.0 * arcsine)
    small = 1.5707963267949 - tl.where(c > 0, arcsine, -arcsine)
    return tl.where(is_large, large, small)


@triton.jit
def log1p(x):
    """log(1 + x) of x >= 0: what 1 + x rounds away is given back as a factor."""
    one_more = 1.0 + x
    is_lost = one_more == 1.0
    kept = tl.where(is_lost, 1.0, one_more - 1.0)
    return tl.where(is_lost, x, tl.log(one_more) * (x / kept))


@triton.jit
def product_of(a, b, IS_WIDENED: tl.constexpr):
    """A product with float32 sums; operands that are widened first give the same."""
    if IS_WIDENED:
        a, b = a.to(tl.float32), b.to(tl.float32)
    return tl.dot(a, b, input_precision="ieee")


@triton.jit
def scored(
    X, W, KEPT, INVERSE, OFFSET, WHOSE, LABELS, FACTS, SETTINGS,
    b, j, B, C, first,
    rule: tl.constexpr, D: tl.constexpr, NUM_LABELS: tl.constexpr, FROM_KEPT: tl.constexpr,
    KEEPS: tl.constexpr, IS_UNIT: tl.constexpr, HAS_OFFSET: tl.constexpr, HAS_WHOSE: tl.constexpr,
    IS_WIDENED: tl.constexpr, BD: tl.constexpr,
):  # fmt: skip
    """Of samples b and classes j: scores, z, what the rule returned, and which are negatives.

    Products are stored if they are kept, and go on as they will be read in backward.
    """
    is_row, is_column = b < B, j < C
    is_there = is_row[:, None] & is_column[None, :]
    row, column = b.to(tl.int64), j.to(tl.int64)
    if FROM_KEPT:
        place = column[None, :] * B + row[:, None]
        product = tl.load(KEPT + place, mask=is_there, other=0.0).to(tl.float32)
    else:
        product = tl.zeros((b.shape[0], j.shape[0]), tl.float32)
        for at in range(0, D, BD):
            d = at + tl.arange(0, BD)
            x = tl.load(
                X + row[:, None] * D + d[None, :],
                mask=is_row[:, None] & (d[None, :] < D), other=0.0,
            )  # fmt: skip
            w = tl.load(
                W + column[None, :] * D + d[:, None],
                mask=is_column[None, :] & (d[:, None] < D), other=0.0,
            )  # fmt: skip
            product += product_of(x, w.to(x.dtype), IS_WIDENED)
        if KEEPS:
            kept = product.to(KEPT.dtype.element_ty)
            tl.store(KEPT + column[None, :] * B + row[:, None], kept, mask=is_there)
            product = kept.to(tl.float32)
    score = product
    if IS_UNIT:
        score = product * tl.load(INVERSE + j, mask=is_column, other=0.0)[None, :]
    scale = tl.load(FACTS + b, mask=is_row, other=0.0)[:, None]
    norm = tl.load(FACTS + B + b, mask=is_row, other=0.0)[:, None]
    cosine = tl.load(FACTS + 2 * B + b, mask=is_row, other=0.0)[:, None]
    angle = tl.load(FACTS + 3 * B + b, mask=is_row, other=0.0)[:, None]
    target = tl.load(FACTS + 4 * B + b, mask=is_row, other=0.0)[:, None]
    setting0 = tl.load(SETTINGS + b, mask=is_row, other=0.0)[:, None]
    setting1 = tl.load(SETTINGS + B + b, mask=is_row, other=0.0)[:, None]
    setting2 = tl.load(SETTINGS + 2 * B + b, mask=is_row, other=0.0)[:, None]
    found = rule(score, scale, norm, cosine, angle, target, setting0, setting1, setting2)
    z = found[0]
    if HAS_OFFSET:
        z += tl.load(OFFSET + j, mask=is_column, other=0.0)[None, :]
    whose = first + j
    if HAS_WHOSE:
        whose = tl.load(WHOSE + j, mask=is_column, other=-1)
    for k in range(NUM_LABELS):
        own = tl.load(LABELS + b * NUM_LABELS + k, mask=is_row, other=-1)
        is_there = is_there & (own[:, None] != whose[None, :])
    z = tl.where(is_there, z, float("-inf"))
    return score, z, found, is_there


@triton.jit
def fold_kernel(
    X, W, KEPT, INVERSE, OFFSET, WHOSE, LABELS, FACTS, SETTINGS, STATE,
    B, C, first, per_part, shift, sharpness,
    rule: tl.constexpr, D: tl.constexpr, NUM_LABELS: tl.constexpr, KEEPS: tl.constexpr,
    IS_UNIT: tl.constexpr, HAS_OFFSET: tl.constexpr, HAS_WHOSE: tl.constexpr,
    POOL: tl.constexpr, HAS_SUM: tl.constexpr, IS_WIDENED: tl.constexpr,
    BB: tl.constexpr, BC: tl.constexpr, BD: tl.constexpr,
):  # fmt: skip
    """The pool's state of a block of samples over one part of the classes, (states, parts, batch)."""
    b = tl.program_id(0) * BB + tl.arange(0, BB)
    part = tl.program_id(1)
    top = tl.full((BB,), float("-inf"), tl.float32)
    total = tl.zeros((BB,), tl.float32)
    count = tl.zeros((BB,), tl.float32)
    plain = tl.zeros((BB,), tl.float32)
    for at in range(part * per_part, tl.minimum((part + 1) * per_part, C), BC):
        j = at + tl.arange(0, BC)
        _, z, _, _ = scored(
            X, W, KEPT, INVERSE, OFFSET, WHOSE, LABELS, FACTS, SETTINGS, b, j, B, C, first,
            rule, D, NUM_LABELS, False, KEEPS, IS_UNIT, HAS_OFFSET, HAS_WHOSE, IS_WIDENED, BD,
        )  # fmt: skip
        is_in = z > float("-inf")
        if POOL == "logsumexp" or POOL == "maximum":
            higher = tl.maximum(top, tl.max(z, axis=1))
            border = tl.maximum(higher, -3.4028234e38)
            if POOL == "logsumexp":
                total = total * tl.exp2((top - border) * sharpness)
                total += tl.sum(tl.exp2((z - border[:, None]) * sharpness), axis=1)
            else:
                total = tl.where(top == border, total, 0.0)
                total += tl.sum((z == border[:, None]).to(tl.float32), axis=1)
            top = higher
        elif POOL == "shifted":
            total += tl.sum(tl.exp2((z - shift) * sharpness), axis=1)
        elif POOL == "softplus":
            total += tl.sum(tl.maximum(z, 0.0) + log1p(tl.exp(-tl.abs(z))), axis=1)
        else:
            total += tl.sum(tl.where(is_in, z, 0.0), axis=1)
        if POOL == "mean":
            count += tl.sum(is_in.to(tl.float32), axis=1)
        if HAS_SUM:
            plain += tl.sum(tl.where(is_in, z, 0.0), axis=1)
    parts = tl.num_programs(1)
    is_row = b < B
    tl.store(STATE + part * B + b, top, mask=is_row)
    tl.store(STATE + (parts + part) * B + b, total, mask=is_row)
    tl.store(STATE + (2 * parts + part) * B + b, count, mask=is_row)
    tl.store(STATE + (3 * parts + part) * B + b, plain, mask=is_row)


@triton.jit
def push_kernel(
    X, W, KEPT, INVERSE, OFFSET, WHOSE, LABELS, FACTS, SETTINGS,
    TOP, SHARE, SUM_SHARE, PUSH, RADIAL, D_OFFSET, D_FACTS,
    B, C, first, sharpness,
    rule: tl.constexpr, D: tl.constexpr, NUM_LABELS: tl.constexpr, FROM_KEPT: tl.constexpr,
    IS_UNIT: tl.constexpr, HAS_OFFSET: tl.constexpr, HAS_WHOSE: tl.constexpr,
    POOL: tl.constexpr, HAS_SUM: tl.constexpr, NUM_SLOPES: tl.constexpr, IS_WIDENED: tl.constexpr,
    BB: tl.constexpr, BC: tl.constexpr, BD: tl.constexpr,
):  # fmt: skip
    """The gradient in the products, (classes, batch), and each block's share of the sums over it.

    RADIAL and D_OFFSET are (row blocks, classes); D_FACTS is (slopes, column blocks, batch).
    """
    b = tl.program_id(0) * BB + tl.arange(0, BB)
    j = tl.program_id(1) * BC + tl.arange(0, BC)
    is_row, is_column = b < B, j < C
    score, z, found, is_there = scored(
        X, W, KEPT, INVERSE, OFFSET, WHOSE, LABELS, FACTS, SETTINGS, b, j, B, C, first,
        rule, D, NUM_LABELS, FROM_KEPT, False, IS_UNIT, HAS_OFFSET, HAS_WHOSE, IS_WIDENED, BD,
    )  # fmt: skip
    top = tl.load(TOP + b, mask=is_row, other=0.0)[:, None]
    share = tl.load(SHARE + b, mask=is_row, other=0.0)[:, None]
    is_in = z > float("-inf")
    if POOL == "logsumexp":
        push = tl.exp2((z - top) * sharpness) * share
    elif POOL == "maximum":
        push = (z == top).to(tl.float32) * share
    elif POOL == "softplus":
        push = share / (1.0 + tl.exp(-z))
    else:
        push = is_in.to(tl.float32) * share
    if HAS_SUM:
        push += is_in.to(tl.float32) * tl.load(SUM_SHARE + b, mask=is_row, other=0.0)[:, None]
    row_block = tl.program_id(0).to(tl.int64)
    if HAS_OFFSET:
        tl.store(D_OFFSET + row_block * C + j, tl.sum(push, axis=0), mask=is_column)
    for i in tl.static_range(NUM_SLOPES):
        place = (i * tl.num_programs(1) + tl.program_id(1)).to(tl.int64) * B + b
        reached = tl.where(is_there, push * found[2 + i], 0.0)
        tl.store(D_FACTS + place, tl.sum(reached, axis=1), mask=is_row)
    push = tl.where(is_there, push * found[1], 0.0)
    if IS_UNIT:
        push = push * tl.load(INVERSE + j, mask=is_column, other=0.0)[None, :]
        tl.store(RADIAL + row_block * C + j, tl.sum(push * score, axis=0), mask=is_column)
    where = PUSH + j[None, :].to(tl.int64) * B + b[:, None]
    tl.store(where, push.to(PUSH.dtype.element_ty), mask=is_row[:, None] & is_column[None, :])


@triton.jit
def weight_kernel(
    PUSH, X, W, INVERSE, RADIAL, D_WEIGHT, B, C,
    D: tl.constexpr, IS_UNIT: tl.constexpr, IS_WIDENED: tl.constexpr,
    BB: tl.constexpr, BC: tl.constexpr, BD: tl.constexpr,
):  # fmt: skip
    """A tile of the weight's gradient: the product, then the projection on the tangent."""
    j = tl.program_id(0) * BC + tl.arange(0, BC)
    d = tl.program_id(1) * BD + tl.arange(0, BD)
    is_column, is_entry = j < C, d < D
    column = j.to(tl.int64)
    total = tl.zeros((BC, BD), tl.float32)
    for at in range(0, B, BB):
        b = at + tl.arange(0, BB)
        is_row = b < B
        push = tl.load(
            PUSH + column[:, None] * B + b[None, :],
            mask=is_column[:, None] & is_row[None, :], other=0.0,
        )  # fmt: skip
        x = tl.load(
            X + b[:, None].to(tl.int64) * D + d[None, :],
            mask=is_row[:, None] & is_entry[None, :], other=0.0,
        )  # fmt: skip
        total += product_of(push, x, IS_WIDENED)
    place = column[:, None] * D + d[None, :]
    is_there = is_column[:, None] & is_entry[None, :]
    if IS_UNIT:
        w = tl.load(W + place, mask=is_there, other=0.0).to(tl.float32)
        inverse = tl.load(INVERSE + j, mask=is_column, other=0.0)[:, None]
        radial = tl.load(RADIAL + j, mask=is_column, other=0.0)[:, None]
        total -= radial * (w * inverse)
    tl.store(D_WEIGHT + place, total.to(D_WEIGHT.dtype.element_ty), mask=is_there)


@triton.jit
def embedding_kernel(
    PUSH, W, PARTS, B, C, per_part,
    D: tl.constexpr, IS_WIDENED: tl.constexpr,
    BB: tl.constexpr, BC: tl.constexpr, BD: tl.constexpr,
):  # fmt: skip
    """The embeddings' gradient from one part of the classes: (parts, batch, dim)."""
    b = tl.program_id(0) * BB + tl.arange(0, BB)
    d = tl.program_id(1) * BD + tl.arange(0, BD)
    part = tl.program_id(2)
    is_row, is_entry = b < B, d < D
    total = tl.zeros((BB, BD), tl.float32)
    for at in range(part * per_part, tl.minimum((part + 1) * per_part, C), BC):
        j = at + tl.arange(0, BC)
        is_column = j < C
        column = j.to(tl.int64)
        push = tl.load(
            PUSH + column[None, :] * B + b[:, None],
            mask=is_row[:, None] & is_column[None, :], other=0.0,
        )  # fmt: skip
        w = tl.load(
            W + column[:, None] * D + d[None, :],
            mask=is_column[:, None] & is_entry[None, :], other=0.0,
        )  # fmt: skip
        total += product_of(push, w.to(push.dtype), IS_WIDENED)
    place = (part.to(tl.int64) * B + b[:, None]) * D + d[None, :]
    tl.store(PARTS + place, total, mask=is_row[:, None] & is_entry[None, :])
