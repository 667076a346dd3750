"""Nothing that is given to a public method raises a raw error: a sentence says what is wrong and what to give."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine_helpers import clip_of_moving_discs

from UltrasoundLesionSegLib.errors import DeviceError, LesionSegError, ModelError, OutputError, SceneError, SeedError
from UltrasoundLesionSegLib.workflow import UltrasoundLesionWorkflow
from UltrasoundLesionSegLib.workflow.arguments import TYPES, _kinds_of

CINE, TRUTH = clip_of_moving_discs(frames=3)
METHODS = [name for name, _ in inspect.getmembers(UltrasoundLesionWorkflow, callable) if not name.startswith("_")]
# what a call needs at least
NEEDED: dict[str, Any] = {
    "source": TRUTH[2][0],
    "points": [(10, 10)],
    "start": np.zeros(CINE.shape, bool),
    "kinds": ("csv",),
    "path": "absent.dcm",
    "anchors": [],
    "segment": "Lesion",
    "name": "Other",
    "names": {"lesion-1": "Other"},
    "frame": 1,
    "segments": ["lesion-1"],
    "cine": CINE,
}
WRONG: dict[str, Callable[[], Any]] = {
    "none": lambda: None,
    "number": lambda: -1,
    "fraction": lambda: 1.5,
    "text": lambda: "x",
    "no text": lambda: "",
    "bytes": lambda: b"x",
    "thing": object,
    "list": lambda: [5],
    "mapping": lambda: {"lesion-1": 5},
    "array": lambda: np.ones((3, 3)),
    "volume": lambda: _node("vtkMRMLScalarVolumeNode"),
    "empty browser": lambda: _node("vtkMRMLSequenceBrowserNode"),
}


def _node(kind: str) -> Any:
    import slicer

    return slicer.mrmlScene.AddNewNodeByClass(kind)


def _arguments(method: str, tmp_path: Path, browser: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    needed = NEEDED | {"browser": browser, "node": browser, "directory": tmp_path}
    needed |= {"source": np.zeros((3, 64, 64), np.uint8)} if method == "loadCine" else {}
    parameters = list(inspect.signature(getattr(UltrasoundLesionWorkflow, method)).parameters.values())[1:]
    required = {one.name: needed[one.name] for one in parameters if one.name in needed and one.default is one.empty}
    for one in parameters:
        if one.kind is not one.VAR_KEYWORD:
            yield one.name, required


@pytest.mark.parametrize("method", [one for one in METHODS if not one.startswith("fitToLesion")])
def test_wrong_arguments_are_said_in_a_sentence(
    logic: UltrasoundLesionWorkflow, pointed_model: Any, method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if method == "suggest":
        monkeypatch.setattr(UltrasoundLesionWorkflow, "_network", lambda *_: None)
        monkeypatch.setattr("UltrasoundLesionSegLib.engine.suggestion.suggest_mask", lambda *_: TRUTH[0][0])
    browser = logic.addCine(CINE)
    logic.setSeed(browser, TRUTH[1][0], frame=1)
    for argument, required in _arguments(method, tmp_path, browser):
        for what, make in WRONG.items():
            if method == "removeCine" or (method, argument) == ("removeSegment", "segment"):
                browser = logic.addCine(CINE)
                logic.setSeed(browser, TRUTH[1][0], frame=1)
                required = {one: browser if one == "browser" else value for one, value in required.items()}
            try:
                done = getattr(logic, method)(**required | {argument: make()})
                if inspect.isgenerator(done):
                    list(done)
            except LesionSegError as error:
                said = str(error)
                assert ";" in said or ":" in said, f"{said}: what is to be done?"
            except Exception as error:
                pytest.fail(f"{method}({argument}={what}): {type(error).__name__}: {error}")


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda logic, browser: logic.export(browser, None, ["csv"]), OutputError, "'directory' of export is None"),
        (lambda logic, browser: logic.export(browser, "", ["csv"]), OutputError, "is empty, not text or a path; name"),
        (lambda logic, browser: logic.export(browser, "x", None), OutputError, "'kinds' of export is None"),
        (
            lambda logic, browser: logic.export(browser, "x", "csv"),
            OutputError,
            r"give a list of names such as \['csv'",
        ),
        (lambda logic, browser: logic.propagate(browser, device=None), DeviceError, "'auto' or 'cpu'"),
        (lambda logic, browser: logic.propagate(browser, model=5), ModelError, "of type int, not text; give the name"),
        (lambda logic, browser: logic.propagate(browser, progress=True), SceneError, "not a function"),
        (lambda logic, browser: logic.click(browser, None), SeedError, r"give a list of \(row, column\)"),
        (lambda logic, browser: logic.importSegmentation(browser, None), SeedError, "'path' .* is None.*; name a file"),
        (lambda logic, browser: logic.setSeed(browser, TRUTH[0][0], segment=5), SceneError, "the name or the ID"),
        (lambda logic, browser: logic.useNode("x"), SceneError, "not a node; give a sequence browser node or a volume"),
        (lambda logic, browser: logic.anchors("x"), SceneError, "give the browser node that loadCine or useNode"),
    ],
)
def test_what_to_give_is_said(
    logic: UltrasoundLesionWorkflow, call: Callable[..., Any], error: type[LesionSegError], said: str
) -> None:
    browser = logic.addCine(CINE)
    with pytest.raises(error, match=said):
        call(logic, browser)
    assert logic.anchors(browser) == {}


def test_a_node_that_left_the_scene_is_no_cine(logic: UltrasoundLesionWorkflow) -> None:
    browser = logic.addCine(CINE)
    logic.removeCine(browser)
    with pytest.raises(SceneError, match="no longer in the scene"):
        logic.useNode(browser)


def test_too_few_arguments_are_said_as_python_says_it(logic: UltrasoundLesionWorkflow) -> None:
    with pytest.raises(TypeError, match=r"setSeed\(\) missing 2 required positional arguments"):
        logic.setSeed()  # type: ignore[call-arg]


def test_annotations_are_known_or_left_to_the_method() -> None:
    """An annotation that begins like another one is not taken for it."""

    def method(a: str | None, b: Callable[[int | None], str] | None, c: Cine2, d: int | str) -> None:  # type: ignore[name-defined] # noqa: F821
        pass

    parameters = inspect.signature(method).parameters
    assert [_kinds_of(one) for one in parameters.values()] == [["str", "None"], ["Callable", "None"], [], []]
    assert set(TYPES) >= {"str", "None", "Callable"}
