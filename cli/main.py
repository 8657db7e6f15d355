"""The `pileus` command.  Each verb is a file of its own, read only when it is used: `--help` answers at once."""

from __future__ import annotations

import importlib
import os
import sys
from dataclasses import dataclass

import click


@dataclass(frozen=True, slots=True)
class Verb:
    """Where a verb's click command is found, and the line that `pileus --help` shows."""

    module: str
    line: str
    hidden: bool = False


# fmt: off
VERBS = {
    "up":          Verb("cli.up",          "Start a whole cloud in one process"),
    "demo":        Verb("cli.demo",        "Boot a server and show its console"),
    "status":      Verb("cli.status",      "Show how a cloud is"),
    "doctor":      Verb("cli.doctor",      "Find what is wrong, and say how to mend it"),
    "down":        Verb("cli.down",        "Stop a cloud; its guests go on running"),
    "keys":        Verb("cli.keys",        "Show or replace the keys that tokens are signed with"),
    "image":       Verb("cli.images",      "Bring large images into the cloud, or out of it"),
    "bootstrap":   Verb("cli.bootstrap",   "Create a cloud's first users, projects and catalog"),
    "serve":       Verb("cli.serve",       "Run some services as a process of their own"),
    "agent":       Verb("cli.agent",       "Run the agent of this host"),
    "distributed": Verb("cli.distributed", "Run every part as a process of its own, on this machine"),
}
# fmt: on


class Verbs(click.Group):
    """The verbs of `VERBS`; none is imported before it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command = importlib.import_module(VERBS[cmd_name].module).command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl([(name, verb.line) for name, verb in VERBS.items() if not verb.hidden])


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show where in the code an error came from.")
def cli(debug: bool) -> None:
    """Pileus: a cloud that OpenStack's clients understand.

    Start here:  pileus up --detach && pileus demo
    """


def main() -> None:
    """Run the command.  A person never sees a traceback, unless --debug asks for it."""
    debug = "--debug" in sys.argv[1:]
    try:
        sys.exit(cli.main(standalone_mode=False) or 0)
    except click.exceptions.Exit as ended:
        sys.exit(ended.exit_code)
    except click.Abort:
        _say_why("Interrupted.")
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except Exception as error:
        if debug:
            raise
        _say_why(_sentence(error))
        sys.exit(1)


def _sentence(error: Exception) -> str:
    from common.errors import PlatformError

    if isinstance(error, PlatformError):
        return error.message
    text = str(error).strip().splitlines()
    told = f"{type(error).__name__}: {text[0][:300]}" if text else type(error).__name__
    return f"{told}\nThis should not have happened. Run again as 'pileus --debug …' to see where it comes from."


def _say_why(text: str) -> None:
    click.echo(f"pileus: {text}", err=True)


if __name__ == "__main__":
    main()
