import json
import shutil
import sys

import pytest

from cli.conftest import DIGITS
from gonio.evaluate import Report

FILES = ("results.json", "scores.png", "roc.png")


def test_evaluation_repeats_what_training_found(gonio, trained, own_run):
    for name in FILES:
        (own_run / name).unlink()
    result = gonio("evaluate", own_run)
    assert result.code == 0, result.err
    for name in FILES:
        assert (own_run / name).read_bytes() == (trained[0] / name).read_bytes()
    table, line = trained[1].out.rsplit("run: ", 1)
    assert line.strip() == str(trained[0])
    assert result.out == table


def test_runs_stand_side_by_side_with_the_untrained_backbone(gonio, own_run, tmp_path):
    other = tmp_path / "second"
    assert gonio("train", *DIGITS, "--loss", "softmax", "--out", other).code == 0
    path = tmp_path / "all.json"
    result = gonio("evaluate", own_run, other, "--untrained", "--json", path)
    assert result.code == 0, result.err
    header = result.out.splitlines()[0].split()
    assert header == ["unseen", "identities", "first", "second", "untrained"]
    reports = {
        name: Report.from_json(json.dumps(one))
        for name, one in json.loads(path.read_text()).items()
    }
    assert list(reports) == ["first", "second", "untrained"]
    assert reports["first"] == Report.read(own_run / "results.json")
    assert reports["second"] == Report.read(other / "results.json")
    values = {one.verification.auc.value for one in reports.values()}
    assert len(values) == 3


def test_another_data_set_is_evaluated_whole_and_beside_the_own_results(gonio, own_run):
    before = [(own_run / name).read_bytes() for name in FILES]
    result = gonio("evaluate", own_run, "--data", "digits")
    assert result.code == 0, result.err
    report = Report.read(own_run / "results-digits.json")
    assert (report.identities, report.images) == (10, 1797)
    assert (own_run / "scores-digits.png").exists()
    assert (own_run / "roc-digits.png").exists()
    assert [(own_run / name).read_bytes() for name in FILES] == before


def test_runs_of_one_name_are_told_apart_by_their_paths(gonio, own_run, tmp_path):
    other = shutil.copytree(own_run, tmp_path / "elsewhere" / "first")
    path = tmp_path / "all.json"
    assert gonio("evaluate", own_run, other, "--json", path).code == 0
    assert list(json.loads(path.read_text())) == [str(own_run), str(other)]


def test_without_matplotlib_the_numbers_are_there_and_the_pictures_are_missed(
    gonio, own_run, monkeypatch
):
    for name in FILES:
        (own_run / name).unlink()
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    result = gonio("evaluate", own_run)
    assert result.code == 0
    assert "gonio: warning: " in result.err
    assert "gonio[plot]" in result.err
    assert (own_run / "results.json").exists()
    assert not (own_run / "roc.png").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), 2, "RUN"),
        (("RUN", "--jsn", "x"), 2, "--jsn"),
        (("RUN", "--json", "no/where.json"), 2, "the folder no does not exist"),
        (("RUN", "--data", "nowhere"), 2, "nowhere"),
        (("nowhere",), 4, "nowhere holds no trained model"),
    ],
    ids=str,
)
def test_what_cannot_be_evaluated_is_refused(refused, own_run, arguments, code, message):
    own = [own_run if one == "RUN" else one for one in arguments]
    assert message in refused(code, "evaluate", *own)


def test_a_damaged_run_ends_with_code_4(refused, own_run):
    (own_run / "model.safetensors").write_bytes(b"")
    assert "model.safetensors is damaged" in refused(4, "evaluate", own_run)
    (own_run / "model.json").unlink()
    assert "--resume" in refused(4, "evaluate", own_run)


def test_data_that_changed_since_training_are_refused(refused, own_run):
    about = json.loads((own_run / "model.json").read_text())
    about["data"]["images"] += 1
    (own_run / "model.json").write_text(json.dumps(about))
    assert "the data have changed" in refused(3, "evaluate", own_run)
