"""Runs notebook cells and writes them with their outputs: notebook_runner CELLS COMMON PATH STUDY...

CELLS is the text of notebook_cells.py or comparison_cells.py: "# %%" begins a code cell, "# %% [markdown]" a cell of comments,
"# %% [common]" stands for the cells in COMMON, the text of notebook_common.py. The cells run in the folder STUDY if there is
one, else in that of PATH, where "FOLDERS = []" becomes the list of the studies as seen from there. They run in one namespace,
as a notebook's do; what they print, the value of a last line that is an expression, and matplotlib's figures become outputs. An
exception ends the run, and nothing is written. The format is nbformat 4.5.
"""
import ast
import base64
import contextlib
import io
import json
import os
import sys
import tempfile

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402 (the backend comes first)


def split(text):
    """(is_markdown, source) of each cell."""
    for part in text.split("# %%")[1:]:
        head, _, body = part.partition("\n")
        body = body.strip("\n")
        if "[markdown]" in head:
            yield True, "\n".join(line[2:] if line.startswith("# ") else line.lstrip("#") for line in body.splitlines())
        else:
            yield False, body


def value_output(value, number):
    bundle = {"text/plain": lines(repr(value))}
    html = getattr(value, "_repr_html_", None)
    if html:
        bundle["text/html"] = lines(html())
    return {"output_type": "execute_result", "execution_count": number, "data": bundle, "metadata": {}}


def figure_outputs():
    for number in plt.get_fignums():
        image = io.BytesIO()
        plt.figure(number).savefig(image, format="png", dpi=110, bbox_inches="tight")
        text = base64.b64encode(image.getvalue()).decode()
        yield {"output_type": "display_data", "data": {"image/png": text, "text/plain": ["<Figure>"]}, "metadata": {}}
    plt.close("all")


def lines(text):
    return text.splitlines(keepends=True)


def run(source, namespace, number):
    """The outputs of one code cell."""
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed, value = io.StringIO(), None
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, f"<cell {number}>", "exec"), namespace)
        if last:
            value = eval(compile(ast.Expression(last.value), f"<cell {number}>", "eval"), namespace)
    outputs = []
    if printed.getvalue():
        outputs.append({"output_type": "stream", "name": "stdout", "text": lines(printed.getvalue())})
    outputs.extend(figure_outputs())
    if value is not None:
        outputs.append(value_output(value, number))
    return outputs


def build(text):
    namespace = {"__name__": "__main__"}
    cells, number = [], 0
    for markdown, source in split(text):
        cell = {"id": f"cell-{len(cells) + 1}", "metadata": {}, "source": lines(source)}
        if markdown:
            cells.append({"cell_type": "markdown", **cell})
        else:
            number += 1
            cells.append({"cell_type": "code", **cell, "execution_count": number, "outputs": run(source, namespace, number)})
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    language = {"name": "python", "version": sys.version.split()[0]}
    return {"cells": cells, "metadata": {"kernelspec": kernel, "language_info": language}, "nbformat": 4, "nbformat_minor": 5}


def main():
    cells, common, path, *studies = sys.argv[1:]
    path = os.path.abspath(path)
    folder = studies[0] if len(studies) == 1 else os.path.dirname(path)
    seen = [os.path.relpath(study, folder) for study in studies]
    os.chdir(folder)
    cells = cells.replace("# %% [common]\n", common).replace("FOLDERS = []", f"FOLDERS = {seen!r}")
    notebook = build(cells)
    handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path))
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(notebook, file, ensure_ascii=False, indent=1)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


main()
