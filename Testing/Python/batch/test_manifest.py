"""Manifests: what is read, what is refused with which sentence, what is written comes back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from UltrasoundLesionSegLib.batch.manifest import BatchCase, ListedCase, read_listed, read_manifest, write_listed
from UltrasoundLesionSegLib.errors import BatchError
from UltrasoundLesionSegLib.workflow.case_request import SeedFileRequest


def read(folder: Path, text: str, name: str = "cases.csv") -> list[BatchCase]:
    (folder / name).write_text(text, encoding="utf-8")
    return read_manifest(folder / name)


def test_paths_are_relative_to_the_manifest_and_every_column_counts(tmp_path: Path) -> None:
    header = "case,source,seed,frame,suggest,model,direction,frames"
    rows = ["left,clips/a.avi,a.png,30,,bas,forward,0:60", ",/b.dcm,,,middle,,,"]
    first, second = read(tmp_path, "\n".join([header, *rows]))
    assert first == BatchCase(
        tmp_path / "clips/a.avi", (SeedFileRequest(tmp_path / "a.png", 30),), "left", None, "bas", "forward", (0, 60)
    )
    assert second == BatchCase(Path("/b.dcm"), suggest="middle")


def test_rows_of_one_case_are_its_seeds(tmp_path: Path) -> None:
    text = "source,seed,frame\na.avi,a1.png,3\nb.avi,b.png,0\na.avi,a2.png,9\n"
    first, second = read(tmp_path, text)
    assert [(seed.path.name, seed.frame) for seed in first.seeds] == [("a1.png", 3), ("a2.png", 9)]
    assert len(second.seeds) == 1


def test_one_source_twice_is_two_cases_with_names_of_their_own(tmp_path: Path) -> None:
    text = "case,source,seed,direction\nf,a.avi,a.png,forward\nb,a.avi,a.png,backward\n"
    assert [(case.name, case.direction) for case in read(tmp_path, text)] == [("f", "forward"), ("b", "backward")]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_spreadsheets_write_other_delimiters_a_byte_order_mark_and_blank_rows(tmp_path: Path, delimiter: str) -> None:
    rows = ["\ufeffSource,Seed,Frame", "ä.avi,a.png, 4 ", ",,", ""]
    (case,) = read(tmp_path, "\r\n".join(rows).replace(",", delimiter))
    assert (case.source.name, case.seeds[0].frame) == ("ä.avi", 4)


def test_what_spreadsheets_add_is_left_out(tmp_path: Path) -> None:
    (case,) = read(tmp_path, "sep=;\r\nsource;seed;;frame;\r\na.avi;a.png;;4;\r\n;;;;\r\n")
    assert case == BatchCase(tmp_path / "a.avi", (SeedFileRequest(tmp_path / "a.png", 4),))
    with pytest.raises(BatchError, match="row 2 of the manifest has a cell under no heading"):
        read(tmp_path, "source;;\na.avi;;\nb.avi;remark;\n")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_a_table_is_read_in_whatever_encoding_spreadsheets_store_it(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "Größe.avi").touch()
    (tmp_path / "cases.csv").write_bytes("source\tframe\tseed\r\nclips/Größe.avi\t3\ta.png\r\n".encode(encoding))
    (case,) = read_manifest(tmp_path / "cases.csv")
    assert case.source == tmp_path / "clips" / "Größe.avi"


def test_paths_that_were_written_on_windows_are_found(tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "a.avi").touch()
    found, missing = read(tmp_path, "source\nclips\\a.avi\nclips\\b.avi\n")
    assert found.source.exists()
    assert missing.source == tmp_path / "clips\\b.avi"


def test_json_has_the_same_columns(tmp_path: Path) -> None:
    rows = [{"source": "a.avi", "seed": "a.png", "frame": 7}, {"source": "b.avi", "suggest": 0, "model": None}]
    first, second = read(tmp_path, json.dumps(rows), "cases.json")
    assert (first.seeds[0].frame, second.suggest) == (7, 0)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "no column 'source'"),
        ("\x00\x01\x02binary", "no column 'source'"),
        ("source\n", "lists no case"),
        ("source,sede\na,b\n", "column that is unknown"),
        ("source,source\na,b\n", "two columns of the same name"),
        ("source,seed\na,b,c\n", "row 1 .* more cells"),
        ('source,seed\n"a,b\n', "not a CSV table"),
        ("source,seed\n,b\n", "row 1 .* source is not named"),
        ("source,frame\na,3\n", "row 1 .* frame is given but no seed"),
        ("source,seed,frame\na,b,-1\n", "row 1 .* 'frame' is no frame"),
        ("source,seed,frame\na,b,1\na,c,²\n", "row 2 .* 'frame' is no frame"),
        ("source,suggest\na,end\n", "'suggest' is no frame"),
        ("source,direction\na,up\n", "direction is unknown"),
        ("source,frames\na,3\n", "'frames' is no range"),
        ("source,case\na,../b\n", "cannot be a folder's"),
        ("source,case\na,.hidden\n", "cannot be a folder's"),
        ("source,case\na,nul.txt\n", "cannot be a folder's"),
        ("source,seed,model\na,b,x\na,c,y\n", "row 2 .* differs from an earlier row"),
        ("source,case\na,b\x07\n", "characters that are no text"),
        ('[{"source": "a\\u0000"}]', "characters that are no text"),
        ("[1]", "not a list of objects"),
        ('{"source": "a"}', "not a list of objects"),
        ("[{", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ('[{"source": 1.5}]', "neither text nor a whole number"),
        ('[{"source": true}]', "neither text nor a whole number"),
        ('[{"source": "a", "seed": "b", "frame": 1e400}]', "neither text nor a whole number"),
        ('[{"source": "\\ud800"}]', "characters that are no text"),
        ("[{}]", "source is not named"),
    ],
)
def test_what_is_no_manifest_gets_one_sentence_without_its_content(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(BatchError, match=sentence) as refused:
        read(tmp_path, text)
    assert str(tmp_path) not in str(refused.value)


def test_what_is_written_comes_back_with_state_and_reason(tmp_path: Path) -> None:
    seeds = (SeedFileRequest(tmp_path / "ä, b.png", 3), SeedFileRequest(tmp_path / "c.png", 9))
    listed = [
        ListedCase(
            BatchCase(tmp_path / "a.avi", seeds, "one", None, "bas", "both", (1, 5)), "failed", 'a "reason", so'
        ),
        ListedCase(BatchCase(tmp_path / "b.avi", (), "two", "middle"), "done"),
    ]
    write_listed(tmp_path / "out.csv", listed)
    assert read_listed(tmp_path / "out.csv") == listed


@pytest.mark.parametrize("name", ["two\nlines.avi", "bell\x07.avi", "frames "])
def test_names_that_end_with_a_space_or_have_a_line_break_come_back(tmp_path: Path, name: str) -> None:
    seeds = (SeedFileRequest(tmp_path / f"{name}.seed.png", 3),)
    listed = [ListedCase(BatchCase(tmp_path / name, seeds, "one"), "done")]
    write_listed(tmp_path / "out.csv", listed)
    assert read_listed(tmp_path / "out.csv") == listed


def test_spaces_that_were_typed_around_a_path_are_none_of_its_name(tmp_path: Path) -> None:
    (tmp_path / "a.avi").touch()
    (case,) = read(tmp_path, "source,case\n a.avi ,one\n")
    assert case.source == tmp_path / "a.avi"


def test_names_of_files_that_are_no_utf8_come_back(tmp_path: Path) -> None:
    source = tmp_path / b"caf\xe9.avi".decode("utf-8", "surrogateescape")
    write_listed(tmp_path / "out.csv", [ListedCase(BatchCase(source, (), "one"))])
    assert read_manifest(tmp_path / "out.csv")[0].source == source
