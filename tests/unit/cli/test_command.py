"""The command as a person meets it: quick help, plain sentences, exit statuses that scripts can rely on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.main import VERBS, cli

HEAVY = ("pydantic", "rich", "httpx", "fastapi", "uvicorn", "sqlalchemy", "openstack", "libvirt", "kombu")


def pileus(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cli.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_help_names_every_verb_and_imports_nothing_heavy() -> None:
    code = (
        "import sys, click.testing, cli.main\n"
        "print(click.testing.CliRunner().invoke(cli.main.cli, ['--help']).output)\n"
        f"print('heavy:', [one for one in {HEAVY!r} if one in sys.modules])"
    )

    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert all(f"  {verb} " in said for verb in VERBS)
    assert "heavy: []" in said


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_explains_itself(verb: str) -> None:
    result = CliRunner().invoke(cli, [verb, "--help"])

    assert result.exit_code == 0
    assert len(result.output.splitlines()) > 5


def test_an_unknown_verb_is_refused() -> None:
    assert CliRunner().invoke(cli, ["fly"]).exit_code == 2


@pytest.mark.parametrize("verb", ["down", "status", "demo", "doctor"])
def test_where_there_is_no_cloud_it_says_how_to_make_one(tmp_path: Path, verb: str) -> None:
    done = pileus(verb, "--data", str(tmp_path / "none"))

    assert done.returncode == 1
    assert "pileus up" in done.stderr and "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_where_the_error_came_from_is_shown_only_when_asked_for(tmp_path: Path) -> None:
    assert "Traceback" in pileus("--debug", "status", "--data", str(tmp_path)).stderr


def test_processes_of_their_own_need_a_broker(tmp_path: Path) -> None:
    config = tmp_path / "pileus.toml"
    config.write_text(
        '[platform]\ncloud_id="c"\npublic_url="http://a"\nbus_key="k"\nidentity_url="http://i"\nimage_url="http://m"\n'
    )

    done = pileus("serve", "identity", "--config", str(config))

    assert done.returncode == 1
    assert "bus_url is memory://" in done.stderr


def test_a_broken_settings_file_is_named_with_the_option_that_is_wrong(tmp_path: Path) -> None:
    config = tmp_path / "pileus.toml"
    config.write_text('[platform]\ncloud_id="c"\nfoo=1\n')

    done = pileus("agent", "--config", str(config))

    assert done.returncode == 1
    assert str(config) in done.stderr and "foo" in done.stderr and "Traceback" not in done.stderr
