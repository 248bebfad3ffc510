"""Programs are drawn: every instruction has a place, boxes do not overlap, modules stand inside of each other."""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tensoria as tn
from tensoria.errors import FileError
from tensoria.indices import PLAIN
from tensoria.programs.drawing import LIMIT, drawn
from tensoria.programs.program import Program
from tensoria.programs.trees import LEAF, Tree
from tensoria.programs.types import Instruction, Source, Type, Value

SVG = "{http://www.w3.org/2000/svg}"
Box = tuple[float, float, float, float]


def program_of(modules: list[str], reads: list[list[int]]) -> Program:
    """A program whose instruction n belongs to a module and reads from others before it (or from the input)."""
    of = Type(tn.float32, (3,))
    x = Value(of, "x")
    values = [x]
    made = []
    for n, (module, read) in enumerate(zip(modules, reads, strict=True)):
        value = Value(of, f"v{n}")
        operands = tuple(values[k % len(values)] for k in read)
        kind = f"package.{module.rpartition('.')[2].title()}" if module else ""
        source = Source("model.py", n + 1, module, 0, kind)
        made.append(Instruction("multiply" if len(read) > 1 else "abs", operands, {}, (value,), source))
        values.append(value)
    return Program(
        "drawing", ("x",), (x,), {}, {}, tuple(made), (values[-1],), Tree("tuple", (), (LEAF,)), LEAF, (PLAIN,)
    )


def boxes(picture: str) -> Iterator[tuple[str, Box, list[str]]]:
    """Style, place and texts of everything in a picture."""
    for group in ElementTree.fromstring(picture).iter(f"{SVG}g"):
        rect = group.find(f"{SVG}rect")
        assert rect is not None
        x, y, width, height = (float(rect.attrib[name]) for name in ("x", "y", "width", "height"))
        texts = ["".join(text.itertext()) for text in group.iter(f"{SVG}text")]
        yield rect.attrib["class"], (x, y, x + width, y + height), texts


def apart(a: Box, b: Box) -> bool:
    return a[2] <= b[0] + 0.2 or b[2] <= a[0] + 0.2 or a[3] <= b[1] + 0.2 or b[3] <= a[1] + 0.2


def inside(a: Box, b: Box) -> bool:
    return b[0] <= a[0] + 0.2 and b[1] <= a[1] + 0.2 and a[2] <= b[2] + 0.2 and a[3] <= b[3] + 0.2


PATHS = ["", "a", "a.b", "a.b.c", "d", "list.0", "list.1", "list.1.e"]


@settings(max_examples=60, deadline=None)
@given(st.data(), st.lists(st.sampled_from(PATHS), min_size=1, max_size=30))
def test_boxes_stand_apart_or_inside_of_each_other_and_in_the_picture(data: st.DataObject, modules: list[str]) -> None:
    reads = [data.draw(st.lists(st.integers(0, n), min_size=1, max_size=2)) for n in range(len(modules))]
    program = program_of(modules, reads)
    picture = drawn(program, data.draw(st.sampled_from([1, 2, 9])))
    root = ElementTree.fromstring(picture)
    whole = (0.0, 0.0, float(root.attrib["width"]), float(root.attrib["height"]))
    found = list(boxes(picture))
    for (_, a, _), (_, b, _) in itertools.combinations(found, 2):
        assert apart(a, b) or inside(a, b) or inside(b, a)
    for style, box, _ in found:
        assert inside(box, whole)
        if not style.startswith("module"):
            assert not any(inside(other, box) for _, other, _ in found if other is not box)
    for path in root.iter(f"{SVG}path"):
        assert all(math.isfinite(float(x)) for x in re.findall(r"[^MCLz ]+", path.attrib["d"]))


