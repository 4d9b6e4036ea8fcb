import json
import os
import shutil

import pytest
import torch

from gonio.base.durable import sha256
from gonio.base.errors import CheckpointError
from gonio.data import Fingerprint
from gonio.runs.about import Facts
from gonio.runs.checkpoint import Checkpoint, newest_checkpoint, save_checkpoint

RUN = Facts({"seed": 7}, Fingerprint(identities=3, images=9, names="n", files="f", pixels="p"))


def checkpoint(step):
    tensors = {"a.weight": torch.full((3, 2), float(step)), "step": torch.tensor(step)}
    return Checkpoint(step, RUN, tensors)


def assert_same(found, step):
    expected = checkpoint(step)
    assert (found.step, found.run) == (expected.step, expected.run)
    assert found.tensors.keys() == expected.tensors.keys()
    assert all(torch.equal(found.tensors[name], one) for name, one in expected.tensors.items())


def test_nothing_is_found_where_nothing_was_saved(tmp_path):
    assert newest_checkpoint(tmp_path / "none") is None


def test_the_newest_comes_back_and_two_are_kept(tmp_path):
    for step in (5, 100, 20_000, 100_000_000):
        save_checkpoint(tmp_path / "c", checkpoint(step))
        assert_same(newest_checkpoint(tmp_path / "c"), step)
    names = sorted(path.name for path in (tmp_path / "c").iterdir())
    assert names == ["step-000020000", "step-100000000"]


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


DAMAGE = {
    "bit flipped in the tensors": lambda one: flip_a_bit(one / "tensors.safetensors"),
    "bit flipped in the facts": lambda one: flip_a_bit(one / "facts.json"),
    "tensors cut off": lambda one: os.truncate(one / "tensors.safetensors", 10),
    "tensors empty": lambda one: os.truncate(one / "tensors.safetensors", 0),
    "tensors gone": lambda one: (one / "tensors.safetensors").unlink(),
    "facts gone": lambda one: (one / "facts.json").unlink(),
    "manifest gone": lambda one: (one / "manifest.json").unlink(),
    "manifest cut off": lambda one: os.truncate(one / "manifest.json", 5),
    "manifest of another kind": lambda one: (one / "manifest.json").write_text("[]"),
    "a file in its place": lambda one: (shutil.rmtree(one), one.write_text("")),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_one_is_put_aside_and_the_one_before_it_is_taken(tmp_path, damage):
    save_checkpoint(tmp_path, checkpoint(1))
    save_checkpoint(tmp_path, checkpoint(2))
    damage(tmp_path / "step-000000002")
    with pytest.warns(UserWarning, match="step-000000002 is damaged"):
        assert_same(newest_checkpoint(tmp_path), 1)
    assert (tmp_path / ".corrupt-step-000000002").exists()
    save_checkpoint(tmp_path, checkpoint(2))  # its name is free again
    assert_same(newest_checkpoint(tmp_path), 2)


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_where_none_is_whole_there_is_no_silent_start_from_scratch(tmp_path, damage):
    save_checkpoint(tmp_path, checkpoint(1))
    damage(tmp_path / "step-000000001")
    with pytest.warns(UserWarning, match="damaged"), pytest.raises(CheckpointError, match="whole"):
        newest_checkpoint(tmp_path)
    with pytest.raises(CheckpointError, match="corrupt-step-000000001"):
        newest_checkpoint(tmp_path)


def test_a_disk_that_cannot_be_read_is_no_damage(tmp_path, monkeypatch):
    save_checkpoint(tmp_path, checkpoint(1))

    def fail(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("gonio.runs.checkpoint.sha256", fail)
    with pytest.raises(PermissionError):
        newest_checkpoint(tmp_path)
    monkeypatch.undo()
    assert_same(newest_checkpoint(tmp_path), 1)


def test_a_newer_format_is_refused_and_left_as_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr("gonio.runs.records.FORMAT", 99)
    save_checkpoint(tmp_path, checkpoint(1))
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match="newer"):
        newest_checkpoint(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000001"]


FACTS = {
    "no settings": lambda facts: facts["run"].pop("settings"),
    "settings of another kind": lambda facts: facts["run"].update(settings=None),
    "no data": lambda facts: facts["run"].update(data="x"),
    "a step in words": lambda facts: facts.update(step="1"),
    "the step of another": lambda facts: facts.update(step=2),
    "a step before the first": lambda facts: facts.update(step=-1),
    "a step beyond all": lambda facts: facts.update(step=10**30),
    "more than there is": lambda facts: facts.update(more=1),
}


@pytest.mark.parametrize("change", FACTS.values(), ids=FACTS)
def test_facts_that_are_none_are_damage_also_where_their_digest_agrees(tmp_path, change):
    save_checkpoint(tmp_path, checkpoint(1))
    facts, manifest = (
        tmp_path / "step-000000001" / f"{name}.json" for name in ("facts", "manifest")
    )
    changed = json.loads(facts.read_text())
    change(changed)
    facts.write_text(json.dumps(changed))
    digests = json.loads(manifest.read_text())
    digests["sha256"]["facts.json"] = sha256(facts)
    manifest.write_text(json.dumps(digests))
    with (
        pytest.warns(UserWarning, match="step-000000001 is damaged"),
        pytest.raises(CheckpointError, match="no checkpoint is whole"),
    ):
        newest_checkpoint(tmp_path)


class PowerCut(BaseException):
    """Nothing may catch it but the test."""


def cut_power_at(monkeypatch, call):
    """Let the n-th change of the disk from now on be the last thing that does not happen."""
    left = iter(range(call, -1, -1))
    for module, name in ((os, "fsync"), (os, "replace"), (os, "rename"), (os, "rmdir")):
        real = getattr(module, name)

        def counted(*arguments, real=real, **keywords):
            if next(left, 0) == 0:
                raise PowerCut
            return real(*arguments, **keywords)

        monkeypatch.setattr(module, name, counted)


def test_a_crash_at_any_point_of_saving_leaves_a_whole_checkpoint(tmp_path, monkeypatch):
    outcomes = set()
    for call in range(100):
        folder = tmp_path / str(call)
        for step in (1, 2):
            save_checkpoint(folder, checkpoint(step))
        with monkeypatch.context() as patched:
            cut_power_at(patched, call)
            try:
                save_checkpoint(folder, checkpoint(3))
                break
            except PowerCut:
                pass
        assert len(list(folder.glob("step-*"))) >= 2, "an old one went before the new one was whole"
        found = newest_checkpoint(folder)
        assert_same(found, found.step)
        outcomes.add(found.step)
        save_checkpoint(folder, checkpoint(3))
        save_checkpoint(folder, checkpoint(4))
        assert_same(newest_checkpoint(folder), 4)
        assert len(list(folder.iterdir())) == 2, "half of a checkpoint is left behind"
    assert call > 8
    assert outcomes == {2, 3}


def test_the_name_of_a_checkpoint_is_on_the_disk_before_an_older_one_goes(tmp_path, monkeypatch):
    for step in (1, 2):
        save_checkpoint(tmp_path, checkpoint(step))
    events = []
    fsync, rename = os.fsync, os.rename

    def synced(descriptor):
        if os.fstat(descriptor).st_ino == tmp_path.stat().st_ino:
            events.append("synced")
        fsync(descriptor)

    def renamed(old, new):
        events.append(f"{old.name} -> {new.name}")
        rename(old, new)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "rename", renamed)
    save_checkpoint(tmp_path, checkpoint(3))
    assert events == [
        ".part-step-000000003 -> step-000000003",
        "synced",
        "step-000000001 -> .part-step-000000001",
    ]
