import json

import pytest

from gonio import losses


def test_the_table_names_every_loss_with_its_settings(gonio):
    result = gonio("losses")
    assert result.code == 0
    for name in losses.names():
        assert f"│ {name} " in result.out
        for setting in losses.get(name).defaults:
            assert f"{setting} = " in result.out


@pytest.mark.parametrize("name", losses.names())
def test_the_page_of_a_loss_says_all_that_is_known(gonio, name):
    row = losses.get(name)
    page = gonio("losses", name).out
    for line in row.equation.splitlines():
        assert line in page
    for said in (row.name, row.summary, row.source, *row.defaults, *row.arguments.values()):
        assert said in page


def test_json_holds_what_the_table_holds(gonio):
    every = json.loads(gonio("losses", "--json").out)
    assert [row["name"] for row in every] == losses.names()
    one = json.loads(gonio("losses", "arcface", "--json").out)
    assert one in every
    assert one["settings"]["margin"]["default"] == 0.5
    assert "radians" in one["settings"]["margin"]["meaning"]


def test_an_unknown_loss_is_refused(refused):
    assert "did you mean 'cosface'?" in refused(2, "losses", "cosfacce")
