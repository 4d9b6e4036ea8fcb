import io
import json

import pytest
import torch
from rich.console import Console

from gonio.base.errors import DataError
from gonio.evaluate import Report, evaluate_embeddings, report_table


def evaluated(identities=25, each=6, far=(1e-1, 1e-3), spread=1.0):
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(identities).repeat_interleave(each)
    centres = torch.randn(identities, 16, generator=generator)
    noise = torch.randn(len(labels), 16, generator=generator)
    return evaluate_embeddings(centres[labels] + spread * noise, labels, far=far)


@pytest.fixture(scope="module")
def report():
    return evaluated()


@pytest.fixture(scope="module")
def empty():
    """One identity with one image: nothing can be measured."""
    return evaluated(1, 1)


def test_the_counts(report):
    assert (report.identities, report.images) == (25, 150)
    assert report.verification.pairs.genuine == 25 * 15


def test_json_there_and_back(report, empty):
    for one in (report, empty):
        assert Report.from_json(one.to_json()) == one


def test_json_holds_no_nan(empty):
    def refuse(name):
        raise AssertionError(name)

    read = json.loads(empty.to_json(), parse_constant=refuse)
    assert read["verification"]["auc"]["value"] is None
    assert "no identity has two samples" in read["verification"]["auc"]["reason"]


def test_a_file_there_and_back(report, tmp_path):
    path = tmp_path / "report.json"
    path.write_text("old")
    report.write(path)
    assert Report.read(path) == report
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_nothing(report, tmp_path):
    (tmp_path / "report.json").mkdir()
    with pytest.raises(OSError, match=r"report\.json"):
        report.write(tmp_path / "report.json")
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def changed(report, change):
    value = json.loads(report.to_json())
    change(value)
    return json.dumps(value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda it: it.pop("images"), "Report: got the fields .* wanted is exactly"),
        (lambda it: it.update(extra=1), "Report: got the fields"),
        (lambda it: it.update(images="many"), r"Report\.images: got 'many'.* type int"),
        (lambda it: it.update(images=None), r"Report\.images: got None"),
        (
            lambda it: it["verification"].update(tar_at_far=3),
            r"Report\.verification\.tar_at_far: got 3; wanted is a list",
        ),
        (lambda it: it["verification"]["auc"].update(value=float("nan")), "NaN is not a number"),
    ],
)
def test_a_report_of_another_form_is_refused(report, change, message):
    with pytest.raises(DataError, match=message):
        Report.from_json(changed(report, change))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", b"\xff\xfe\x00", "[" * 100_000])
def test_what_is_no_report_is_refused(text):
    with pytest.raises(DataError):
        Report.from_json(text)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.json: No such file"):
        Report.read(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(DataError, match=r"bad\.json: Report"):
        Report.read(tmp_path / "bad.json")


def lines(reports, width=100, **more):
    console = Console(file=io.StringIO(), width=width)
    console.print(report_table(reports, **more))
    return console.file.getvalue().splitlines()


def line(printed, label):
    return next(one for one in printed if one.strip().startswith(label)).split()


def test_the_table_shows_reports_side_by_side(report):
    printed = lines({"softmax": evaluated(spread=3.0), "arcface [m=.5]": report})
    assert printed[1].split() == ["identities", "softmax", "arcface", "[m=.5]"]
    assert line(printed, "images")[1:] == ["150", "150"]
    assert line(printed, "AUC, %")[-1] == f"{100 * report.verification.auc.value:.2f}"
    point = report.verification.tar_at_far[0]
    assert line(printed, "TAR at FAR ≤ 0.1, %")[-1] == f"{100 * point.value:.2f}"
    assert line(printed, "genuine accepted")[-1] == f"{point.true_accepts:,}"
    assert line(printed, "impostor accepted")[-1] == f"{point.false_accepts:,}"
    own = report.angles.to_own_centre
    assert line(printed, "to own centre")[-3:] == [f"{own.mean:.1f}", "/", f"{own.median:.1f}"]


@pytest.mark.parametrize(
    ("trained_on", "whose"),
    [({"a": 0, "b": 0}, "unseen"), ({"a": 25, "b": 25}, "seen"), ({"a": 25, "b": 0}, "mixed")],
)
def test_the_table_says_of_whom_the_numbers_are(report, trained_on, whose):
    printed = lines({"a": report, "b": report}, trained_on=trained_on)
    assert printed[1].split() == [whose, "identities", "a", "b"]
    counts = [one.split() for one in printed if "trained on" in one]
    assert counts == ([] if whose == "unseen" else [["trained", "on", "25", str(trained_on["b"])]])


def test_what_is_missing_is_explained_below(report, empty):
    printed = lines({"full": report, "empty": empty})
    mark = line(printed, "AUC, %")[-1]
    assert line(printed, "AUC, %")[-2] == "-"
    assert any(one.startswith(f"{mark} there are no genuine pairs") for one in printed)


def test_angles_of_drawn_pairs_say_so():
    text = " ".join(" ".join(lines({"many": evaluated(100, 7)})).split())
    assert "200,000 of 242,550 pairs, drawn with replacement" in text


def test_an_unresolved_far_is_a_dash_with_a_footnote():
    printed = lines({"few": evaluated(5, 3)})
    value, mark = line(printed, "TAR at FAR ≤ 0.001, %")[-2:]
    assert value == "-"
    text = " ".join(" ".join(printed).split())
    assert f"{mark} FAR 0.001 cannot be resolved: it needs 1,000 impostor pairs" in text


def test_a_far_that_only_one_report_has(report):
    printed = lines({"a": report, "b": evaluated(far=(0.2,))})
    assert "-" in line(printed, "TAR at FAR ≤ 0.2, %")
    assert any("this FAR was not asked for" in one for one in printed)


def test_a_table_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one named report"):
        report_table({})