def test_every_instruction_is_drawn_once_with_its_type_and_below_what_it_reads() -> None:
    modules = ["", "encoder.layer.0", "encoder.layer.0", "encoder.layer.1", "head", "head", ""]
    program = program_of(modules, [[0], [1], [2, 1], [3, 0], [4], [5], [6, 1]])
    found = list(boxes(program.draw()))
    shown = [texts for style, _, texts in found if style == "node"]
    assert sorted(texts[-2] for texts in shown) == sorted(made.operation for made in program.instructions)
    assert all(texts[-1] == "float32[3]" for texts in shown)
    titles = {texts[0] for style, _, texts in found if style.startswith("module")}
    assert titles == {"encoder", "layer.0 (0)", "head (Head)"}
    tops = [box[1] for style, box, _ in found if style in ("input", "node", "output")]
    assert len(tops) == 9
    (result,) = [box for style, box, _ in found if style == "output"]
    assert all(box[1] <= result[1] for _, box, _ in found)


def test_a_large_graph_is_drawn_with_closed_modules_and_a_depth_opens_them() -> None:
    modules = [f"layers.{n // 20}.part{n % 20 // 5}" for n in range(200)]
    program = program_of(modules, [[n] for n in range(200)])
    few = list(boxes(program.draw()))
    assert len(few) <= LIMIT + 60
    assert any(style == "closed" and "5 instructions" in texts[1] for style, _, texts in few)
    assert sum(style == "node" for style, _, _ in boxes(program.draw(depth=9))) == 200
    assert sum(style == "closed" for style, _, _ in boxes(program.draw(depth=1))) == 10


def test_a_picture_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    program = tn.trace(lambda x: tn.cond(tn.sum(x) > 0, lambda x: x * 2, lambda x: -x, x), tn.asarray(np.ones(3)))
    picture = program.draw(tmp_path / "graph.svg")
    assert (tmp_path / "graph.svg").read_text() == picture
    assert re.search(r">cond, \d values inside<", picture)
    assert [path.name for path in tmp_path.iterdir()] == ["graph.svg"]
    with pytest.raises(FileError, match="can not be written"):
        program.draw(tmp_path / "nowhere" / "graph.svg")


def test_names_are_escaped() -> None:
    program = program_of(["a<b>&c"], [[0]])
    assert "a<b>" not in program.draw()
    assert next(texts for style, _, texts in boxes(program.draw()) if style == "node")[0].startswith("a<b>&c")


def test_calls_of_modules_are_a_tree_of_instructions() -> None:
    modules = ["", "encoder.layer.0", "encoder.layer.0.norm", "encoder.layer.1", "encoder.layer.0", "head"]
    program = program_of(modules, [[n] for n in range(6)])
    calls = program.modules()
    assert [call.path for call in calls] == [
        "", "encoder", "encoder.layer.0", "encoder.layer.0.norm", "encoder.layer.1", "head",
    ]  # fmt: skip
    assert calls.instructions == tuple(range(6))
    (encoder, head) = calls.children
    assert encoder.instructions == (1, 2, 3, 4)
    assert encoder.children[0].own == (1, 4)
    assert head.kind == "package.Head"
    assert str(calls).splitlines() == [
        "drawing: 6 instructions, 0-5",
        "  encoder: 4 instructions, 1-4",
        "    layer.0 (0): 3 instructions, 1-4",
        "      norm (Norm): 1 instruction, 2",
        "    layer.1 (1): 1 instruction, 3",
        "  head (Head): 1 instruction, 5",
    ]


def test_two_calls_of_a_module_are_two() -> None:
    program = program_of(["a", "a"], [[0], [1]])
    first, second = program.instructions
    second = dataclasses.replace(second, source=dataclasses.replace(second.source, call=1))
    calls = dataclasses.replace(program, instructions=(first, second)).modules()
    assert [call.title for call in calls.children] == ["a (A)", "a (A), call 2"]


def test_a_picture_of_another_kind_is_refused(tmp_path: Path) -> None:
    p = tn.trace(lambda x: x + 1, tn.asarray(np.ones(3)))
    with pytest.raises(FileError, match="drawn as SVG"):
        p.draw(tmp_path / "graph.png")
    assert not list(tmp_path.iterdir())
