"""Evaluation of embeddings by their labels alone: verification, angles and reports."""

from gonio.evaluate.angles import Angles, AngleSummary, angles
from gonio.evaluate.folds import FoldAccuracy, kfold_accuracy
from gonio.evaluate.metrics import (
    AreaUnderCurve,
    EqualErrorRate,
    TarAtFar,
    area_under_curve,
    equal_error_rate,
    tar_at_far,
)
from gonio.evaluate.report import Report, evaluate_embeddings
from gonio.evaluate.scores import Scores
from gonio.evaluate.table import report_table
from gonio.evaluate.verification import Verification, verify

__all__ = [
    "AngleSummary",
    "Angles",
    "AreaUnderCurve",
    "EqualErrorRate",
    "FoldAccuracy",
    "Report",
    "Scores",
    "TarAtFar",
    "Verification",
    "angles",
    "area_under_curve",
    "equal_error_rate",
    "evaluate_embeddings",
    "kfold_accuracy",
    "report_table",
    "tar_at_far",
    "verify",
]
