"""The points of the contract, a file for a family; the library, `gonio check` and the tests ask these."""

from gonio.contract.point import Need, Point
from gonio.contract.points.alone import is_finite_for_a_batch_of_one
from gonio.contract.points.compiled import compiles_whole
from gonio.contract.points.engine import agrees_with_another_engine
from gonio.contract.points.finite import at_extreme_norms, at_the_poles
from gonio.contract.points.gradient import (
    is_the_derivative,
    is_the_derivative_near_the_poles,
    is_the_same_twice,
)
from gonio.contract.points.labels import leaves_ignored_rows_out, refuses_labels_out_of_range
from gonio.contract.points.order import (
    keeps_samples_apart,
    permutes_with_classes,
    permutes_with_samples,
)
from gonio.contract.points.precision import (
    keeps_its_digits_in_bfloat16,
    keeps_its_digits_in_float16,
    keeps_its_digits_in_float32,
    leaves_the_weight_its_dtype,
)
from gonio.contract.points.value import (
    equals_its_formula,
    equals_its_formula_near_the_poles,
    falls_with_the_target_angle,
)


def _needs(*needs: Need) -> frozenset[Need]:
    return frozenset(needs)


_POINTS = (
    Point("value is the formula's", equals_its_formula, _needs("formula")),
    Point("value near cosine ±1", equals_its_formula_near_the_poles, _needs("formula")),
    Point("gradient is the derivative", is_the_derivative),
    Point("gradient near cosine ±1", is_the_derivative_near_the_poles),
    Point("same by another engine", agrees_with_another_engine, _needs("engine")),
    Point("target falls with its angle", falls_with_the_target_angle),
    Point("finite at cosine ±1", at_the_poles, _needs("engine", "dtype")),
    Point("finite at zero and huge norms", at_extreme_norms, _needs("engine", "dtype")),
    Point("float32 embeddings", keeps_its_digits_in_float32, _needs("engine", "dtype")),
    Point("float16 embeddings", keeps_its_digits_in_float16, _needs("engine", "dtype")),
    Point("bfloat16 embeddings", keeps_its_digits_in_bfloat16, _needs("engine", "dtype")),
    Point("ignored label", leaves_ignored_rows_out),
    Point("labels out of range", refuses_labels_out_of_range),
    Point("order of samples", permutes_with_samples),
    Point("samples do not meet", keeps_samples_apart),
    Point("a batch of one", is_finite_for_a_batch_of_one),
    Point("numbers of classes", permutes_with_classes),
    Point("dtype of the weight", leaves_the_weight_its_dtype),
    Point("second backward", is_the_same_twice, _needs("engine")),
    Point("torch.compile", compiles_whole, _needs("engine", "tracing")),
)
POINTS = {point.name: point for point in _POINTS}
"""What a loss is held to, by the name in the table."""
