"""A comparison as one page that needs nothing else: in light or dark colours, with a bar for every error."""

from __future__ import annotations

import linecache
import math
from collections.abc import Sequence
from html import escape

from tensoria.porting.parity.findings import Findings
from tensoria.porting.parity.measuring import Comparison
from tensoria.porting.parity.outcomes import Outcome
from tensoria.programs.types import Source

__all__ = ["page"]

STYLE = """
:root { color-scheme: light dark; --line: #8884; --good: #1a7f37; --bad: #cf222e; --soft: #8881; --bar: #4c8ed9;
  --wide: #8a63d2; --sum: #d4a72c }
@media (prefers-color-scheme: dark) { :root { --good: #4ac26b; --bad: #ff7b72 } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2.2rem }
table { border-collapse: collapse; width: 100% }
th, td { padding: .25rem .6rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
.same { color: var(--good) } .semantic { color: var(--bad); font-weight: 600 } .rounding { color: #8a6d00 }
pre { background: var(--soft); padding: .8rem; overflow-x: auto; font-size: .85rem } mark { background: #f5d90a66 }
code { font-size: .86em; overflow-wrap: anywhere } .about { opacity: .7; font-size: .86em }
summary { cursor: pointer; font-weight: 600; margin: 1rem 0 .4rem }
.bars { width: 15rem } .track { position: relative; height: .42rem; background: var(--soft); margin: .12rem 0 }
.track i { position: absolute; left: 0; top: 0; bottom: 0 } .track b { position: absolute; top: -1px; bottom: -1px;
  width: 2px; background: var(--bad) }
.local { background: var(--bar) } .wide { background: var(--wide) } .sum { background: var(--sum) }
.key i { display: inline-block; width: .8rem; height: .6rem; margin: 0 .3rem 0 .9rem }
"""
COLUMNS = ("operators", "worst local", "in float64", "worst cumulative", "end to end")
LEAST, MOST = -17.0, 1.0
"""The bars reach from 10^-17 to 10."""


def page(found: Findings) -> str:
    """The page as HTML text."""
    state = "no divergence" if found.holds else "diverges"
    kind = "same" if found.holds else "semantic"
    parts = [
        f"<h1>{escape(found.name)} on {escape(', '.join(found.backends))}: <span class='{kind}'>{state}</span></h1>",
        _overview(found),
        _divergence(found),
        _wholes(found),
        "<h2>Every operator</h2>",
        "<p class='key about'>errors relative to the largest component, from 1e-17 to 10 on a logarithmic scale:"
        "<i class='local'></i>local (with the model's own numbers)<i class='wide'></i>local in float64"
        "<i class='sum'></i>cumulative; the line marks the tolerance</p>",
        *(_operators(found, backend) for backend in found.backends),
    ]
    body = "\n".join(filter(None, parts))
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>Parity of {escape(found.name)}</title><style>{STYLE}</style></head><body>\n{body}\n</body></html>\n"
    )


def _overview(found: Findings) -> str:
    rows = []
    for name in found.backends:
        own = [x for x in found.comparisons if x.backend == name]
        ends = [x.error for x in found.outcomes if x.backend == name and x.kind == "result" and not x.note]
        wide = [x.wide for x in own if x.wide is not None]
        local, cumulative = found.worst(name)
        bad = sum(x.backend == name for x in found.divergences)
        verdict = f"<span class='semantic'>{bad} diverge</span>" if bad else "<span class='same'>same</span>"
        numbers = (local, max(wide, default=None), cumulative, max(ends, default=None))
        cells = "".join(f"<td class='number'>{_number(x)}</td>" for x in numbers)
        rows.append(f"<tr><td>{escape(name)}</td><td class='number'>{len(own)}</td>{cells}<td>{verdict}</td></tr>")
    changed = ""
    if found.changed:
        names = ", ".join(f"<code>{escape(name)}</code>" for name in found.changed)
        changed = f"<p>Other numbers than the model's: {names}</p>"
    return (
        "<table><tr><th>backend</th>" + "".join(f"<th class='number'>{name}</th>" for name in COLUMNS)
        + f"<th></th></tr>{''.join(rows)}</table>{changed}"
    )


def _divergence(found: Findings) -> str:
    if found.holds:
        return ""
    first, *others = found.divergences
    parts = [f"<h2>First divergence</h2><p>{escape(str(first))}</p>", _lines(first.source)]
    if others:
        listed = "".join(f"<li>{escape(str(x))}</li>" for x in others)
        parts.append(f"<details><summary>{len(others)} more</summary><ul>{listed}</ul></details>")
    return "".join(parts)


