import importlib
import math
import pkgutil
from dataclasses import replace

import pytest
import torch

import gonio
from gonio import losses
from gonio.loss import target_curve
from gonio.losses import table
from gonio.rules import (
    INNER,
    AngularMargin,
    Auto,
    Bias,
    DivideAngle,
    FeatureNorm,
    Fixed,
    Hardest,
    Learned,
    Ring,
    Score,
    Subtract,
    Sum,
)
from gonio.rules.scale import scale_bound


def test_the_table_holds_the_survey_in_its_order():
    survey = [
        "softmax",
        "hinge",
        "max-hinge",
        "lse-hinge",
        "softplus-lse",
        "normface",
        "am-softmax",
        "cosface",
        "arcface",
        "combined",
        "l-softmax",
        "sphereface",
    ]
    assert [name for name in losses.names() if name in survey] == survey


@pytest.mark.parametrize("name", losses.names())
def test_a_row_says_all_that_is_known_of_it(name):
    row = losses.get(name)
    assert row.summary.endswith(".")
    assert "=" in row.equation
    assert any(character.isdigit() for character in row.source) or "survey" in row.source
    assert set(row.arguments) == set(row.defaults)
    assert all(row.arguments.values())
    assert getattr(losses, name.replace("-", "_")) is row.loss


def test_every_row_is_exported_by_its_file():
    exported = []
    for module in pkgutil.iter_modules(losses.__path__, "gonio.losses."):
        if module.name != table.__name__:
            exported += importlib.import_module(module.name).__all__
    assert sorted(exported) == sorted(name.replace("-", "_") for name in losses.names())


def test_a_row_added_on_the_fly_is_a_head_at_once(monkeypatch):
    monkeypatch.setattr(table, "_ROWS", dict(table._ROWS))

    @losses.row
    def half_cosine(margin: float = 0.1) -> gonio.Loss:
        """Subtract half of the margin.

            target = cos t_y - m / 2

        Args:
            margin: m >= 0, in units of the cosine.

        Source: this test, 2026.
        """
        return gonio.Loss(scale=Fixed(16.0), target=Subtract(margin / 2))

    assert losses.names()[-1] == "half-cosine"
    head = gonio.Head(3, 4, loss="half-cosine")
    assert head(torch.randn(2, 3), torch.tensor([0, 3])) > 0


def undocumented(margin: float = 0.1) -> gonio.Loss:
    """A margin."""


def half_documented(margin: float = 0.1, scale: float = 1.0) -> gonio.Loss:
    """A margin.

        loss = m

    Args:
        margin: m.

    Source: nowhere, 2026.
    """


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (undocumented, "needs a summary, an indented equation and a source"),
        (half_documented, "name different arguments"),
    ],
)
def test_a_row_without_its_documentation_is_refused(function, words):
    with pytest.raises(ValueError, match=words):
        losses.row(function)
    assert function.__name__.replace("_", "-") not in losses.names()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: losses.arcface(margin=28.6), r"\(-pi, pi\) radians; if degrees .* 0.4992"),
        (lambda: losses.arcface(margin=gonio.Ramp(0, 30, 9)), "radians"),
        (lambda: losses.cosface(margin=-0.1), r"margin: -0.1 is out of range \[0, 3\]"),
        (lambda: gonio.Ramp(0.0, math.nan, 5), "end: nan"),
        (lambda: gonio.Learned(1.0, math.inf), "initial: inf"),
        (
            lambda: gonio.Loss(Fixed(1.0), AngularMargin(add=0.1), score=INNER),
            "changes an angle, but the score is an inner product",
        ),
        (lambda: losses.combined(m1=2.0, past_pi="line"), "past_pi: 'line' is defined for"),
        (lambda: losses.normface(scale=30.0, minimum=5.0), "minimum: 5.0 belongs to"),
        (lambda: gonio.Learned(minimum=9, initial=8), "initial: 8.0 must be above"),
        (lambda: gonio.Ramp(0, 1, 0), "steps: 0"),
        (lambda: gonio.Annealing(base=1, minimum=2), "base: 1.0 is below the minimum 2.0"),
        (lambda: scale_bound(10, 1.0), r"probability: 1.0 is out of range \(0, 1\)"),
        (lambda: losses.supcon() + Ring(0.1), "terms: Ring.* belongs to losses over class weights"),
        (lambda: replace(losses.proxy_anchor(), mining=Hardest()), "mining: Hardest"),
        (
            lambda: replace(losses.supcon(), target=Subtract(gonio.PerClass([0.1]))),
            r"PerClass\(\[0.1\]\): it belongs to losses over class weights",
        ),
        (
            lambda: losses.cosface(margin=28.6),
            r"margin: 28.6 is out of range \[0, 3\] .* not degrees",
        ),
        (
            lambda: gonio.Loss(Fixed(1.0), score=INNER, negative=DivideAngle(2.0)),
            "negative: DivideAngle.* changes an angle, but the score is no cosine",
        ),
        (lambda: replace(losses.proxy_anchor(), offset=Bias()), "offset: Bias"),
        (lambda: replace(losses.supcon(), offset=Bias()), "offset: Bias"),
        (lambda: replace(losses.proxy_anchor(), score=INNER), "score: .* not defined for anchors"),
        (lambda: replace(losses.supcon(), pool=Sum()), "pool: .* has no place for other positives"),
        (
            lambda: replace(losses.supcon(), score=Score(True, True, centers=2)),
            "score: several centres",
        ),
        (lambda: losses.arcface(past_pi="up"), "past_pi: 'up'"),
        (lambda: Score(unit_embedding=True, unit_weight=False, centers=2), "centers: several are"),
        (lambda: Score(unit_embedding=True, unit_weight=True, centers=0), "centers: 0"),
        (
            lambda: gonio.Head(4, 3, loss=losses.cosface(margin=2.0, scale="auto")),
            "margin leaves a perfect sample",
        ),
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda: losses.cosface(scale=gonio.PerClass([1, 2])),
            r"scale: got PerClass\(\[1, 2\]\); give a number",
        ),
        (lambda: Fixed("auto"), "value: got 'auto'; give a number or a schedule"),
    ],
)
def test_a_setting_of_another_type_is_named(make, words):
    with pytest.raises(TypeError, match=words):
        make()


