"""HTML of reports: escaped text, tables, cards, and the page around them."""

import html
import json
import math
import pathlib

FOLDER = pathlib.Path(__file__).parent

# Nothing may be fetched: a page that tries would show it in the browser's console.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:"
)


def text(value):
    return html.escape(str(value), quote=True)


def figure(value, digits=4):
    """A number with `digits` significant digits, as people read it."""
    if value is None:
        return "–"
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 1e6 or size < 1e-4:
        mantissa, exponent = f"{value:.{digits - 2}e}".split("e")
        return f"{mantissa}·10<sup>{int(exponent)}</sup>".replace("-", "−")
    decimals = max(digits - 1 - math.floor(math.log10(size)), 0)
    return f"{value:,.{decimals}f}".replace("-", "−")


def percent(share, decimals=2):
    if share is None:
        return "–"
    shown = f"{100 * share:.{decimals}f}"
    # A rounded nothing has no sign.
    if float(shown) == 0:
        shown = shown.lstrip("-")
    return f"{shown.replace('-', '−')} %"


def signed_percent(share, decimals=2):
    if share is None:
        return "–"
    shown = percent(share, decimals)
    return shown if shown.startswith("−") or float(shown.split()[0]) == 0 else f"+{shown}"


def whole(number):
    return "–" if number is None else f"{number:,}"


def _prefixed(value, units):
    index = 0
    while abs(value) >= 999.5 and index + 1 < len(units):
        value /= 1000
        index += 1
    if index == 0:
        return f"{value:.0f} {units[0]}"
    return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f} {units[index]}"


def size(byte_count):
    return "–" if byte_count is None else _prefixed(byte_count, ["B", "kB", "MB", "GB", "TB"])


def rate(bits_per_second):
    shown = _prefixed(bits_per_second, ["bit/s", "kbit/s", "Mbit/s", "Gbit/s"])
    return shown.replace(".00 ", " ").replace(".0 ", " ")


def duration(seconds):
    if seconds is None:
        return "–"
    if seconds >= 119.5:
        return f"{seconds / 60:.1f} min"
    if seconds >= 0.9995:
        return f"{seconds:.2f} s" if seconds < 9.995 else f"{seconds:.1f} s"
    if seconds >= 0.9995e-3:
        return _prefixed(seconds * 1e6, ["µs", "ms"])
    return f"{seconds * 1e6:.0f} µs"


def table(columns, rows, identifier=""):
    """`columns` are (title, is a number); cells are HTML, a row may be (class, cells)."""
    numeric = [' class="number"' if is_number else "" for _, is_number in columns]
    head = "".join(f"<th{kind}>{title}</th>" for (title, _), kind in zip(columns, numeric))
    lines = []
    for row in rows:
        kind, cells = row if isinstance(row, tuple) else ("", row)
        marked = f' class="{kind}"' if kind else ""
        body = "".join(
            f'<td{style} data-title="{title}">{cell}</td>'
            for cell, style, (title, _) in zip(cells, numeric, columns))
        lines.append(f"<tr{marked}>{body}</tr>")
    name = f' id="{identifier}"' if identifier else ""
    return (
        f'<div class="scroll"><table{name}><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def card(label, value, note="", kind=""):
    return (
        f'<div class="card {kind}"><div class="label">{label}</div>'
        f'<div class="value">{value}</div><div class="note">{note}</div></div>'
    )


def cards(items):
    return f'<div class="cards">{"".join(items)}</div>'


def chart(name, caption, height, options="", label=""):
    """A place that charts.js fills by `name`; `options` are (value, text) of a choice."""
    choice = ""
    if options:
        items = "".join(f'<option value="{text(v)}">{text(t)}</option>' for v, t in options)
        choice = (
            f'<label class="choice">{text(label)} '
            f'<select data-chart-choice="{text(name)}">{items}</select></label>'
        )
    return (
        f"<figure>{choice}"
        f'<div class="chart" data-chart="{text(name)}" style="height:{height}px"></div>'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def section(title, content):
    return f"<section><h2>{text(title)}</h2>{content}</section>"


def page(title, body, document, plotly):
    """The whole file. The data cannot end the script element that it stands in."""
    data = json.dumps(document, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    style = (FOLDER / "page.css").read_text(encoding="utf-8")
    charts = (FOLDER / "charts.js").read_text(encoding="utf-8")
    # plotly.js may hold the text of an end tag inside strings.
    library = plotly.replace("</script", "<\\/script")
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{text(title)}</title>
<style>
{style}</style>
</head>
<body>
<main>
{body}
</main>
<script type="application/json" id="data">{data}</script>
<script>{library}</script>
<script>
{charts}</script>
</body>
</html>
"""
