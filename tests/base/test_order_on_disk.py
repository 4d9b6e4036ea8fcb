"""What is written is on the disk before it takes a name, and the name before anybody goes on."""

import os

from gonio.base.durable import write_text


def test_a_file_is_synced_before_it_is_renamed_and_its_folder_after(tmp_path, monkeypatch):
    events = []
    fsync, replace = os.fsync, os.replace

    def synced(descriptor):
        events.append(("on the disk", os.fstat(descriptor).st_ino))
        fsync(descriptor)

    def replaced(part, path):
        events.append(("renamed", os.stat(part).st_ino))
        replace(part, path)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    path = tmp_path / "a.txt"
    write_text(path, "new")
    file, folder = path.stat().st_ino, tmp_path.stat().st_ino
    assert events == [("on the disk", file), ("renamed", file), ("on the disk", folder)]
