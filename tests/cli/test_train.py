import json

import pytest
import yaml

from cli.conftest import DIGITS
from gonio import losses
from gonio.train import read_result


def test_a_run_prints_its_results_and_keeps_them(trained):
    folder, result = trained
    assert "TAR at FAR" in result.out
    assert "first" in result.out
    assert f"run: {folder}" in result.out
    names = {path.name for path in folder.iterdir()}
    assert names == {
        ".lock",
        "checkpoints",
        "config.yaml",
        "metrics.jsonl",
        "model.json",
        "model.safetensors",
        "results.json",
        "roc.png",
        "run.json",
        "scores.png",
    }
    report = read_result(folder / "results.json").report
    assert (report.identities, report.verification.auc.reason) == (2, None)
    assert (folder / "scores.png").read_bytes()[:4] == b"\x89PNG"


def test_progress_is_plain_lines_on_standard_error_where_there_is_no_terminal(trained):
    _, result = trained
    last = result.err.splitlines()[-1]
    for fact in ("step 24/24", "loss ", "acc ", "angle ", "°", " samples/s"):
        assert fact in last
    assert "\x1b" not in result.err


@pytest.mark.parametrize("name", losses.names())
def test_every_loss_of_the_table_trains(gonio, tmp_path, name):
    is_contrastive = losses.get(name).loss().pairing.against == "batch"
    together = ("--optimise.per_identity", 4) if is_contrastive else ()
    result = gonio(
        "train", *DIGITS, "--loss", name, "--out", tmp_path / "run", "--log_every", 1, *together
    )
    assert result.code == 0, result.err
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    first, last = json.loads(lines[0]), json.loads(lines[-1])
    assert last["angle_degrees"] < first["angle_degrees"]
    assert read_result(tmp_path / "run" / "results.json").report.verification.auc.value > 0.5


def printed(gonio, *arguments):
    result = gonio("train", *arguments, "--print_config")
    assert result.code == 0, result.err
    return yaml.safe_load(result.out)


@pytest.mark.parametrize("name", losses.names())
def test_a_printed_configuration_gives_itself(gonio, tmp_path, name):
    path = tmp_path / "c.yaml"
    text = gonio("train", "--loss", name, "--print_config").out
    path.write_text(text)
    assert gonio("train", "--config", path, "--print_config").out == text
    assert yaml.safe_load(text)["loss"]["name"] == name


def test_the_configuration_of_a_run_can_be_run_again(trained, gonio):
    folder, _ = trained
    again = printed(gonio, "--config", folder / "config.yaml")
    assert again == yaml.safe_load((folder / "config.yaml").read_text())
    assert again["out"] == str(folder)
    assert again["data"]["size"] == 8


