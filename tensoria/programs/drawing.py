"""A program's graph as a picture: modules are boxes inside of each other, values flow downwards.

Every module is laid out by itself and is then one box of the module around it. Boxes stand in layers, each below all
that it reads from (the longest way); a layer's order is that of the mean places of its neighbours, above and below in
turns (Sugiyama, Tagawa and Toda 1981). Lines that pass a layer have a place in it, also on their way into and out of
modules. What is too large is drawn with the deeper modules closed.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from html import escape

from tensoria.programs.base import BaseProgram, described
from tensoria.programs.regions import ModuleCall, module_calls
from tensoria.programs.types import Instruction, Value, assigned, regions

__all__ = ["LIMIT", "drawn"]

LIMIT = 120
"""So many boxes are drawn at most before modules are closed."""
LETTER, LINE = 6.7, 15.0
"""The width of a letter and the height of a line."""
MARGIN, BETWEEN, BELOW, HEAD = 10.0, 16.0, 26.0, 18.0
"""Around boxes, between the boxes of a layer, between layers, and above the content of a module."""
WIDEST = 44
"""So many letters of a line are shown."""
SWEEPS = 8
STYLE = """
text { font: 11px ui-monospace, Menlo, Consolas, monospace; fill: #1f2328 }
.type { fill: #57606a } .module { fill: none; stroke: #8c959f; stroke-width: 1 } .depth0 { fill: #f6f8fa }
.depth1 { fill: #eef3f9 } .depth2 { fill: #e6edf6 } .title { font-weight: 600; fill: #0550ae }
.node { fill: #fff; stroke: #57606a } .input { fill: #dafbe1; stroke: #1a7f37 }
.output { fill: #ffebe9; stroke: #cf222e }
.closed { fill: #fff8c5; stroke: #9a6700 } .line { fill: none; stroke: #8c959f; stroke-width: 1.1 }
"""


@dataclass(eq=False)
class _Box:
    """Something with a place: an instruction, an input, a result, a closed module, or an open one with boxes inside."""

    lines: Sequence[str]
    style: str
    hint: str = ""
    inside: list[_Box] = field(default_factory=list)
    above: list[_Box] = field(default_factory=list)
    """What it reads from."""
    around: _Box | None = None
    width: float = 0.0
    height: float = 0.0
    x: float = 0.0
    y: float = 0.0
    """The upper left corner, within the box around it."""

    @property
    def centre(self) -> float:
        """The middle, from left to right."""
        return self.x + self.width / 2


def drawn(program: BaseProgram, depth: int | None = None) -> str:
    """The graph as an SVG picture.

    Args:
        program: any program.
        depth: modules this deep are closed; by default as deep as at most `LIMIT` boxes allow.
    """
    calls = module_calls(program)
    if depth is None:
        deepest = max(_depths(calls))
        depth = next((d for d in range(deepest, 0, -1) if _count(calls, d) <= LIMIT), 1)
    root, lines = _boxes(program, calls, depth)
    ways: dict[tuple[_Box, _Box], list[_Box]] = {}
    _laid_out(root, lines, ways)
    return _svg(root, lines, ways, program.name)


def _depths(calls: ModuleCall, depth: int = 0) -> Iterator[int]:
    yield depth + 1
    for child in calls.children:
        yield from _depths(child, depth + 1)


def _count(calls: ModuleCall, depth: int) -> int:
    """How many boxes there are if modules this deep are closed."""
    return len(calls.own) + sum(1 if depth == 1 else _count(child, depth - 1) for child in calls.children)


# -- what is drawn ----------------------------------------------------------------------------------------------------

Lines = list[tuple[_Box, _Box]]


def _boxes(program: BaseProgram, calls: ModuleCall, depth: int) -> tuple[_Box, Lines]:
    """The boxes within the whole, and the lines between them."""
    root = _Box((program.name,), "root")
    of: dict[int, _Box] = {}
    _fill(root, calls, program, depth, of)
    made = {value: of[n] for n, one in enumerate(program.instructions) for value in one.results}
    for value in program.inputs:
        made[value] = _added(root, _Box((value.name, str(value.type)), "input"))
    lines: dict[tuple[_Box, _Box], None] = {}
    for n, one in enumerate(program.instructions):
        for x in one.operands:
            if x in made and made[x] is not of[n]:
                assert isinstance(x, Value)
                lines[made[x], of[n]] = None
    ends = [*enumerate(program.outputs), *((name, x) for name, x in program.updates.items())]
    for name, x in ends:
        what = f"result {name}" if isinstance(name, int) else f"update {name}"
        box = _added(root, _Box((what, str(x.type)), "output"))
        if isinstance(x, Value) and x in made:
            lines[made[x], box] = None
    return root, list(lines)


def _added(around: _Box, box: _Box) -> _Box:
    box.around = around
    around.inside.append(box)
    return box


def _fill(into: _Box, calls: ModuleCall, program: BaseProgram, depth: int, of: dict[int, _Box]) -> None:
    """The boxes of a module's instructions and of the modules inside of it, in the order of their first ones."""
    parts: list[tuple[int, ModuleCall | None]] = [(n, None) for n in calls.own]
    parts += [(child.instructions[0], child) for child in calls.children]
    for n, child in sorted(parts, key=lambda part: part[0]):
        if child is None:
            of[n] = _added(into, _instruction(program.instructions[n]))
        elif len(child.instructions) == 1:
            of[n] = _added(into, _instruction(program.instructions[n], child.title))
        elif depth == 1:
            numbers = child.instructions
            box = _added(into, _Box((_cut(child.title), f"{len(numbers)} instructions"), "closed", child.path))
            of.update(dict.fromkeys(numbers, box))
        else:
            _fill(_added(into, _Box((child.title,), "module", child.path)), child, program, depth - 1, of)


def _instruction(made: Instruction, title: str = "") -> _Box:
    within = sum(1 for region in regions(made).values() for _ in assigned(region))
    lines = [title] if title else []
    lines.append(f"{made.operation}, {within} values inside" if within else made.operation)
    lines += [str(value.type) for value in made.results[:3]]
    return _Box(tuple(map(_cut, lines)), "node", f"{described(made)}\n{made.source}")


def _cut(text: str) -> str:
    return text if len(text) <= WIDEST else text[: WIDEST - 1] + "…"


# -- where it stands --------------------------------------------------------------------------------------------------


Ends = tuple[_Box | None, _Box | None]


def _laid_out(box: _Box, lines: Lines, ways: dict[tuple[_Box, _Box], list[_Box]]) -> None:
    """Sizes and places of all boxes; and the places by which lines pass layers."""
    if not box.inside:
        box.width = max(len(line) for line in box.lines) * LETTER + 2 * MARGIN
        box.height = len(box.lines) * LINE + MARGIN
        return
    for inner in box.inside:
        _laid_out(inner, lines, ways)
    within = set(box.inside)
    between: dict[tuple[Ends, _Box | None], Lines] = {}
    for line in lines:
        a, b = (_part(end, within) for end in line)
        if a is not b:
            other = None if a is not None and b is not None else line[a is not None]
            between.setdefault(((a, b), other), []).append(line)
    layers = _layers(box.inside, [(a, b) for (a, b), _ in between if a is not None and b is not None])
    for (ends, _), passing in between.items():
        chain = _passed(layers, ends, box)
        for line in passing:
            ways.setdefault(line, []).extend(chain)
    _ordered(layers)
    _placed(layers)
    head = HEAD if box.style == "module" else MARGIN
    top = head
    for layer in layers:
        height = max(inner.height for inner in layer)
        for inner in layer:
            if inner.style == "pass":
                inner.height = height
            inner.y = top + (height - inner.height) / 2
        top += height + BELOW
    left = min(inner.x for layer in layers for inner in layer)
    for layer in layers:
        for inner in layer:
            inner.x += MARGIN - left
    wide = max(inner.x + inner.width for layer in layers for inner in layer) + MARGIN
    box.width = max(wide, len(box.lines[0]) * LETTER + 2 * MARGIN)
    box.height = top - BELOW + MARGIN


def _part(box: _Box, within: set[_Box]) -> _Box | None:
    """The one of some boxes that a box is, or is inside of."""
    found: _Box | None = box
    while found is not None and found not in within:
        found = found.around
    return found


def _layers(boxes: Sequence[_Box], lines: Iterable[tuple[_Box, _Box]]) -> list[list[_Box]]:
    """The boxes by the longest way to them; inputs stand right above what reads them, results at the end."""
    for box in boxes:
        box.above = []
    below: dict[_Box, list[_Box]] = {box: [] for box in boxes}
    for a, b in lines:
        b.above.append(a)
        below[a].append(b)
    level: dict[_Box, int] = {}
    seen: set[_Box] = set()  # (a line back to a module that is still open does not count)
    for box in boxes:
        stack = [] if box in level else [box]
        while stack:
            top = stack[-1]
            seen.add(top)
            waiting = next((x for x in top.above if x not in seen), None)
            if waiting is not None:
                stack.append(waiting)
            else:
                level[stack.pop()] = 1 + max((level.get(x, -1) for x in top.above), default=-1)
    last = max(level.values())
    for box in boxes:
        if not box.above and below[box]:
            level[box] = min(level[x] for x in below[box]) - 1
        if box.style == "output":
            level[box] = last
    return [layer for n in range(last + 1) if (layer := [box for box in boxes if level[box] == n])]


def _passed(layers: list[list[_Box]], ends: Ends, around: _Box) -> list[_Box]:
    """Narrow boxes where a line passes a layer, which are linked in its stead; it may come from outside."""
    a, b = ends
    level = {box: n for n, layer in enumerate(layers) for box in (a, b) if box in layer}
    first = -1 if a is None else level[a]
    end = len(layers) if b is None else level[b]
    chain: list[_Box] = []
    last = a
    for n in range(first + 1, end):
        passing = _Box((), "pass", above=[] if last is None else [last], width=6.0, around=around)
        layers[n].append(passing)
        chain.append(passing)
        last = passing
    if b is not None:
        if a is not None:
            b.above.remove(a)
        if last is not None:
            b.above.append(last)
    return chain


def _ordered(layers: list[list[_Box]]) -> None:
    """Each layer in the order of the mean places of its neighbours, downwards and upwards in turns."""
    below: dict[_Box, list[_Box]] = {}
    for layer in layers:
        for box in layer:
            for x in box.above:
                below.setdefault(x, []).append(box)
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        for layer in layers if down else reversed(layers):
            place = {box: n for other in layers for n, box in enumerate(other)}
            means = {}
            for box in layer:
                near = box.above if down else below.get(box, [])
                means[box] = sum(place[x] for x in near) / len(near) if near else place[box]
            layer.sort(key=means.__getitem__)


def _placed(layers: list[list[_Box]]) -> None:
    """Places from left to right: near the neighbours, in order, without overlap."""
    below: dict[_Box, list[_Box]] = {}
    for layer in layers:
        x = 0.0
        for box in layer:
            box.x, x = x, x + box.width + BETWEEN
            for other in box.above:
                below.setdefault(other, []).append(box)
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        for layer in layers if down else reversed(layers):
            wanted = []
            for box in layer:
                near = box.above if down else below.get(box, [])
                middle = sum(x.centre for x in near) / len(near) if near else box.centre
                wanted.append(middle - box.width / 2)
            _spread(layer, wanted)


def _spread(layer: list[_Box], wanted: Sequence[float]) -> None:
    """The places nearest to those wanted that do not overlap: blocks of touching boxes, each at its mean."""
    blocks: list[tuple[float, float, list[_Box]]] = []
    for box, x in zip(layer, wanted, strict=True):
        start, width, boxes = x, box.width + BETWEEN, [box]
        while blocks and blocks[-1][0] + blocks[-1][1] > start:
            before, wide, others = blocks.pop()
            count, n = len(others), len(boxes)
            start = (before * count + (start - wide) * n) / (count + n)
            width, boxes = wide + width, others + boxes
        blocks.append((start, width, boxes))
    for start, _, boxes in blocks:
        for box in boxes:
            box.x, start = start, start + box.width + BETWEEN


# -- as text ----------------------------------------------------------------------------------------------------------


def _svg(root: _Box, lines: Lines, ways: dict[tuple[_Box, _Box], list[_Box]], name: str) -> str:
    shapes: list[str] = []
    _shapes(root, 0, shapes)
    curves = [_curve(line, ways.get(line, [])) for line in lines]
    modules = [shape for shape in shapes if 'class="module' in shape]
    rest = [shape for shape in shapes if 'class="module' not in shape]
    width, height = root.width + MARGIN, root.height + MARGIN
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}">\n<title>{escape(name)}</title>\n<style>{STYLE}</style>\n'
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6" markerHeight="6" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="#8c959f"/></marker></defs>\n'
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="#fff"/>\n' + "\n".join([*modules, *curves, *rest])
        + "\n</svg>\n"
    )


def _corner(box: _Box) -> tuple[float, float]:
    """The upper left corner in the picture."""
    x, y = box.x, box.y
    while (outer := box.around) is not None:
        x, y, box = x + outer.x, y + outer.y, outer
    return x, y


def _shapes(box: _Box, depth: int, out: list[str]) -> None:
    x, y = _corner(box)
    if box.style != "root":
        hint = f"<title>{escape(box.hint)}</title>" if box.hint else ""
        style = f"module depth{(depth - 1) % 3}" if box.inside else box.style
        texts = []
        for n, line in enumerate(box.lines):
            kind = "title" if box.inside or (n == 0 and len(box.lines) > 2) else "type" if n else ""
            where = f'x="{x + MARGIN:.1f}"' if box.inside else f'x="{x + box.width / 2:.1f}" text-anchor="middle"'
            texts.append(f'<text {where} y="{y + 14 + n * LINE:.1f}" class="{kind}">{escape(line)}</text>')
        radius = 4 if box.inside else 9 if box.style in ("input", "output") else 3
        out.append(
            f'<g>{hint}<rect x="{x:.1f}" y="{y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" rx="{radius}" '
            f'class="{style}"/>{"".join(texts)}</g>'
        )
    for inner in box.inside:
        _shapes(inner, depth + 1, out)


def _curve(line: tuple[_Box, _Box], chain: Sequence[_Box]) -> str:
    """A line from the lower edge of a box to the upper edge of another, by way of the places in between."""
    a, b = line
    (left, top), (right, end) = _corner(a), _corner(b)
    points = [(left + a.width / 2, top + a.height)]
    for box in sorted(chain, key=lambda box: _corner(box)[1]):
        x, y = _corner(box)
        points += [(x + box.width / 2, y), (x + box.width / 2, y + box.height)]
    points.append((right + b.width / 2, end))
    text = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for (x, y), (u, v) in itertools.pairwise(points):
        bend = (v - y) / 2
        text += f"C{x:.1f} {y + bend:.1f} {u:.1f} {v - bend:.1f} {u:.1f} {v:.1f}"
    return f'<path d="{text}" class="line" marker-end="url(#tip)"/>'
