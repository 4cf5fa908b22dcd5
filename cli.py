"""The command line: each verb is "module:command", imported when it is used."""

from __future__ import annotations

import difflib
import errno
import importlib
import sys

import click

from . import __version__
from .errors import LpcvError

COMMANDS = {
    "Start here": {
        "demo": "submission.cli:demo",
        "contract": "submission.cli:contract",
        "zoo": "submission.zoo.cli:zoo",
    },
    "Data": {"data": "data.cli:data"},
    "Train": {"train": "train.cli:train", "label": "train.cli:label", "recipes": "train.cli:recipes"},
    "Score": {
        "score": "evaluate.cli:score",
        "compare": "evaluate.cli:compare",
        "cloud": "evaluate.cli:cloud",
        "protocols": "evaluate.cli:protocols",
        "predict": "submission.cli:predict",
    },
    "NPU": {
        "emulate": "submission.npu.cli:emulate",
        "quantize": "hub_jobs.quantize.cli:quantize",
        "sensitivity": "submission.npu.cli:sensitivity",
    },
    "AI Hub": {
        "compile": "hub_jobs.cli:compile_",
        "profile": "hub_jobs.cli:profile",
        "infer": "hub_jobs.cli:infer",
        "jobs": "hub_jobs.jobs_cli:jobs",
        "devices": "hub_jobs.hub_cli:devices",
        "doctor": "hub_jobs.hub_cli:doctor",
        "hub": "hub_jobs.hub_cli:hub",
    },
    "Submit": {
        "export": "submission.cli:export",
        "check": "submission.check.cli:check",
        "package": "submission.bundle.cli:package",
        "verify": "submission.bundle.cli:verify",
        "submit": "submission.submit.cli:submit",
        "submissions": "submission.submit.cli:submissions",
    },
}


class Verbs(click.Group):
    """A group that imports a command when it is asked for, and lists them by stage."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [verb for verbs in COMMANDS.values() for verb in verbs]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        for verbs in COMMANDS.values():
            if cmd_name in verbs:
                module, _, name = verbs[cmd_name].partition(":")
                return getattr(importlib.import_module(f".{module}", __package__), name)
        return None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            near = difflib.get_close_matches(args[0], self.list_commands(ctx), n=1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            ctx.fail(f"There is no command '{args[0]}'.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for stage, verbs in COMMANDS.items():
            with formatter.section(stage):
                commands = [(verb, self.get_command(ctx, verb)) for verb in verbs]
                formatter.write_dl([(verb, command.get_short_help_str(160)) for verb, command in commands if command])


@click.command(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="lpcv")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.pass_context
def lpcv(ctx: click.Context, debug: bool) -> None:
    """Distil, export, check, score and submit depth networks for the Low-Power Computer Vision Challenge.

    \b
    lpcv demo                          the whole path, offline, in minutes
    lpcv train --data datasets/mine    distil a student from a teacher
    lpcv score runs/mine --data DIR    the organisers' own score, without a GPU
    """


def run(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code (0 fine, 1 a check failed, 2 bad input, 130 interrupted)."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        # Without standalone mode click returns the code that a command exits with, and raises everything else.
        code = lpcv.main(arguments, prog_name="lpcv", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (LpcvError, OSError, click.Abort, KeyboardInterrupt) as error:
        if "--debug" in arguments:
            raise
        return _explain(error)


def _explain(error: BaseException) -> int:
    if isinstance(error, LpcvError):
        message, code = str(error), error.exit_code
    elif isinstance(error, BrokenPipeError):
        sys.stderr.close()  # the reader has gone: there is nobody to tell
        return 141
    elif isinstance(error, OSError):
        message, code = _os_sentence(error), 2
    else:
        message, code = "Interrupted; nothing is half-written.", 130
    print(f"lpcv: {message}", file=sys.stderr)
    return code


def _os_sentence(error: OSError) -> str:
    where = f" ({error.filename})" if error.filename else ""
    reason = error.strerror or str(error)
    remedy = {
        errno.ENOSPC: "Free some space and run the command again; nothing was half-written.",
        errno.EACCES: "Choose a place you may write to, or change the permissions.",
        errno.EROFS: "Choose a place you may write to.",
        errno.ENOENT: "Check the path.",
    }.get(error.errno or 0, "Run again with `lpcv --debug ...` for the details.")
    return f"{reason}{where}. {remedy}"
