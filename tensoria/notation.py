"""The string notation: `"^i _j, ^j -> ^i"`.

`^` is up, `_` is down, no mark is a plain axis; names have any length and stand apart by spaces; commas separate
operands; `...` stands for leading anonymous axes. A string without marks and without spaces inside its terms is the
*classic* notation of `numpy.einsum`, one letter an axis: `"ij,jk->ik"`.

Round brackets symmetrise and square ones antisymmetrise over the indices in them, as in the literature: `"_(i j)"`,
`"^i _[j k]"`; bars exclude what stands between them, `"_[i |j| k]"`. A mark before a bracket belongs to every name in
it that has none of its own.

Reading a string knows no tensors and no spaces: it yields names, marks and where each stands in the text, so that
whoever finds a fault later can point a caret at it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from tensoria.declared import bracketed
from tensoria.errors import NotationError
from tensoria.indices import NAME, Index
from tensoria.spaces import Variance
from tensoria.structure import Cache, Structure, structural

__all__ = ["Expression", "Group", "Label", "Term", "latex", "parse", "parse_term"]

Mark = Literal["^", "_", ""]
VARIANCE: dict[str, Variance] = {"^": 1, "_": -1, "": 0}


@dataclass(frozen=True, eq=False)
class Label(Structure):
    """One name in a term: its mark, and where it stands in the text."""

    name: str
    mark: Mark
    span: tuple[int, int]

    @property
    def variance(self) -> Variance:
        """1 for `^`, -1 for `_`, 0 for an unmarked name."""
        return VARIANCE[self.mark]

    def __str__(self) -> str:
        return self.mark + self.name


@dataclass(frozen=True, eq=False)
class Group(Structure):
    """Names in brackets: their positions in the term, and whether the brackets are square."""

    positions: tuple[int, ...]
    antisymmetric: bool
    span: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Term(Structure):
    """The axes of one operand or of the result, in order."""

    labels: tuple[Label, ...]
    ellipsis: bool
    span: tuple[int, int]
    groups: tuple[Group, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names alone."""
        return tuple(label.name for label in self.labels)

    def __str__(self) -> str:
        groups = tuple((group.positions, group.antisymmetric) for group in self.groups)
        labels = bracketed([(label.mark, label.name) for label in self.labels], groups)
        return " ".join((["..."] if self.ellipsis else []) + ([labels] if labels else []))


@dataclass(frozen=True, eq=False)
class Expression(Structure):
    """A whole contraction: one term for each operand, and the result's term if it was given."""

    text: str
    terms: tuple[Term, ...]
    output: Term | None
    classic: bool

    def error(self, message: str, where: Label | Term | Group, legal: str | None = None) -> NotationError:
        """A notation error that points at a place in this text."""
        return NotationError(message, notation=self.text, span=where.span, legal=legal)


@structural
def parse(text: str) -> Expression:
    """Read a contraction such as `"^i _j, ^j -> ^i"` or `"ij,jk->ik"`.

    Raises:
        NotationError: the text can not be read; a caret points at the place.

    >>> [str(term) for term in parse("... ^i _j, ^j").terms]
    ['... ^i _j', '^j']
    >>> parse("ij,jk->ik").classic
    True
    """
    if not isinstance(text, str):
        raise NotationError(f"a notation is a string, not {type(text).__name__} {text!r}.")
    return _expressions[text]


@structural
def parse_term(text: str) -> Term:
    """Read the axes of one tensor, such as `"b ^i _j"`; a name without a mark is a plain axis.

    Raises:
        NotationError: the text can not be read, or holds more than one term.
    """
    if not isinstance(text, str):
        raise NotationError(f"a notation is a string, not {type(text).__name__} {text!r}.")
    for sign in (",", "->"):
        if (at := text.find(sign)) >= 0:
            raise NotationError(
                "the axes of one tensor are written here, without ',' and '->'.",
                notation=text,
                span=(at, at + len(sign)),
            )
    return _spaced_term(text, 0, len(text))


