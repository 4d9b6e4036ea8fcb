"""A number is worth its model and its data: results say both, and do not overwrite each other."""

from dataclasses import replace

import pytest
import torch

from gonio.data import ArrayImages, Fingerprint
from gonio.evaluate import evaluate_embeddings
from gonio.runs.about import Environment
from gonio.runs.folder import RunFolder
from gonio.runs.results import Result, read_result, trained_on, write_result


@pytest.fixture(scope="module")
def result():
    embeddings = torch.randn(12, 3, generator=torch.Generator().manual_seed(0))
    return Result(
        model="0123456789" * 6,
        settings={"seed": 0},
        source="/x/set",
        data=Fingerprint(identities=4, images=12, names="n", files="f", pixels="p"),
        trained_on=(),
        environment=Environment.here(torch.device("cpu")),
        report=evaluate_embeddings(embeddings, torch.arange(12) % 4),
    )


def results_in(folder):
    return [read_result(path) for path in sorted(folder.path.glob("results*.json"))]


def test_a_result_comes_back_with_all_that_it_is_of(tmp_path, result):
    folder = RunFolder(tmp_path)
    write_result(folder, result, is_own=True)
    assert read_result(folder.results()) == result
    assert all(path.exists() for path in folder.pictures())


def test_data_of_the_same_name_have_results_of_their_own(tmp_path, result):
    folder = RunFolder(tmp_path)
    others = [
        replace(result, source=source, data=replace(result.data, pixels=source))
        for source in ("/x/set", "/y/set", "/z/set")
    ]
    for one in (result, *others, others[0]):
        write_result(folder, one, is_own=one is result)
    found = results_in(folder)
    assert len(found) == 4
    assert all(one in found for one in (result, *others))


@pytest.mark.parametrize("is_own", [True, False])
def test_the_result_of_an_earlier_model_is_kept_beside_the_new_one(tmp_path, result, is_own):
    folder = RunFolder(tmp_path)
    longer = replace(result, model="abcdef" * 10)
    for one in (result, longer, longer):
        write_result(folder, one, is_own=is_own)
    found = results_in(folder)
    assert len(found) == 2
    assert all(one in found for one in (result, longer))
    if is_own:
        assert read_result(folder.results()) == longer
        assert (tmp_path / "roc-01234567.png").exists()


def test_what_is_no_result_is_replaced(tmp_path, result):
    folder = RunFolder(tmp_path)
    folder.results().write_text("half")
    write_result(folder, result, is_own=True)
    assert results_in(folder) == [result]


def test_who_was_trained_on_is_known_by_name_however_a_disk_spells_it():
    names = ("Jos\u00e9", "Zoe\u0301", "ana", "\udce9")
    images = ArrayImages(torch.zeros(4, 1, 8, 8, dtype=torch.uint8), torch.arange(4), names)
    assert trained_on(images, ("Jose\u0301", "Zo\u00e9", "Ana", "\udce9")) == (
        names[0],
        names[1],
        names[3],
    )
