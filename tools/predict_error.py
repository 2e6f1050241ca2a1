#!/usr/bin/env python3
"""predict_error [TABLE]: how far the prediction of texts/s on other machines is off between those that were measured.

TABLE (docs/machines.csv) has the part of its own peak that the engine reached on each machine of docs/SPEED.md. Each is left
out in turn and predicted as `senvec study` predicts: its peak times the part that was reached elsewhere with the same
instructions and precision, the median where there are several. Its clock and products a cycle are taken as known, so that a
wrong clock in a table of instance types comes on top.
"""
import csv
import statistics
import sys
from pathlib import Path


def leave_one_out(rows):
    """(row, relative error) of each row that another machine's of the same instructions and precision predicts."""
    for row in rows:
        others = [float(r["Fraction"]) for r in rows
                  if r["Machine"] != row["Machine"] and (r["ISA"], r["Precision"]) == (row["ISA"], row["Precision"])]
        if others:
            yield row, statistics.median(others) / float(row["Fraction"]) - 1


def main():
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "docs/machines.csv"
    with open(path, newline="", encoding="utf-8") as file:
        found = list(leave_one_out(list(csv.DictReader(file))))
    for row, error in found:
        print(f"{row['Machine']:24} {row['ISA']:12} {row['Precision']:5} {float(row['texts/s']):8.0f} texts/s, predicted "
              f"{float(row['texts/s']) * (1 + error):8.0f} ({100 * error:+.1f} %)")
    errors = [abs(error) for _, error in found]
    print(f"{len(errors)} predictions: median error {100 * statistics.median(errors):.1f} %, largest {100 * max(errors):.1f} %")


if __name__ == "__main__":
    main()
