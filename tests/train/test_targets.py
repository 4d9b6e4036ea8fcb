"""What the loss is given beside the identities: smoothing, weights, mixed images, class counts."""

import pytest
import torch

from gonio.base.durable import sha256
from gonio.base.errors import ConfigError
from gonio.train import LossConfig, TargetsConfig, train
from gonio.train.build_head import build_head
from gonio.train.mixup import mixed
from train.runs import STEPS, change, folder_of, metrics_of, run_config

COUNTS = torch.tensor([30, 10, 20])


def with_targets(loss="arcface", **targets):
    return change(run_config("unused", loss), "targets", TargetsConfig(**targets))


def test_the_head_knows_the_images_of_each_identity():
    head = build_head(with_targets("logit-adjustment"), COUNTS)
    embeddings, labels = torch.zeros(1, 128), torch.tensor([1])
    assert head(embeddings, labels).exp().item() == pytest.approx(6)  # 10 of 60
    assert build_head(with_targets(), COUNTS).class_weight is None


def test_balanced_weights_make_every_identity_count_the_same():
    weight = build_head(with_targets(class_weights="balanced"), COUNTS).class_weight
    assert weight.tolist() == pytest.approx([2 / 3, 2, 1])
    assert (weight * COUNTS).tolist() == pytest.approx([20, 20, 20])


def test_smoothing_reaches_the_loss():
    head = build_head(with_targets("softmax", label_smoothing=0.3), COUNTS)
    embeddings, labels = torch.randn(5, 128), torch.tensor([0, 1, 2, 1, 0])
    expected = torch.nn.functional.cross_entropy(
        head.logits(embeddings), labels, label_smoothing=0.3
    )
    torch.testing.assert_close(head(embeddings, labels), expected)


@pytest.mark.parametrize(
    ("loss", "targets", "message"),
    [
        (
            "max-hinge",
            {"label_smoothing": 0.1},
            r"^targets\.label_smoothing: got 0.1, but it is defined for",
        ),
        (
            "supcon",
            {"label_smoothing": 0.1},
            r"^targets\.label_smoothing: got 0.1, but it is defined for",
        ),
        ("supcon", {"mixup": 0.2}, r"^targets\.mixup: labels: several for a sample"),
        ("proxy-anchor", {"mixup": 0.2}, r"^targets\.mixup: labels: several for a sample"),
        ("hinge", {"mixup": 0.2}, r"^targets\.mixup: labels: several for a sample"),
    ],
)
def test_what_a_loss_has_no_use_for_is_refused_before_training(tmp_path, loss, targets, message):
    config = change(run_config(tmp_path / "run", loss), "targets", TargetsConfig(**targets))
    with pytest.raises(ConfigError, match=message):
        train(config)
    assert not (tmp_path / "run").exists()


def test_the_mends_of_a_loss_that_compares_images_are_named(tmp_path):
    config = change(run_config(tmp_path / "run"), "loss", LossConfig("supcon"))
    with pytest.raises(
        ConfigError, match=r"^optimise\.per_identity: got 1, but supcon .* 2 or more"
    ):
        train(config)


def test_a_margin_for_each_class_needs_as_many_as_there_are():
    loss = LossConfig("cosface", {"margin": {"values": [0.1, 0.2]}})
    with pytest.raises(ConfigError, match=r"^loss\.margin: 2 numbers for 3 classes"):
        build_head(change(run_config("unused"), "loss", loss), COUNTS)


PIXELS, LABELS = torch.randn(6, 1, 8, 8), torch.tensor([0, 1, 2, 3, 4, 5])


def test_without_mixup_a_batch_stays_as_it_is():
    batch = mixed(PIXELS, LABELS, with_targets(), 3)
    assert batch.pixels is PIXELS
    assert batch.labels is batch.own is LABELS
    assert batch.mass is None


@pytest.mark.parametrize("alpha", [1e-3, 0.2, 1.0, 50.0])
def test_labels_are_mixed_as_the_images_are(alpha):
    batch = mixed(PIXELS, LABELS, with_targets(mixup=alpha), 3)
    for image, labels, mass in zip(batch.pixels, batch.labels, batch.mass, strict=True):
        torch.testing.assert_close(image, (mass[:, None, None, None] * PIXELS[labels]).sum(dim=0))
    assert torch.equal(batch.own, LABELS)
    assert sorted(batch.labels[:, 1].tolist()) == LABELS.tolist()
    assert (batch.mass[:, 0] >= 0.5).all()
    assert (batch.mass.sum(dim=1) == 1).all()


def test_a_draw_depends_on_seed_and_step_alone():
    config = with_targets(mixup=1.0)
    first = mixed(PIXELS, LABELS, config, 3)
    torch.manual_seed(99)
    assert torch.equal(mixed(PIXELS, LABELS, config, 3).pixels, first.pixels)
    assert not torch.equal(mixed(PIXELS, LABELS, config, 4).pixels, first.pixels)
    other = change(config, "seed", 1)
    assert not torch.equal(mixed(PIXELS, LABELS, other, 3).pixels, first.pixels)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 5.0])
def test_the_share_is_that_of_the_beta_distribution(alpha):
    config = with_targets(mixup=alpha)
    shares = torch.stack([mixed(PIXELS, LABELS, config, step).mass[0, 0] for step in range(3000)])
    # the variance of Beta(a, a) about 1/2; its standard error is below 2 % here
    variance = 1 / (4 * (2 * alpha + 1))
    assert (shares - 0.5).square().mean().item() == pytest.approx(variance, rel=0.1)


def test_a_mixed_run_learns(tmp_path):
    config = change(run_config(tmp_path), "targets", TargetsConfig(0.1, "balanced", 0.2))
    folder = train(config).folder
    lines = metrics_of(folder)
    assert len(lines) == STEPS
    assert lines[-1]["angle_degrees"] < lines[0]["angle_degrees"]
    assert lines[-1]["accuracy"] > 0.8
    plain = train(run_config(tmp_path / "plain")).folder
    assert sha256(folder_of(config).weights) != sha256(plain.weights)
