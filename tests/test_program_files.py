"""Files: a program comes back as it was, a file appears whole or not at all, a damaged or hostile one is refused."""

from __future__ import annotations

import ast
import copy
import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from across import native, values
from hypothesis import given
from hypothesis import strategies as st
from program_operations import EXAMPLES, program_of

import tensoria as tn
from tensoria.errors import FileError
from tensoria.programs.program import Program

M = tn.Space("M", 4, metric=[-1, 1, 1, 1])
C = tn.Space("C", 2, field="complex", metric=[[2, 1j], [-1j, 3]])
T = tn.Space("T", "tokens", privileged=True)


def program() -> Program:
    """A program with symbols, labels, constants, trees and every kind of attribute."""
    w = tn.asarray(np.arange(12.0).reshape(4, 3))
    i, j = tn.indices("i j", M.basis("boosted", [[2, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]))
    z, t = tn.indices("z", C)[0], tn.indices("t", T)[0]

    def function(x: Any, F: Any, c: Any, a: Any) -> Any:
        y = tn.maximum(x @ w, float("-inf"))
        return {"y": y[1:, ::-1], "F": F * F.raised(), "c": (c.conj(), tn.softmax(a, "t")), "n": x.shape[0] // 2 * x}

    return tn.trace(
        function, tn.asarray(np.ones((6, 4))), tn.tensor(np.ones((4, 4)), [-i, -j]),
        tn.tensor(np.array([1j, 2]), [z]), tn.tensor(np.ones((2, 3)), ["b", t]), dynamic={"x": ("batch", None)},
    )  # fmt: skip


ARGUMENTS = (np.ones((5, 4)), np.eye(4), np.array([1j, 2]), np.ones((2, 3)))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the program."""
    path = tmp_path_factory.mktemp("programs") / "program.safetensors"
    program().save(path)
    return path


def test_a_program_comes_back_as_it_was(written: Path, backend: str) -> None:
    first, second = program(), tn.load(written)
    assert str(first) == str(second)
    arrays = [native(backend, x) for x in ARGUMENTS]
    a, b = first.run(*arrays), second.run(*arrays)
    assert a.keys() == b.keys()
    for x, y in ((a["y"], b["y"]), (a["F"], b["F"]), (a["c"][0], b["c"][0]), (a["c"][1], b["c"][1]), (a["n"], b["n"])):
        assert x.axes is y.axes
        np.testing.assert_array_equal(values(x), values(y))


def test_other_programs_read_the_arrays(written: Path) -> None:
    load_file: Any = pytest.importorskip("safetensors.numpy").load_file
    arrays = load_file(str(written)).values()
    assert any(np.array_equal(array, np.arange(12.0).reshape(4, 3)) for array in arrays)


@pytest.mark.parametrize("example", EXAMPLES[::7], ids=str)
def test_every_attribute_comes_back(example: Any, tmp_path: Path) -> None:
    first = program_of(example)
    first.save(tmp_path / "p")
    second = tn.load(tmp_path / "p")
    assert str(first) == str(second)
    assert repr(first.instructions[0].attributes) == repr(second.instructions[0].attributes)


def test_a_program_is_loaded_without_any_framework(written: Path) -> None:
    code = (
        "import sys, tensoria as tn; p = tn.load(sys.argv[1]); print(p.name); "
        "assert not {'torch', 'tensorflow'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(written)], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "function", done.stderr


def test_a_file_appears_whole_or_not_at_all(written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "p"
    path.write_bytes(b"before")

    def fails(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", fails)
    with pytest.raises(FileError, match="can not be written: No space left on device"):
        program().save(path)
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="can not be written: No such file"):
        program().save(tmp_path / "none" / "p")
    with pytest.raises(FileError, match="can not be read: No such file"):
        tn.load(tmp_path / "none")


@given(st.data())
def test_a_file_cut_short_or_with_a_changed_byte_is_refused(written: Path, data: st.DataObject) -> None:
    content = bytearray(written.read_bytes())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] ^= data.draw(st.integers(1, 255))
    other = written.with_suffix(".damaged")
    other.write_bytes(content)
    try:
        found = tn.load(other)
    except FileError:
        return
    # What the checksum does not hold are spaces in the header, and names of arrays that nothing refers to.
    assert str(found) == str(tn.load(written))


def changed(path: Path, change: Callable[[dict[str, Any]], object], name: str = "hostile") -> Path:
    """The file with its program changed and a checksum that fits."""
    import hashlib

    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header, body = json.loads(content[8 : 8 + length]), content[8 + length :]
    data = json.loads(header["__metadata__"]["tensoria"])
    change(data)
    text = json.dumps(data)
    header["__metadata__"]["tensoria"] = text
    header["__metadata__"]["sha256"] = hashlib.sha256(text.encode() + body).hexdigest()
    new = json.dumps(header).encode()
    other = path.with_name(name)
    other.write_bytes(len(new).to_bytes(8, "little") + new + body)
    return other


def _set(*path: Any) -> Callable[[dict[str, Any]], None]:
    def change(data: Any) -> None:
        *way, last, value = path
        for step in way:
            data = data[step]
        data[last] = value

    return change


HOSTILE: dict[str, Callable[[dict[str, Any]], object]] = {
    "an operation that there is not": _set("instructions", 0, 0, "os.system"),
    "a size that is no expression": _set("inputs", 0, 2, 0, "__import__('os').system('x')"),
    "a negative size": _set("inputs", 0, 2, 1, -4),
    "a name that is code": _set("inputs", 0, 0, "x): import os"),
    "a type that is wrong": _set("instructions", 0, 3, 0, 1, "float32"),
    "a value from the future": _set("instructions", 0, 1, 0, 400),
    "two values of one name": _set("inputs", 0, 0, "F"),
    "an array of another shape": _set("arrays", 0, 2, 2, [3, 4]),
    "a metric that is singular": _set("inputs", 2, 3, 0, 2, "space", "metric", {"real": [[0, 0], [0, 0]]}),
    "an output that there is not": _set("outputs", 0, -1),
    "a tree of another kind": _set("input_tree", "kind", "object"),
    "a name that is a keyword": _set("inputs", 0, 0, "import"),
    "an argument whose name is code": _set("signature", 0, "x): import os"),
    "fewer names than arguments": lambda data: data["signature"].pop(),
    "fewer labels than results": lambda data: data["output_axes"].pop(),
    "an attribute that is code": _set("instructions", 0, 2, {"pattern": "import os; os.system('x')"}),
    "a missing part": lambda data: data.pop("instructions"),
    "no program at all": lambda data: data.clear(),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_file_is_refused(written: Path, what: str) -> None:
    with pytest.raises(FileError):
        tn.load(changed(written, HOSTILE[what]))


@pytest.mark.parametrize("form", ["function", "classes"])
@pytest.mark.parametrize("at", [("name",), ("instructions", 0, 4, 0), ("instructions", 0, 4, 2)])
@pytest.mark.parametrize("text", ['a""" + str(ran()) + """b', '"\n    ran() #', 'a"); ran(); ("', "a{ran()}.0"])
def test_text_of_a_file_is_never_code_of_the_source(written: Path, at: tuple[Any, ...], text: str, form: Any) -> None:
    def change(data: dict[str, Any]) -> None:
        if at == ("name",):
            data["name"] = text
            return
        for made in data["instructions"]:
            made[at[-2]][at[-1]] = text
            made[at[-2]][1] = 1

    source = tn.load(changed(written, change)).source("numpy", form=form)
    assert "ran" not in {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}


def test_an_attribute_of_an_operation_is_a_word(tmp_path: Path) -> None:
    traced = tn.trace(lambda x: tn.prod(x, axis=1, keepdims=True), tn.asarray(np.ones((2, 3))))
    traced.save(tmp_path / "program")
    evil = changed(tmp_path / "program", _set("instructions", 0, 2, "keepdims", "ran()"))
    with pytest.raises(FileError, match="is no attribute of prod"):
        tn.load(evil)


def test_the_change_itself_is_not_what_is_refused(written: Path) -> None:
    assert str(tn.load(changed(written, lambda data: None))) == str(tn.load(written))


def test_a_file_of_another_version_says_so(written: Path) -> None:
    content = written.read_bytes().replace(b'"tensoria_version": "2"', b'"tensoria_version": "9"')
    other = written.with_suffix(".new")
    other.write_bytes(content)
    with pytest.raises(FileError, match="version '9'; this tensoria reads 2"):
        tn.load(other)


def test_arrays_without_a_program_are_told(tmp_path: Path) -> None:
    save_file: Any = pytest.importorskip("safetensors.numpy").save_file
    save_file({"x": np.ones(3)}, str(tmp_path / "x.safetensors"))
    with pytest.raises(FileError, match="holds arrays and no program"):
        tn.load(tmp_path / "x.safetensors")


def test_a_program_is_pickled_and_copied_whole() -> None:
    space = tn.Space("V", 2)
    t = tn.tensor([1.0, 2.0], "^i", i=space)
    program = tn.trace(lambda x: x * x.renamed(i="j"), t)
    program.compile("numpy")  # what was compiled stays here
    for other in (pickle.loads(pickle.dumps(program)), copy.deepcopy(program)):
        assert str(other) == str(program)
        assert other(t).axes is program(t).axes
        np.testing.assert_array_equal(other(t).array, [[1, 2], [2, 4]])
