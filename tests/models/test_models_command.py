"""`lcpo models`: a base built again."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from lcpo.cli import cli
from lcpo.errors import ConfigError


def test_a_base_that_does_not_exist_is_refused() -> None:
    pytest.importorskip("lcpo.models.smol.base", reason="models need the extra 'train'")
    result = CliRunner().invoke(cli, ["models", "build", "tin"])
    assert isinstance(result.exception, ConfigError)
    assert "tiny" in str(result.exception)


def test_a_finished_build_is_not_made_again(tmp_path: Path) -> None:
    build = pytest.importorskip("lcpo.models.tiny.build", reason="models need the extra 'train'")
    (tmp_path / "config.json").write_text("{}")
    settings = {"seed": 2, "schedule": vars(build.Schedule())}
    (tmp_path / build.BUILD).write_text(json.dumps(settings))
    result = CliRunner().invoke(cli, ["models", "build", "tiny", "--seed", "2", "--out", str(tmp_path)])
    assert result.stdout.strip() == str(tmp_path)


def test_an_audit_is_of_the_search_world_alone() -> None:
    sums = Path(__file__).parents[1] / "fixtures" / "sums-exact"
    result = CliRunner().invoke(cli, ["models", "audit", str(sums)])
    assert isinstance(result.exception, ConfigError)
    assert "was trained on sums; the audit asks the search world" in str(result.exception)
