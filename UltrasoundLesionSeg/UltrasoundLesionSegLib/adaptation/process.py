"""The adaptation as a process of its own, for a window that must not wait for it.

What is wanted comes as one argument in JSON, the fields of ``Request``. What happens goes to standard output, one line
of JSON at a time: ``share``, ``sentence`` and ``seconds_left`` of ``AdaptProgress``; at the end ``is_better`` and
``sentence`` of the outcome with its ``notes``, or ``failed``, why there is no outcome.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from UltrasoundLesionSegLib.adaptation.request import AdaptProgress, AdaptSettings
from UltrasoundLesionSegLib.adaptation.reviewed import SECONDS_BETWEEN, adapt_to_reader
from UltrasoundLesionSegLib.errors import LesionSegError
from UltrasoundLesionSegLib.review.case_cines import CaseCines

NICE = 10  # the person at the window goes on working meanwhile


@dataclass(frozen=True)
class Request:
    """What the process is to do.

    Parameters
    ----------
    output, models : str
        Folder of a batch; folder for the model's bundle.
    reader : str
    settings : dict
        Fields of ``AdaptSettings``.
    moves : dict of str to str
        Folders of cines that were moved, former to present.
    """

    output: str
    models: str
    reader: str
    settings: dict[str, Any]
    moves: dict[str, str] = field(default_factory=dict)


def main(window: int | None = None) -> None:
    """Do what the first argument says.

    Parameters
    ----------
    window : int or None
        Process that started this one, and without which it ends; the present parent when left out.
    """
    if hasattr(os, "nice"):
        os.nice(NICE)
    request = Request(**json.loads(sys.argv[1]))
    output = Path(request.output)
    told, parent = [float("-inf")], os.getppid() if window is None else window

    def tell(step: AdaptProgress) -> None:
        if os.getppid() != parent:
            sys.exit("the window is gone")  # nobody would be told of the model; started again, this goes on
        if time.monotonic() - told[0] >= SECONDS_BETWEEN:
            told[0] = time.monotonic()
            _say(share=step.share, sentence=step.sentence, seconds_left=step.seconds_left)

    try:
        cines = CaseCines(output, moves={Path(before): Path(now) for before, now in request.moves.items()})
        settings = AdaptSettings(**request.settings)
        outcome = adapt_to_reader(output, request.reader, settings, Path(request.models), tell, cines)
    except LesionSegError as error:
        _say(failed=str(error))
    except Exception as error:
        # not its text, which can hold a path
        kind = type(error).__name__
        _say(failed=f"something unexpected went wrong ({kind}); run the command adapt in a shell to see where")
    else:
        _say(is_better=outcome.is_better, sentence=outcome.sentence, notes=list(outcome.notes))


def _say(**message: object) -> None:
    print(json.dumps(message), flush=True)


if __name__ == "__main__":
    main()
