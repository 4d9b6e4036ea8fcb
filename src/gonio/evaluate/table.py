"""Reports side by side, as a table for the terminal."""

from collections.abc import Iterator, Mapping

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from gonio.base.text import shown
from gonio.evaluate.angles import AngleSummary
from gonio.evaluate.metrics import TarAtFar
from gonio.evaluate.pairs import PairCounts
from gonio.evaluate.report import Report

MISSING = "-"


def report_table(
    reports: Mapping[str, Report], trained_on: Mapping[str, int] | None = None
) -> Table:
    """One column for each named report; rates in %, angles in degrees, counts behind each TAR.

    What a report has no value for is shown as "-", with a footnote that says why.

    Args:
        reports: name -> report.
        trained_on: name -> how many of its identities were trained on, where that is known.

    Raises:
        ValueError: no report.
    """
    if not reports:
        raise ValueError("reports: got none; at least one named report is needed")
    stated = {point.far for report in reports.values() for point in report.verification.tar_at_far}
    notes = _Footnotes()
    columns = [
        list(_cells(report, sorted(stated, reverse=True), notes)) for report in reports.values()
    ]
    table = Table(box=SIMPLE_HEAD, caption_justify="left")
    table.add_column(_whose(reports, trained_on), no_wrap=True)
    for name in reports:
        table.add_column(Text(shown(name)), justify="right", overflow="fold")
    for cells in zip(*columns, strict=True):
        label = cells[0][0]
        if label == "images" and trained_on and any(trained_on.values()):
            table.add_row("  trained on", *(_count(trained_on.get(name)) for name in reports))
        table.add_row(label, *(cell for _, cell in cells), end_section=label in _LAST_OF_SECTION)
    table.caption = Text(str(notes))
    return table


def _whose(reports: Mapping[str, Report], trained_on: Mapping[str, int] | None) -> str:
    """Of whom the numbers are: unseen, seen or mixed where the models tell."""
    if trained_on is None:
        return "identities"
    if not any(trained_on.values()):
        return "unseen identities"
    is_seen = all(trained_on.get(name) == one.identities for name, one in reports.items())
    return "seen identities" if is_seen else "mixed identities"


_LAST_OF_SECTION = ("impostor pairs", "  folds")


class _Footnotes:
    """Numbers remarks in the order in which they are first made."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def mark(self, remark: str | None) -> str:
        """The raised number of a remark, nothing where there is none."""
        if remark is None:
            return ""
        return " " + _raised(self._numbers.setdefault(remark, len(self._numbers) + 1))

    def __str__(self) -> str:
        return "\n".join(f"{_raised(number)} {remark}" for remark, number in self._numbers.items())


def _cells(report: Report, stated: list[float], notes: _Footnotes) -> Iterator[tuple[str, str]]:
    """The column of a report: (label, cell) from top to bottom, the same labels for every one."""
    verification = report.verification
    auc, eer, accuracy = verification.auc, verification.eer, verification.accuracy
    yield "identities", f"{report.identities:,}"
    yield "images", f"{report.images:,}"
    yield "genuine pairs", f"{verification.pairs.genuine:,}"
    yield (
        "impostor pairs",
        f"{verification.pairs.impostor:,}" + notes.mark(_drawn(verification.pairs)),
    )
    yield "AUC, %", _percent(auc.value) + notes.mark(auc.reason)
    yield "EER, %", _percent(eer.value) + notes.mark(eer.reason)
    yield "  bracket", _range(_percent(eer.low), _percent(eer.high))
    for far in stated:
        yield from _tar_cells(far, verification.tar_at_far, notes)
    yield (
        "k-fold accuracy, %",
        _percent(accuracy.value) + notes.mark(accuracy.reason or accuracy.method),
    )
    yield "  standard error", _percent(accuracy.standard_error)
    yield "  folds", _folds(accuracy.pairs_per_fold)
    angles = report.angles
    yield "degrees: mean / median", ""
    yield from _angle_cells("to own centre", angles.to_own_centre, notes)
    yield from _angle_cells("in genuine pairs", angles.genuine_pairs, notes)
    yield from _angle_cells("to nearest centre", angles.to_nearest_centre, notes)
    yield from _angle_cells("in impostor pairs", angles.impostor_pairs, notes)


def _tar_cells(
    far: float, points: tuple[TarAtFar, ...], notes: _Footnotes
) -> Iterator[tuple[str, str]]:
    point = next((point for point in points if point.far == far), None)
    if point is None:
        value, genuine, impostor = MISSING + notes.mark("this FAR was not asked for"), None, None
    else:
        value = _percent(point.value) + notes.mark(point.reason or point.warning)
        genuine, impostor = point.true_accepts, point.false_accepts
    yield f"TAR at FAR ≤ {far:g}, %", value
    yield "  genuine accepted", _count(genuine)
    yield "  impostor accepted", _count(impostor)


def _angle_cells(label: str, summary: AngleSummary, notes: _Footnotes) -> Iterator[tuple[str, str]]:
    if summary.mean is None:
        yield label, MISSING + notes.mark(summary.reason)
        yield "  5 % to 95 %", MISSING
    else:
        yield label, f"{summary.mean:.1f} / {summary.median:.1f}" + notes.mark(_share(summary))
        yield "  5 % to 95 %", f"{summary.percentile_5:.1f} to {summary.percentile_95:.1f}"


def _drawn(pairs: PairCounts) -> str | None:
    """How pairs were drawn, where not all were scored."""
    scored, there = (pairs.genuine, pairs.impostor), (pairs.all_genuine, pairs.all_impostor)
    return None if scored == there else pairs.method


def _share(angles: AngleSummary) -> str | None:
    """How many angles were drawn, where not all were computed."""
    if angles.count == angles.total:
        return None
    return f"{angles.count:,} of {angles.total:,} pairs, drawn with replacement"


def _percent(rate: float | None) -> str:
    return MISSING if rate is None else f"{100 * rate:.2f}"


def _count(number: int | None) -> str:
    return MISSING if number is None else f"{number:,}"


def _range(low: str, high: str) -> str:
    return MISSING if MISSING in (low, high) else f"{low} to {high}"


def _folds(pairs_per_fold: tuple[int, ...]) -> str:
    if not pairs_per_fold:
        return MISSING
    few, many = min(pairs_per_fold), max(pairs_per_fold)
    return f"{len(pairs_per_fold)} of {few if few == many else f'{few} to {many}'} pairs"


def _raised(number: int) -> str:
    return str(number).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
