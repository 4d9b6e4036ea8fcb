import pytest
import torch

from gonio.data import ArrayImages, to_float


def pixels(count, size=8, channels=1):
    return (
        torch.arange(count, dtype=torch.uint8).reshape(-1, 1, 1, 1).repeat(1, channels, size, size)
    )


def test_read_returns_the_images_asked_for_in_that_order():
    images = ArrayImages(pixels(5), torch.tensor([0, 0, 1, 1, 1]), ("a", "b"))
    read = images.read([3, 0, 3])
    assert read.dtype == torch.uint8
    assert read.shape == (3, 1, 8, 8)
    assert read[:, 0, 0, 0].tolist() == [3, 0, 3]
    assert images.read([]).shape == (0, 1, 8, 8)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"pixels": pixels(3).float()}, "pixels must be uint8 .* got torch.float32"),
        ({"pixels": pixels(3)[:, 0]}, r"pixels must be uint8 .* of shape \(3, 8, 8\)"),
        ({"labels": torch.tensor([0, 1])}, r"labels must be int64 of shape \(3,\)"),
        ({"labels": torch.tensor([0.0, 1, 1])}, "labels must be int64"),
        ({"labels": torch.tensor([0, 1, 2])}, r"labels must be in \[0, 2\).* got 2"),
        ({"labels": torch.tensor([0, -1, 1])}, r"labels must be in \[0, 2\).* got -1"),
    ],
)
def test_what_does_not_go_together_is_refused(wrong, message):
    right = {"pixels": pixels(3), "labels": torch.tensor([0, 1, 1]), "names": ("a", "b")}
    with pytest.raises(ValueError, match=message):
        ArrayImages(**right | wrong)


def test_to_float_maps_black_to_minus_one_and_white_to_one():
    scaled = to_float(torch.tensor([0, 51, 255], dtype=torch.uint8))
    torch.testing.assert_close(scaled, torch.tensor([-1, -0.6, 1]))


def test_to_float_refuses_pixels_that_are_scaled_already():
    with pytest.raises(ValueError, match="pixels must be uint8"):
        to_float(torch.rand(2, 1, 8, 8))