@pytest.mark.parametrize("scale", [30.0, "auto", "learned", FeatureNorm(), Learned(5.0, 9.0)])
def test_scales_are_accepted_as_they_are_typed(scale):
    gonio.Head(4, 3, loss=losses.cosface(scale=scale))(torch.randn(2, 4), torch.tensor([0, 2]))


@pytest.mark.parametrize(
    ("classes", "probability", "bound"),
    [(10572, 0.9, 11.46), (85742, 0.99, 15.95), (10**6, 0.999, 20.72), (10**7, 0.9999, 25.33)],
)
def test_the_scale_bound_is_cosfaces(classes, probability, bound):
    assert scale_bound(classes, probability) == pytest.approx(bound, abs=0.006)


def test_the_scale_bound_knows_the_margin():
    head = gonio.Head(4, 1000, loss=losses.cosface(margin=0.4, scale=Auto(0.9)))
    assert head.loss.scale.value == pytest.approx(math.log(999 * 9) / (0.6 + 1 / 999))


ANGLES = torch.linspace(0, math.pi, 2001, dtype=torch.float64)


@pytest.mark.parametrize("m1", [1.0, 0.9, 1.35, 4.0])
@pytest.mark.parametrize("m2", [0.5, -0.3, 0.4, -1.0])
def test_the_fold_is_continuous_and_falls_for_every_margin(m1, m2):
    curve = target_curve(gonio.Loss(Fixed(1.0), AngularMargin(m1, m2)), ANGLES)
    step = math.pi / 2000
    assert (curve.diff() <= 1e-15).all()
    assert (curve.diff().abs() <= m1 * step * 1.0001).all()


@pytest.mark.parametrize(("past_pi", "jump"), [("fold", 0), ("shift", 0), ("line", -0.11729)])
def test_what_each_variant_does_where_it_passes_pi(past_pi, jump):
    curve = target_curve(losses.arcface(margin=0.5, past_pi=past_pi), ANGLES)
    assert curve.diff().abs().amax().item() == pytest.approx(abs(jump), abs=2e-3)


def test_the_multiplicative_staircase_ends_at_one_minus_two_m():
    for m in (2.0, 3.0, 4.0):
        curve = target_curve(losses.sphereface(margin=m, annealing=0.0), ANGLES)
        assert curve[0].item() == pytest.approx(1)
        assert curve[-1].item() == pytest.approx(1 - 2 * m)


def test_a_loss_is_no_term_of_another():
    with pytest.raises(TypeError, match=r"terms: .* is no part of a loss"):
        losses.arcface() + losses.cosface()


@pytest.mark.parametrize("part", [64.0, Fixed, lambda norm, raw: norm])
def test_a_part_that_is_no_frozen_dataclass_is_refused(part):
    with pytest.raises(TypeError, match=r"scale: .* is no part of a loss"):
        gonio.Loss(scale=part)


def test_documented_paths_work_from_the_package():
    assert gonio.engines.Chunked(512).tile == 512
    assert gonio.rules.AngularMargin(add=0.1).is_angular
    assert gonio.__version__
