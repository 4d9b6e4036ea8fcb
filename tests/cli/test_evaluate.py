import errno
import json
import os
import shutil
import sys

import pytest
from PIL import Image

from cli.conftest import DIGITS
from gonio.base.record import decode
from gonio.figures import style
from gonio.train import Result, read_result

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
    results = {name: decode(Result, one) for name, one in json.loads(path.read_text()).items()}
    assert list(results) == ["first", "second", "untrained"]
    assert results["first"] == read_result(own_run / "results.json")
    assert results["second"] == read_result(other / "results.json")
    assert results["untrained"].model is None
    assert len({one.report.verification.auc.value for one in results.values()}) == 3


def test_another_data_set_is_evaluated_whole_and_beside_the_own_results(gonio, own_run):
    before = [(own_run / name).read_bytes() for name in FILES]
    result = gonio("evaluate", own_run, "--data", "digits")
    assert result.code == 0, result.err
    (path,) = own_run.glob("results-digits-*.json")
    report = read_result(path).report
    assert (report.identities, report.images) == (10, 1797)
    assert len([*own_run.glob("scores-digits-*.png"), *own_run.glob("roc-digits-*.png")]) == 2
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
    about["run"]["data"]["pixels"] = "others"
    (own_run / "model.json").write_text(json.dumps(about))
    assert "the data have changed since" in refused(3, "evaluate", own_run)


def test_who_is_unseen_is_what_the_model_says_and_no_configuration(gonio, own_run):
    before = read_result(own_run / "results.json")
    config = own_run / "config.yaml"
    config.write_text(config.read_text().replace("unseen: 0.25", "unseen: 0.6"))
    assert gonio("evaluate", own_run).code == 0
    assert read_result(own_run / "results.json") == before
    config.unlink()
    (own_run / "run.json").unlink()
    assert gonio("evaluate", own_run).code == 0
    assert read_result(own_run / "results.json") == before


def test_identities_that_were_trained_on_are_counted(gonio, own_run):
    result = gonio("evaluate", own_run, "--data", "digits")
    assert result.out.split()[:2] == ["mixed", "identities"]
    assert "trained on 8" in " ".join(result.out.split())
    (path,) = own_run.glob("results-digits-*.json")
    trained_on = json.loads((own_run / "model.json").read_text())["identities"]
    assert list(read_result(path).trained_on) == trained_on


def test_a_run_that_cannot_be_written_is_evaluated_and_the_others_are_kept(
    gonio, own_run, tmp_path, monkeypatch
):
    real = style.save

    def save(figure, path):
        if path.parent == own_run:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        real(figure, path)

    monkeypatch.setattr(style, "save", save)
    other = shutil.copytree(own_run, tmp_path / "other")
    (other / "roc.png").unlink()
    result = gonio("evaluate", own_run, other, "--json", tmp_path / "report.json")
    assert result.code == 1
    assert "EER" in result.out
    assert result.err.splitlines()[-1].endswith(f"{os.strerror(errno.EROFS)}: {own_run}/scores.png")
    assert list(json.loads((tmp_path / "report.json").read_text())) == ["first", "other"]
    assert (other / "roc.png").exists()


def test_data_that_were_moved_are_looked_for_where_they_are_said_to_be(
    gonio, refused, tmp_path, monkeypatch
):
    people = tmp_path / "people"
    for name in "abcdef":
        for shade in range(3):
            path = people / name / f"{shade}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (8, 8), 40 * ord(name) % 211 + 9 * shade).save(path)
    words = ("--data.size", 8, "--optimise.epochs", 1, "--optimise.batch_size", 4)
    monkeypatch.chdir(tmp_path)
    assert gonio("train", "--data", "people", *words, "--out", "run").code == 0
    before = read_result(tmp_path / "run/results.json")
    people.rename(tmp_path / "moved")
    error = refused(3, "evaluate", "run")
    assert f"{people}: the data of run are no longer there" in error
    way = error.partition("they are: gonio ")[2].replace("FOLDER", "moved").split()
    assert gonio(*way).code == 0
    assert gonio("evaluate", "run").code == 0
    after = read_result(tmp_path / "run/results.json")
    assert (after.report, after.model) == (before.report, before.model)
    assert after.source == str(tmp_path / "moved")


def test_without_identities_kept_apart_there_is_a_model_and_no_result(gonio, refused, tmp_path):
    result = gonio("train", *DIGITS, "--data.unseen", 0, "--out", tmp_path / "run")
    assert result.code == 0, result.err
    assert result.out == f"run: {tmp_path / 'run'}\n"
    assert not (tmp_path / "run" / "results.json").exists()
    assert "was trained on all identities" in refused(3, "evaluate", tmp_path / "run")


def test_names_of_identities_that_are_no_text_are_trained_on_and_evaluated(gonio, tmp_path):
    names = [os.fsdecode(name) for name in (b"caf\xe9", b"\xff", b"\x1b]0;", b"ann")]
    for number, name in enumerate(names):
        for image in range(2):
            path = tmp_path / "faces" / name / f"{image}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.linear_gradient("L").rotate(80 * number + 5 * image).save(path)
    options = ("--data.size", 8, "--data.unseen", 0.5, "--optimise.epochs", 1, "--device", "cpu")
    run = tmp_path / "run"
    result = gonio("train", "--data", tmp_path / "faces", *options, "--out", run)
    assert result.code == 0, result.err
    assert gonio("evaluate", run).code == 0
    assert set(json.loads((run / "model.json").read_bytes())["identities"]) < set(names)
