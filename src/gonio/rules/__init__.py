"""The small frozen parts that a loss is made of. Each is a formula; none knows a named loss."""

from gonio.rules.negative import Excess
from gonio.rules.penalty import PoolOnly, Softplus
from gonio.rules.pool import LogSumExp, Sum
from gonio.rules.scale import Auto, FeatureNorm, Fixed, Learned, as_scale
from gonio.rules.schedule import Annealing, Ramp, Schedule
from gonio.rules.score import COSINE, INNER, PROJECTION, Score
from gonio.rules.target import AngularMargin, Annealed, AsIs, Detached, Subtract

__all__ = [
    "COSINE",
    "INNER",
    "PROJECTION",
    "AngularMargin",
    "Annealed",
    "Annealing",
    "AsIs",
    "Auto",
    "Detached",
    "Excess",
    "FeatureNorm",
    "Fixed",
    "Learned",
    "LogSumExp",
    "PoolOnly",
    "Ramp",
    "Schedule",
    "Score",
    "Softplus",
    "Subtract",
    "Sum",
    "as_scale",
]
