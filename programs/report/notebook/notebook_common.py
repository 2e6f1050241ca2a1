# %%
class Table:
    """Rows of text as a table, in a notebook and on a terminal."""

    def __init__(self, columns, lines):
        self.lines = [list(columns)] + [[cell if isinstance(cell, str) else f"{cell:,.4g}" if cell is not None else "-"
                                         for cell in line] for line in lines]

    def __repr__(self):
        widths = [max(map(len, column)) for column in zip(*self.lines)]
        return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in self.lines)

    def _repr_html_(self):
        def cells(line, tag):
            return "".join(f"<{tag}>{cell.replace('&', '&amp;').replace('<', '&lt;')}</{tag}>" for cell in line)
        body = "".join(f"<tr>{cells(line, 'td')}</tr>" for line in self.lines[1:])
        return f"<table><thead><tr>{cells(self.lines[0], 'th')}</tr></thead><tbody>{body}</tbody></table>"


# A configuration's colour and mark, as in report.html.
LOOKS = {"torch fp32": ("#c77e00", "o"), "onnxruntime fp32": ("#3592ce", "s"), "onnxruntime int8": ("#0b4f9e", "D"),
         "openvino int8": ("#b95c97", "P"), "senvec fp32": ("#008f68", "^"), "senvec bf16": ("#333a42", "*"),
         "senvec int8": ("#b53a00", "h"), "batcher int8": ("#b53a00", "h")}


def look(row):
    return LOOKS.get(f"{row['runtime']} {row['precision']}", ("#7f7f7f", "."))


def colour(row):
    return look(row)[0]


def family(row):
    return row["name"].split(" (")[0]


def rate(measured):
    return measured["throughput"]["texts_per_s"]["value"]


def percent(part):
    return f"{100 * part:.1f} %" if part is not None else "-"


def cosine(value):
    return f"{value:.6f}" if value is not None else "-"