def _lines(source: Source) -> str:
    """The source around a line, if its file is there."""
    if not source.file or not source.line:
        return ""
    shown = []
    for number in range(max(source.line - 3, 1), source.line + 4):
        text = linecache.getline(source.file, number).rstrip("\n")
        if text or number == source.line:
            line = f"{number:>5}  {escape(text)}"
            shown.append(f"<mark>{line}</mark>" if number == source.line else line)
    return f"<pre>{escape(str(source))}\n\n" + "\n".join(shown) + "</pre>"


def _wholes(found: Findings) -> str:
    parts = []
    for kind, title in (("result", "Results"), ("gradient", "Gradients"), ("hidden row", "Rows that see nothing")):
        own = [x for x in found.outcomes if x.kind == kind]
        if own:
            head = "<tr><th>tried</th><th>backend</th><th></th><th class='number'>error</th>"
            head += "<th class='number'>in float64</th><th>verdict</th></tr>"
            table = f"<table>{head}{''.join(map(_outcome, own))}</table>"
            opened = " open" if kind == "result" or any(x.diverges for x in own) else ""
            parts.append(f"<details{opened}><summary>{title}: {len(own)}</summary>{table}</details>")
    return f"<h2>As a whole</h2>{''.join(parts)}" if parts else ""


def _outcome(x: Outcome) -> str:
    verdict = _verdict("semantic" if x.diverges else "same" if x.error <= x.tolerance else "rounding")
    note = f" <span class='about'>{escape(x.note)}</span>" if x.note else ""
    numbers = "".join(f"<td class='number'>{_number(n)}</td>" for n in (x.error, x.wide))
    return (
        f"<tr><td>{escape(x.case)}</td><td>{escape(x.backend)}</td><td><code>{escape(x.name)}</code>{note}</td>"
        f"{numbers}<td>{verdict}</td></tr>"
    )


def _operators(found: Findings, backend: str) -> str:
    own = [x for x in found.comparisons if x.backend == backend]
    names = ("", "operator", "module and line", "errors")
    head = "".join(f"<th>{name}</th>" for name in names) + "<th class='number'>local</th><th></th>"
    opened = " open" if backend == found.backends[0] else ""
    return (
        f"<details{opened}><summary>{escape(backend)}</summary><table><tr>{head}</tr>{''.join(map(_operator, own))}"
        "</table></details>"
    )


def _operator(x: Comparison) -> str:
    where = escape(x.source.module)
    line = f"{escape(x.source.file.rsplit('/', 1)[-1])}:{x.source.line}" if x.source.file else ""
    case = "" if x.case == "as given" else f"<br><span class='about'>{escape(x.case)}</span>"
    reason = f"<br><span class='about'>{escape(x.reason)}</span>" if x.reason else ""
    return (
        f"<tr id='{escape(x.backend)}-{x.number}'><td class='number about'>{x.number}</td>"
        f"<td title='{escape(x.operation, quote=True)}'><code>{escape(_cut(x.operation))}</code>{case}{reason}</td>"
        f"<td>{where}<br><span class='about'>{line}</span></td><td class='bars'>{_bars(x)}</td>"
        f"<td class='number'>{_number(x.local)}</td><td>{_verdict(x.verdict)}</td></tr>"
    )


def _bars(x: Comparison) -> str:
    limit = f"<b style='left:{_share(x.tolerance):.1f}%'></b>" if x.tolerance else ""
    bars: Sequence[tuple[str, float | None, str]] = (
        ("local", x.local, limit), ("wide", x.wide, ""), ("sum", x.cumulative, ""),
    )  # fmt: skip
    return "".join(
        f"<div class='track' title='{name} {_number(error)}'><i class='{name}' style='width:{_share(error):.1f}%'></i>"
        f"{mark}</div>"
        for name, error, mark in bars if error is not None
    )  # fmt: skip


def _share(error: float) -> float:
    if error == 0:
        return 0.0
    power = math.log10(error) if math.isfinite(error) else MOST
    return 100 * (min(max(power, LEAST), MOST) - LEAST) / (MOST - LEAST)


def _number(x: float | None) -> str:
    return "–" if x is None else "0" if x == 0 else f"{x:.1e}"


def _verdict(verdict: str) -> str:
    return f"<span class='{verdict}'>{verdict}</span>"


def _cut(text: str, length: int = 120) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
