"""The sentence on a command line that cannot be understood: an option is missing, unknown, or has a wrong value."""

from __future__ import annotations

from typing import Any

import typer


def usage_sentence(error: typer.TyperException) -> str:
    """Return what is wrong with a command line, and how to see what it may contain.

    Words that may be a path are not repeated, because a path can carry a patient's name.

    Parameters
    ----------
    error : typer.TyperException
        As ``app(..., standalone_mode=False)`` raises it.

    Returns
    -------
    str
        Without "error:" and without a full stop.
    """
    context = _context(error)
    command = f"'{context.command_path} -h'" if context is not None else "-h"
    return f"{_what_is_wrong(error)}; {command} lists what can be given"


def _context(error: typer.TyperException) -> Any:
    """Return the context of the command in which the error arose, None where no command was reached."""
    return getattr(error, "ctx", None)


def _what_is_wrong(error: typer.TyperException) -> str:
    """Return what is wrong, told by typer's public exceptions and by the attributes of the others."""
    if isinstance(error, typer.BadParameter):
        name = _name(error.param)
        if not error.message:  # typer's MissingParameter has no message
            return f"{name} is missing"
        reason = error.message.removeprefix("Value error, ").replace("Input should", "it should")
        reason = reason.partition(", unable to parse")[0].rstrip(".")
        return f"the value of {name} cannot be used: {reason}"
    option = getattr(error, "option_name", None)
    if option is None:
        return _of_other_words(error)
    if hasattr(error, "possibilities"):
        similar = sorted({*(error.possibilities or ())} - {"--help"})
        return f"there is no option {option} here" + (f" (is it {' or '.join(similar)}?)" if similar else "")
    is_switch = "does not take" in error.message
    return f"{option} is a switch and takes no value" if is_switch else f"the value of {option} is missing"


def _name(parameter: Any) -> str:
    """Return what a user types for an option, or what the help calls an argument."""
    if parameter is None:
        return "an option"
    if parameter.param_type_name == "option":
        return str(max(parameter.opts, key=len))
    return str(parameter.metavar or parameter.name)


def _of_other_words(error: typer.TyperException) -> str:
    """Return what is wrong with words that are no options: the command's name, or one word too many."""
    context = _context(error)
    commands = getattr(context.command, "commands", None) if context is not None else None
    if commands:
        return f"the first word is none of the commands {', '.join(commands)}"
    return "there are more words than the command takes: put a path with spaces in quotes"
