"""One sentence for a command line that cannot be understood: an option missing, unknown, or with a wrong value."""

from __future__ import annotations

from typing import Any

import typer

UsageError: type[Exception] = typer.BadParameter.__mro__[1]  # typer has no public name for it


def usage_sentence(error: Any) -> str:
    """Return what is wrong with the words of a command line, and where it is said what they may be.

    Words that may be a path are not repeated, because a path can carry a patient's name.

    Parameters
    ----------
    error : UsageError
    """
    command = f"'{error.ctx.command_path} -h'" if error.ctx is not None else "-h"
    return f"{_what_is_wrong(error)}; {command} lists what can be given"


def _what_is_wrong(error: Any) -> str:
    if isinstance(error, typer.BadParameter):
        name = _name(error.param)
        if not error.message:  # as typer has it for what is missing
            return f"{name} is missing"
        reason = error.message.removeprefix("Value error, ").replace("Input should", "it should")
        reason = reason.partition(", unable to parse")[0].rstrip(".")
        return f"the value of {name} cannot be used: {reason}"
    option = getattr(error, "option_name", None)
    if option is None:
        return _of_other_words(error)
    if hasattr(error, "possibilities"):
        alike = sorted({*(error.possibilities or ())} - {"--help"})
        return f"there is no option {option} here" + (f" (is it {' or '.join(alike)}?)" if alike else "")
    is_switch = "does not take" in error.message
    return f"{option} is a switch and takes no value" if is_switch else f"the value of {option} is missing"


def _name(parameter: Any) -> str:
    """Return what a person types for an option, or what the help calls an argument."""
    if parameter is None:
        return "an option"
    if parameter.param_type_name == "option":
        return str(max(parameter.opts, key=len))
    return str(parameter.metavar or parameter.name)


def _of_other_words(error: Any) -> str:
    commands = getattr(error.ctx.command, "commands", None) if error.ctx is not None else None
    if commands:
        return f"the first word is none of the commands {', '.join(commands)}"
    return "there are more words than the command takes: put a path with spaces in quotes"
