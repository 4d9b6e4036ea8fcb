"""pytorch-metric-learning: the defects that its version 2.9 has are reported, its merits, too."""

import math

import pytest

from gonio import losses
from gonio.contract import POINTS, Sizes, examine, imported, of_loss

SIZES = Sizes(num_classes=7, embedding_dim=5)
POLES, COMPILE, DTYPE = "finite at cosine ±1", "torch.compile", "dtype of the weight"
CONTRACT = [
    "gradient is the derivative",
    "target falls with its angle",
    "labels out of range",
    "order of samples",
    "numbers of classes",
    "second backward",
]


def verdicts(name, claim=None, checks=POINTS, **settings):
    subject = imported(f"pytorch_metric_learning.losses:{name}", settings)
    subject = subject if claim is None else subject.claims(of_loss("claim", claim))
    return {check: examine(subject, POINTS[check], SIZES) for check in checks}


def statuses(found):
    return {check: verdict.status for check, verdict in found.items()}


@pytest.mark.parametrize("name", ["ArcFaceLoss", "SubCenterArcFaceLoss"])
def test_arcface_has_nan_gradients_where_an_embedding_lies_on_its_class(name):
    verdict = verdicts(name, checks=[POLES])[POLES]
    assert verdict.status == "fail"
    assert "gradient of W, gradient of embeddings" in verdict.what
    assert verdict.smallest.embeddings.tolist() == [[2, 0, 0]]
    assert verdict.smallest.weight[0, 0].tolist() == [2, 0, 0]


@pytest.mark.parametrize("name", ["ArcFaceLoss", "CosFaceLoss", "NormalizedSoftmaxLoss"])
def test_a_half_precision_batch_demotes_the_weight(name):
    verdict = verdicts(name, checks=[DTYPE])[DTYPE]
    assert verdict.status == "fail"
    assert "W float32 -> bfloat16" in verdict.what


def test_a_mask_breaks_the_graph():
    found = verdicts("ArcFaceLoss", checks=[COMPILE])[COMPILE]
    assert (found.status, found.number) == ("fail", 2)
    assert "Dynamic shape" in found.what
    assert verdicts("NormalizedSoftmaxLoss", checks=[COMPILE])[COMPILE].status == "pass"


@pytest.mark.parametrize(
    ("name", "claim"),
    [
        ("CosFaceLoss", losses.cosface()),
        ("ArcFaceLoss", losses.arcface(margin=math.radians(28.6), past_pi="line")),
        ("NormalizedSoftmaxLoss", losses.normface(scale=20.0)),
    ],
)
def test_what_is_right_passes(name, claim):
    found = verdicts(name, claim, ["value is the formula's", "samples do not meet", *CONTRACT])
    assert set(statuses(found).values()) == {"pass"}


def test_another_margin_is_another_formula():
    check = "value is the formula's"
    claim = losses.cosface()
    assert verdicts("CosFaceLoss", claim, [check], margin=0.3)[check].status == "fail"


def test_a_loss_of_pairs_has_no_classes():
    found = verdicts("SupConLoss", losses.supcon(temperature=0.1))
    assert statuses(found) == {
        "value is the formula's": "pass",
        "value near cosine ±1": "not applicable",
        "gradient is the derivative": "pass",
        "gradient near cosine ±1": "not applicable",
        "same by another engine": "not applicable",
        "target falls with its angle": "not applicable",
        "finite at cosine ±1": "pass",
        "finite at zero and huge norms": "pass",
        "float32 embeddings": "pass",
        "float16 embeddings": "pass",
        "bfloat16 embeddings": "fail",
        "ignored label": "not applicable",
        "labels out of range": "not applicable",
        "order of samples": "pass",
        "samples do not meet": "not applicable",
        "a batch of one": "pass",
        "numbers of classes": "not applicable",
        "dtype of the weight": "not applicable",
        "second backward": "pass",
        "torch.compile": "fail",
    }
    without = [one for one in found.values() if one.status == "not applicable"]
    assert all(one.what for one in without)
