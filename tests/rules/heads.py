"""A small head, batches for it, and the cosines between them."""

import torch
import torch.nn.functional as F

import gonio

DIM, CLASSES = 6, 5
COUNTS = torch.tensor([40.0, 10, 3, 20, 1])


def head_of(loss, **keywords):
    keywords = {"class_counts": COUNTS, "dtype": torch.float64} | keywords
    return gonio.Head(DIM, CLASSES, loss, **keywords)


def data(size=7, seed=1):
    generator = torch.Generator().manual_seed(seed)
    x = 3 * torch.randn(size, DIM, generator=generator, dtype=torch.float64)
    return x, torch.randint(0, CLASSES, (size,), generator=generator)


def cosines(head, x):
    return (F.normalize(x) @ F.normalize(head.weight, dim=-1).T).detach()


def own(head, x, labels):
    return cosines(head, x)[torch.arange(len(x)), labels]