def test_the_command_line_wins_over_the_file_and_the_file_over_the_defaults(gonio, tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("data: digits\nloss: {margin: 0.3}\noptimise: {lr: 1e-2, epochs: 7}\nseed: 4\n")
    found = printed(gonio, "--optimise.lr", "0.5", "--config", path, "--loss.scale=auto")
    assert found["data"]["source"] == "digits"
    assert found["loss"] == {
        "name": "arcface",
        "margin": 0.3,
        "scale": "auto",
        "past_pi": "fold",
        "gradient": "exact",
    }
    assert (found["optimise"]["lr"], found["optimise"]["epochs"], found["seed"]) == (0.5, 7, 4)


def test_another_loss_leaves_the_settings_of_the_files_loss_out(gonio, tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("loss: {name: arcface, margin: 0.3}\n")
    assert printed(gonio, "--config", path, "--loss", "cosface")["loss"]["margin"] == 0.35
    assert printed(gonio, "--config", path, "--loss", "arcface")["loss"]["margin"] == 0.3


def test_a_section_is_a_name_or_a_mapping_on_the_command_line_too(gonio, tmp_path):
    chosen = ("--loss", "{name: cosface, margin: 5e-1}", "--loss.scale", "9", "--data", "{size: 8}")
    found = printed(gonio, *chosen)
    assert found["loss"] == {"name": "cosface", "margin": 0.5, "scale": 9.0}
    assert (found["data"]["source"], found["data"]["size"]) == ("glyphs", 8)
    drawn = ("--backend", "sampled", "--backend.rate", "0.5", "--backend.backend", "{tile: 3}")
    backend = printed(gonio, *drawn)["backend"]
    assert (backend["name"], backend["rate"], backend["backend"]["tile"]) == ("sampled", 0.5, 3)


@pytest.mark.parametrize("name", ["#1", "&a", "null", "010", "on", "!x", "{a}", "a: b", "'", "é"])
def test_a_name_on_the_command_line_is_that_name(gonio, name):
    found = printed(gonio, "--out", name, "--data", name if name != "{a}" else f"./{name}")
    assert found["out"] == name
    assert found["data"]["source"].removeprefix("./") == name


def test_schedules_and_scales_can_be_set(gonio, tmp_path):
    ramp = {"start": 0, "end": 0.5, "steps": 10}
    found = printed(gonio, "--loss.margin", str(ramp), "--loss.scale", "learned")
    assert (found["loss"]["margin"], found["loss"]["scale"]) == (ramp, "learned")
    result = gonio("train", *DIGITS, "--loss.margin", str(ramp), "--out", tmp_path / "run")
    assert result.code == 0, result.err
    about = json.loads((tmp_path / "run" / "model.json").read_text())
    assert about["loss"]["margin"] == ramp


def test_help_shows_units_and_defaults_of_the_loss(gonio):
    text = " ".join(gonio("train", "--loss", "arcface", "--help").out.split())
    for said in (
        "loss arcface:",
        "backend auto:",
        "--loss.margin MARGIN",
        "m in radians",
        "default: 0.5",
        "default: 64.0",
        "in pixels",
    ):
        assert said in text
    assert "--loss.margin MARGIN" not in gonio("train", "--loss", "softmax", "--help").out


REFUSED = [
    (("--loss", "arcfce"), "did you mean 'arcface'?"),
    (("--loss.margn", "0.5"), "--loss.margn: .* did you mean --loss.margin?"),
    (("--loss", "softmax", "--loss.margin", "0.5"), "there is no such option .* --loss.bias"),
    (("--zzz", "0.5"), "--zzz: there is no such option of gonio train; there is what --help lists"),
    (
        ("--loss.margin", "half"),
        "loss.margin: got 'half'; it must be a number or {start, end, steps}",
    ),
    (("--loss.margin", "28.6"), "loss.margin: 28.6 is out of range .* degrees"),
    (("--loss.margin", "{start: 0, stop: 1}"), "{start, end, steps}"),
    (
        ("--loss.scale", "automatic"),
        "loss.scale: got 'automatic'; it must be .*'auto' or 'learned'",
    ),
    (("--loss.scale", "auto", "--loss.margin", "3", *DIGITS), "loss.scale: 'auto' has no answer"),
    (("--loss.gradient", "none"), "'exact' or 'detached'"),
    (("--loss.margin", "{values: [0.1, 0.2]}", *DIGITS), "loss.margin: 2 numbers for 8 classes"),
    (("--loss", "supcon", *DIGITS), "optimise.per_identity: got 1 .* set it to 2 or more"),
    (("--loss", "max-hinge", "--targets.label_smoothing", "0.1", *DIGITS), "targets.label_smooth"),
    (("--loss", "hinge", "--targets.mixup", "0.1", *DIGITS), "targets.mixup: labels: several for"),
    (("--targets.mixup", "-1"), "targets.mixup: got -1.0; it must be finite and >= 0"),
    (("--targets.class_weights", "even"), "targets.class_weights: .* 'equal' or 'balanced'"),
    (("--optimise.epochs", "1e1"), "optimise.epochs: got 10.0; it must be a whole number"),
    (("--optimise.epochs", "true"), "optimise.epochs: got True"),
    (("--optimise.epochs", "0"), "optimise.epochs: got 0; it must be in [1, 10^9]"),
    (("--optimise.lr", ".nan"), "optimise.lr: got nan"),
    (("--optimise.lr",), "--optimise.lr: expected one argument"),
    (("--data.channels", "2"), "data.channels: got 2; it must be 1 or 3"),
    (("--data.unseen", "1"), "data.unseen: got 1.0; it must be in"),
    (("--data", "nowhere"), "nowhere"),
    (("--data", "digits", "--model", "smal"), "did you mean 'small'?"),
    (("--seed", "-1"), "seed: got -1"),
    (("--seed", "9" * 23), "seed: got .* whole numbers have 64 bits"),
    (("--seed", "{}"), "seed: got {}; it must be a whole number"),
    (("--optimise.lr", "1:30"), "optimise.lr: got '1:30'; it must be a number"),
    (("--optimise.lr", "1e300"), "optimise.lr: got 1e+300; .* up to 3.4e+38"),
    (("--data.size", "65536", *DIGITS[4:]), "data.size: got 65536; it must be in [8, 65535]"),
    (("--out", "x" * 300), "out: .* File name too long"),
    (("--backend", "chunkd"), "backend: 'chunkd' is unknown; did you mean 'chunked'?"),
    (("--backend", "sampled"), "backend.rate: it is not given; it must be a number"),
    (("--sed", "1"), "--sed: .* did you mean --seed?"),
    (("digits",), "unrecognized arguments: digits"),
    (("--config", "nowhere.yaml"), "nowhere.yaml: No such file"),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSED, ids=str)
def test_a_setting_that_cannot_be_used_is_refused_in_one_line(
    refused, arguments, message, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    error = refused(2, "train", *arguments)
    for part in message.split(".*"):
        assert part.strip() in error
    assert not list(tmp_path.rglob("*.*")), "a refused run leaves files"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("loss:\n- 1\n", "line 1: loss: got [1]; it must be a name"),
        ("loss: {name: arcface, margn: 1}", "line 1: loss.margn: .* did you mean loss.margin?"),
        ("optimise: 3", "c.yaml, line 1: optimise: got 3; it must be {epochs, "),
        (
            "loss: 3",
            "c.yaml, line 1: loss: got 3; it must be a name or {name: NAME, SETTING: VALUE}",
        ),
        (
            "# a\nlog_every: 3\nseed: one",
            "c.yaml, line 3: seed: got 'one'; it must be a whole number",
        ),
        ("seed: 1\nseed: 2", "line 2: .* 'seed' stands twice"),
        ("a: [1", "c.yaml, line 1"),
        ("- 1", "c.yaml: got a list"),
        ("model: null", "model: got null; it must be a name or {backbone, embedding_dim}"),
        ("optimise: {lr: null}", "optimise.lr: got null; it must be a number"),
        ("loss: {scale: null}", "loss.scale: got null"),
        ("data: {1: 2}", "data.1: there is no such setting"),
        ("data: {size: 8}\ndata.size: 9", "data.size: there is no such setting"),
        ("lr: 1", "c.yaml, line 1: lr: there is no such setting; did you mean optimise.lr?"),
        ("resume: {}", "resume: there is no such setting"),
        ("loss: {name: 3}", "c.yaml, line 1: loss.name: got 3; give a name or {name: NAME"),
        (
            "data:\n  size: 8\n  channels: true",
            "c.yaml, line 3: data.channels: got True; it must be 1 or 3",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_one_line(refused, tmp_path, text, message):
    (tmp_path / "c.yaml").write_text(text)
    error = refused(2, "train", "--config", tmp_path / "c.yaml")
    for part in message.split(".*"):
        assert part.strip() in error


def test_data_that_cannot_be_read_end_with_code_3(refused, tmp_path):
    for name in ("a", "b", "c"):
        (tmp_path / "people" / name).mkdir(parents=True)
    assert "no file" in refused(3, "train", "--data", tmp_path / "people")
    for name in ("a", "b", "c"):
        (tmp_path / "people" / name / "1.png").write_bytes(b"\x89PNG, but not really")
    assert "a/1.png" in refused(3, "train", "--data", tmp_path / "people")


def test_runs_are_not_overwritten_and_not_mixed(refused, trained):
    folder, _ = trained
    assert "--resume" in refused(2, "train", *DIGITS, "--out", folder)
    changed = ("--optimise.lr", "0.01", "--out", folder, "--resume")
    assert "optimise.lr: 0.01 now, 0.1 in the run" in refused(4, "train", *DIGITS, *changed)
    assert "holds no run" in refused(4, "train", *DIGITS, "--out", folder / "no", "--resume")


def test_a_run_without_a_whole_checkpoint_ends_with_code_4(refused, own_run):
    for one in (own_run / "checkpoints").glob("step-*"):
        (one / "facts.json").unlink()
    error = refused(4, "train", *DIGITS, "--out", own_run, "--resume")
    assert "no checkpoint is whole" in error


def test_a_run_that_diverges_ends_with_code_1(gonio, tmp_path):
    result = gonio("train", *DIGITS, "--optimise.lr", "1e30", "--out", tmp_path / "run")
    assert result.code == 1
    assert result.err.splitlines()[-1].startswith("gonio: error: step ")


def test_a_run_that_was_moved_goes_on_where_it_is_now(
    gonio, trained, own_run, tmp_path, monkeypatch
):
    before = (trained[0] / "results.json").stat().st_mtime_ns
    (own_run / "results.json").unlink()
    monkeypatch.chdir(tmp_path)
    result = gonio("train", "--config", own_run / "config.yaml", "--resume")
    assert result.code == 0, result.err
    assert f"run: {own_run}" in result.out
    assert "going on after step 24 of 24" in result.err
    assert (own_run / "results.json").exists()
    assert (trained[0] / "results.json").stat().st_mtime_ns == before
