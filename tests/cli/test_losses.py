import json

import pytest

from gonio import losses


def test_a_pipe_gets_a_line_for_every_loss_with_its_settings(gonio):
    result = gonio("losses")
    assert result.code == 0
    for name in losses.names():
        row = losses.get(name)
        (line,) = [one for one in result.out.splitlines() if one.startswith(f"{name}\t")]
        assert row.summary in line
        for setting in list(row.defaults)[:2]:
            assert f"{setting}=" in line


def test_losses_stand_below_the_title_of_their_family(at_terminal):
    lines = [line.strip() for line in at_terminal(100, "losses")]
    firsts = {losses.get(name).family: name for name in reversed(losses.names())}
    assert len(firsts) > 8
    for family, name in firsts.items():
        after = lines[lines.index(" ".join(family.split())) + 1 :]
        assert next(line for line in after if line).startswith(f"{name} ")


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_fits_a_terminal(at_terminal, width):
    lines = at_terminal(width, "losses")
    assert max(map(len, lines)) <= max(width, len(lines[-1]))
    assert len(lines) <= {80: 5, 120: 3.5}[width] * len(losses.names())
    assert sum(line.startswith("  arcface ") for line in lines) == 1


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
