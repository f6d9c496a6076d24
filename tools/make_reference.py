"""Compute test_solutions.txt, the reference outputs, from the lecture's formulas.

    python tools/make_reference.py            write it beside test_incomplete.txt
    python tools/make_reference.py --check    exit with 0 only if it is what this would write

The numbers come from judge/exact.py: plain Python, a loop per sum, decimal numbers of 50 digits.
"""

import argparse
import sys
from decimal import Decimal
from pathlib import Path

import numpy as np

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

from judge import exact

K = 4
SEED = 0


def read(path):
    """A matrix as a list of rows."""
    X = []
    for line in path.read_text().splitlines():
        words = line.split("#")[0].split()
        if words:
            X.append([Decimal(word) for word in words])
    return X


def solutions(X, X_gold):
    """The text of test_solutions.txt."""
    mu, var, p = exact.init(X, K, SEED)
    first_post, first_ll = exact.estep(X, mu, var, p)
    first_mu, first_var, first_p = exact.mstep(X, first_post, mu)
    last_mu, last_var, last_p, last_post, last_ll = exact.run(X, mu, var, p)
    X_pred = exact.fill_matrix(X, last_mu, last_var, last_p)
    # Blanks after "LL:" or none: as in the course's own file, which scripts may compare.
    return f"""Input:
X:
{show(X)}
K: {K}
{parameters(mu, var, p)}

After first E-step:
post:
{show(first_post)}
LL:{float(first_ll)}

After first M-step:
{parameters(first_mu, first_var, first_p)}

After a run
{parameters(last_mu, last_var, last_p)}
post:
{show(last_post)}
LL: {float(last_ll)}
X_gold:
{show(X_gold)}
X_pred:
{show(X_pred)}
RMSE: {float(exact.rmse(X_pred, X_gold))}
"""


def parameters(mu, var, p):
    """A mixture as text."""
    return f"Mu:\n{show(mu)}\nVar: {show(var)}\nP: {show(p)}"


def show(array):
    """Numbers as NumPy prints them."""
    return str(np.array(array, dtype=float))


def main():
    parser = argparse.ArgumentParser(description="Compute test_solutions.txt.")
    parser.add_argument("--check", action="store_true", help="compare that file, write nothing")
    options = parser.parse_args()
    path = PROJECT / "test_solutions.txt"
    X = read(PROJECT / "test_incomplete.txt")
    X_gold = read(PROJECT / "test_complete.txt")
    text = solutions(X, X_gold).encode()
    if not options.check:
        path.write_bytes(text)
    elif not path.is_file() or path.read_bytes().replace(b"\r\n", b"\n") != text:
        sys.exit(f"{path.name} is not what tools/make_reference.py writes")


if __name__ == "__main__":
    main()
