"""The report as one page that needs nothing else: a matrix that leads to every contract, in light or dark colours."""

from __future__ import annotations

from html import escape

from tensoria_conformance.baseline import Changes
from tensoria_conformance.report.results import Finding, Results

__all__ = ["page"]

STYLE = """
:root { color-scheme: light dark; --line: #8884; --good: #1a7f37; --bad: #cf222e; --skip: #8a6d00; --soft: #8881 }
@media (prefers-color-scheme: dark) { :root { --good: #4ac26b; --bad: #ff7b72; --skip: #d4a72c } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2.5rem }
table { border-collapse: collapse; width: 100% } th, td { padding: .35rem .7rem; border-bottom: 1px solid var(--line) }
th { text-align: left } td a { text-decoration: none } a { color: inherit }
.holds { color: var(--good) } .fails { color: var(--bad); font-weight: 600 } .skipped { color: var(--skip) }
details { border-bottom: 1px solid var(--line); padding: .3rem 0 } summary { cursor: pointer }
pre { background: var(--soft); padding: .8rem; overflow-x: auto; font-size: .85rem }
.about { opacity: .75; font-size: .9rem } code { font-size: .9em }
"""
MARKS = {"holds": "✓", "fails": "✗", "skipped": "–"}


def page(results: Results, changes: Changes | None = None) -> str:
    """The page as HTML text."""
    state = f"{len(results.failures)} failures" if results.failures else "every contract holds"
    kind = "fails" if results.failures else "holds"
    parts = [
        f"<h1>tensoria conformance: <span class='{kind}'>{state}</span></h1>",
        _about(results),
        _matrix(results),
        _changes(changes) if changes is not None else "",
    ]
    for chapter in results.chapters:
        parts.append(f"<h2 id='{_anchor(chapter)}'>{escape(chapter.capitalize())}</h2>")
        for backend in results.backends:
            parts.append(f"<h3 id='{_anchor(chapter, backend)}'>{escape(backend)}</h3>")
            parts += map(_contract, results.cell(backend, chapter))
    body = "\n".join(filter(None, parts))
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>tensoria conformance</title><style>{STYLE}</style></head><body>\n{body}\n</body></html>\n"
    )


def _anchor(chapter: str, backend: str = "") -> str:
    return escape(f"{chapter}-{backend}".replace(" ", "-").rstrip("-"), quote=True)


def _about(results: Results) -> str:
    around = results.surroundings
    listed = [(name, about["version"], ", ".join(about["devices"])) for name, about in around["backends"].items()]
    rows = "".join("<tr>" + "".join(f"<td>{escape(x)}</td>" for x in row) + "</tr>" for row in listed)
    return (
        f"<p class='about'>{escape(around['date'])}; tensoria {escape(around['tensoria'])}, Python "
        f"{escape(around['python'])}, NumPy {escape(around['numpy'])}, {escape(around['platform'])}</p>"
        f"<table class='about'><tr><th>backend</th><th>version</th><th>devices</th></tr>{rows}</table>"
    )


def _matrix(results: Results) -> str:
    head = "".join(f"<th>{escape(backend)}</th>" for backend in results.backends)
    lines = []
    for chapter in results.chapters:
        cells = "".join(_cell(results.cell(backend, chapter), chapter, backend) for backend in results.backends)
        lines.append(f"<tr><th><a href='#{_anchor(chapter)}'>{escape(chapter)}</a></th>{cells}</tr>")
    return f"<h2>Backends and chapters</h2><table><tr><th>chapter</th>{head}</tr>{''.join(lines)}</table>"


def _cell(found: tuple[Finding, ...], chapter: str, backend: str) -> str:
    texts = []
    for status in ("holds", "fails", "skipped"):
        count = sum(x.status == status for x in found)
        if count:
            texts.append(f"<span class='{status}'>{MARKS[status]} {count}</span>")
    return f"<td><a href='#{_anchor(chapter, backend)}'>{' '.join(texts) or '–'}</a></td>"


def _changes(changes: Changes) -> str:
    return f"<h2>Against the baseline</h2><pre>{escape(str(changes))}</pre>"


def _contract(found: Finding) -> str:
    opened = " open" if found.status == "fails" else ""
    title = escape(found.contract.removeprefix("test_").replace("_", " "))
    parts = [
        f"<details{opened}><summary><span class='{found.status}'>{MARKS[found.status]}</span> {title}</summary>",
        f"<p>{escape(found.rule)}<br><span class='about'>Source: {escape(found.source)}; "
        f"<code>{escape(found.contract)}</code>, {found.seconds:.2f} s</span></p>",
    ]
    if found.message:
        parts.append(f"<pre class='{found.status}'>{escape(found.message)}</pre>")
    if found.snippet:
        parts.append(f"<p>This program shows it:</p><pre>{escape(found.snippet)}</pre>")
    return "".join([*parts, "</details>"])