def _parse(text: str) -> Expression:
    arrow = text.find("->")
    if arrow >= 0 and (second := text.find("->", arrow + 2)) >= 0:
        raise NotationError("a second '->'.", notation=text, span=(second, second + 2))
    left_end = len(text) if arrow < 0 else arrow
    spans = []
    start = 0
    while True:
        comma = text.find(",", start, left_end)
        end = left_end if comma < 0 else comma
        spans.append(_trimmed(text, start, end))
        if comma < 0:
            break
        start = comma + 1
    output = None if arrow < 0 else _trimmed(text, arrow + 2, len(text))
    if output is not None and (comma := text.find(",", arrow)) >= 0:
        raise NotationError("the result is one tensor; no ',' after '->'.", notation=text, span=(comma, comma + 1))
    pieces = [text[a:b] for a, b in spans + ([output] if output else [])]
    classic = not any(mark in piece for piece in pieces for mark in "^_ \t\n")
    read = _classic_term if classic else _spaced_term
    return Expression(
        text, tuple(read(text, a, b) for a, b in spans), None if output is None else read(text, *output), classic
    )


_expressions: Cache[str, Expression] = Cache(_parse)


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end


OPENING = "(["
BRACKETS = "()[]|"


class _Brackets:
    """The brackets of one term, while it is read."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.groups: list[Group] = []
        self.opened: int | None = None
        self.barred: int | None = None
        self.mark: Mark = ""
        self.members: list[int] = []

    def fault(self, message: str, at: int, legal: str | None = None) -> NotationError:
        return NotationError(message, notation=self.text, span=(at, at + 1), legal=legal)

    def read(self, at: int, mark: Mark) -> None:
        """One bracket or bar, and the mark before it."""
        sign = self.text[at]
        if sign in OPENING:
            if self.opened is not None:
                raise self.fault("brackets do not nest.", at, "(anti)symmetrise twice, one after the other")
            self.opened, self.mark, self.members = at, mark, []
            return
        if mark:
            raise self.fault("a mark without a name.", at - 1)
        if self.opened is None:
            raise self.fault(f"{sign!r} without a bracket before it.", at, '"_(i j)" or "_[i j]"')
        if sign == "|":
            self.barred = at if self.barred is None else None
            return
        if self.barred is not None:
            raise self.fault("a second '|' is missing.", self.barred)
        if OPENING.index(self.text[self.opened]) != ")]".index(sign):
            raise self.fault(f"{self.text[self.opened]!r} does not end with {sign!r}.", at)
        if len(self.members) < 2:
            raise NotationError(
                "brackets (anti)symmetrise over two or more names.", notation=self.text, span=(self.opened, at + 1)
            )
        self.groups.append(Group(tuple(self.members), sign == "]", (self.opened, at + 1)))
        self.opened = None

    def mark_of(self, mark: Mark, position: int) -> Mark:
        """The mark of the name at this position of the term, which is a member unless it is excluded."""
        if self.opened is None:
            return mark
        if self.barred is None:
            self.members.append(position)
        return mark or self.mark

    def finished(self) -> tuple[Group, ...]:
        if self.opened is not None:
            raise self.fault(f"{self.text[self.opened]!r} is not closed.", self.opened)
        return tuple(self.groups)


def _classic_term(text: str, start: int, end: int) -> Term:
    labels: list[Label] = []
    brackets = _Brackets(text)
    ellipsis = False
    at = start
    while at < end:
        if text[at] in BRACKETS:
            brackets.read(at, "")
            at += 1
            continue
        if text.startswith("...", at):
            # Classic strings may write "i..." as numpy does; only the leading place has a meaning for us.
            if ellipsis:
                raise NotationError("a second '...'.", notation=text, span=(at, at + 3))
            if labels:
                raise NotationError(
                    "'...' stands for leading axes, so it comes first in a term.", notation=text, span=(at, at + 3)
                )
            ellipsis = True
            at += 3
            continue
        if not text[at].isalpha():
            raise NotationError(
                f"{text[at]!r} is no letter; the classic notation has one letter for each axis.",
                notation=text,
                span=(at, at + 1),
                legal='names of several characters stand apart by spaces: "row col, col k -> row k"',
            )
        labels.append(Label(text[at], brackets.mark_of("", len(labels)), (at, at + 1)))
        at += 1
    return Term(tuple(labels), ellipsis, (start, end), brackets.finished())


def _spaced_term(text: str, start: int, end: int) -> Term:
    labels: list[Label] = []
    brackets = _Brackets(text)
    ellipsis = False
    at = start
    while True:
        while at < end and text[at].isspace():
            at += 1
        if at >= end:
            groups = brackets.finished()
            for group in groups:
                _check_marks(text, [labels[n] for n in group.positions])
            return Term(tuple(labels), ellipsis, _trimmed(text, start, end), groups)
        if text.startswith("...", at):
            if ellipsis or labels:
                fault = "a second '...'." if ellipsis else "'...' stands for leading axes, so it comes first in a term."
                raise NotationError(fault, notation=text, span=(at, at + 3))
            ellipsis = True
            at += 3
            continue
        mark: Mark = ""
        begin = at
        if text[at] == "^" or text[at] == "_":
            mark = "^" if text[at] == "^" else "_"
            at += 1
        if at < end and text[at] in BRACKETS:
            brackets.read(at, mark)
            at += 1
            continue
        stop = at
        while stop < end and not text[stop].isspace() and text[stop] not in "^_." + BRACKETS:
            stop += 1
        name = text[at:stop]
        if not NAME.match(name):
            shown = (
                "a mark without a name." if not name else f"{name!r} is no name: letters, digits and primes make one."
            )
            raise NotationError(shown, notation=text, span=(begin, max(stop, begin + 1)))
        labels.append(Label(name, brackets.mark_of(mark, len(labels)), (begin, stop)))
        at = stop


def _check_marks(text: str, members: list[Label]) -> None:
    """The names in one pair of brackets are all up or all down."""
    for label in members:
        if not label.mark:
            raise NotationError(
                f"{label.name!r} is a plain axis, and brackets exchange indices of one space.",
                notation=text,
                span=label.span,
                legal='a mark for each name, or one before the bracket: "_[i j]"',
            )
        if label.mark != members[0].mark:
            raise NotationError(
                f"{members[0]} and {label} differ in variance, so exchanging them has no meaning.",
                notation=text,
                span=label.span,
                legal='bars exclude a name: "_[i |^k| j]"',
            )


def latex(symbol: str, of: Iterable[Index]) -> str:
    """The tensor's symbol with its indices in LaTeX, upper and lower ones staggered.

    >>> from tensoria import Space, indices
    >>> i, j = indices("i j", Space("V", 3))
    >>> latex("T", [i, -j])
    'T^{i}{}_{j}'
    """
    pieces: list[str] = [symbol]
    last = 0
    for index in of:
        name = _latex_name(index.name)
        if index.variance == 0:
            pieces.append(("{}" if last else "") + rf"_{{[\mathrm{{{index.name}}}]}}")
            last = 2
            continue
        sign = "^" if index.variance > 0 else "_"
        if last == index.variance:
            pieces[-1] = pieces[-1][:-1] + " " + name + "}"
        else:
            pieces.append(("{}" if last else "") + f"{sign}{{{name}}}")
        last = index.variance
    return "".join(pieces)


_GREEK = frozenset(
    (
        "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu "
        "nu xi pi rho sigma tau upsilon phi chi psi omega"
    ).split(" ")
)


def _latex_name(name: str) -> str:
    bare = name.rstrip("'*")
    tail = name[len(bare) :]
    base = "\\" + bare if bare in _GREEK else bare if len(bare) == 1 else rf"\mathrm{{{bare}}}"
    return base + tail
