"""Compute test_solutions.txt, the reference outputs, from the lecture's formulas.

    python tools/make_reference.py            write it beside test_incomplete.txt
    python tools/make_reference.py --check    exit with 0 only if it is what this would write

It shares no code with the modules that it is there to test: plain Python, a loop per sum, decimal
numbers of 50 digits. NumPy only draws the first means and prints. test.py uses its steps as well.
"""

import argparse
import sys
from decimal import Decimal, getcontext
from itertools import product
from pathlib import Path

import numpy as np

K, SEED, MIN_VARIANCE = 4, 0, Decimal("0.25")
PI = Decimal("3.14159265358979323846264338327950288419716939937510")
getcontext().prec = 50


def read(path):
    """A matrix as a list of rows."""
    lines = [line.split("#")[0].split() for line in path.read_text().splitlines()]
    return [[Decimal(word) for word in line] for line in lines if line]


def rated(row):
    """C_u: the movies that a user rated."""
    return [l for l, x in enumerate(row) if x != 0]


def distance(row, mu):
    """||x_Cu - mu_Cu||^2"""
    return sum((row[l] - mu[l]) ** 2 for l in rated(row))


def init(X):
    """K different rows as means, the variances about them over all entries, equal weights."""
    n, d = len(X), len(X[0])
    mu = [X[u] for u in np.random.RandomState(SEED).choice(n, K, replace=False)]
    var = [sum((row[l] - m[l]) ** 2 for row in X for l in range(d)) / (n * d) for m in mu]
    return mu, var, [1 / Decimal(K)] * K


def estep(X, mu, var, p):
    """Posteriors and log-likelihood."""
    post, ll = [], Decimal(0)
    for row in X:
        f = [
            (p[j] + Decimal("1e-16")).ln()
            - len(rated(row)) * (2 * PI * var[j]).ln() / 2
            - distance(row, mu[j]) / (2 * var[j])
            for j in range(len(mu))
        ]
        logsumexp = sum(x.exp() for x in f).ln()  # 50 digits, and no smallest number to underflow
        post.append([(x - logsumexp).exp() for x in f])
        ll += logsumexp
    return post, ll


def mstep(X, post, mu):
    """Means, variances and weights; mu are the means before."""
    n, d = len(X), len(X[0])
    K, new = len(mu), [list(m) for m in mu]
    p = [sum(post[u][j] for u in range(n)) / n for j in range(K)]
    for j in range(K):
        for l in range(d):
            users = [u for u in range(n) if X[u][l] != 0]
            count = sum(post[u][j] for u in users)
            if count >= 1 - Decimal("1e-9"):
                new[j][l] = sum(post[u][j] * X[u][l] for u in users) / count
    var = []
    for j in range(K):
        sse = sum(post[u][j] * distance(X[u], new[j]) for u in range(n))
        var.append(max(MIN_VARIANCE, sse / sum(post[u][j] * len(rated(X[u])) for u in range(n))))
    return new, var, p


def run(X, mu, var, p):
    """E- and M-steps until the log-likelihood rises by no more than 1e-6 of its size."""
    old = None
    while True:
        post, ll = estep(X, mu, var, p)
        mu, var, p = mstep(X, post, mu)
        if old is not None and ll - old <= Decimal("1e-6") * abs(ll):
            return mu, var, p, post, ll
        old = ll


def fill_matrix(X, mu, var, p):
    """The means, weighted by the posteriors, where a rating is missing."""
    post, _ = estep(X, mu, var, p)
    return [
        [
            x if x != 0 else sum(post[u][j] * mu[j][l] for j in range(len(mu)))
            for l, x in enumerate(row)
        ]
        for u, row in enumerate(X)
    ]


def predict(X, K, seeds):
    """em.predict, which is ours and not in test_solutions.txt: here for test.py."""
    given = {(u, l): row[l] for u, row in enumerate(X) for l in rated(row)}
    total = {(u, l): 0 for u, row in enumerate(X) for l in range(len(row))}
    for seed in seeds:
        draw = np.random.RandomState(seed)
        x_hat = dict.fromkeys(total, sum(given.values()) / len(given))
        for number in range(20):
            turn = slice(None, None, -1 if number % 2 else 1)  # a row is a movie, a column a user
            rest = {at[turn]: x - x_hat[at] for at, x in given.items()}
            var = sum(x**2 for x in rest.values()) / len(given)
            n, d = (len(X), len(X[0]))[turn]
            starts = draw.choice(n, min(K, n), replace=False)
            mu = [[rest.get((i, l), Decimal(0)) for l in range(d)] for i in starts]
            p, post = [1 / Decimal(len(mu))] * len(mu), [None] * n
            for _ in range(3):
                for i in range(n):
                    mine = [(l, rest[i, l]) for l in range(d) if (i, l) in rest]
                    f = [sum(m[l] * x - m[l] ** 2 / 2 for l, x in mine) / var for m in mu]
                    f = [f_j + (p_j + Decimal("1e-16")).ln() for f_j, p_j in zip(f, p)]
                    parts = [f_j.exp() for f_j in f]
                    post[i] = [part / sum(parts) for part in parts]
                p = [sum(row[j] for row in post) / n for j in range(len(mu))]
                for j, l in product(range(len(mu)), range(d)):
                    mine = [(post[i][j], rest[i, l]) for i in range(n) if (i, l) in rest]
                    mu[j][l] = sum(w * x for w, x in mine) / (sum(w for w, _ in mine) + Decimal(15))
            for i, l in product(range(n), range(d)):
                x_hat[(i, l)[turn]] += sum(w * m[l] for w, m in zip(post[i], mu))
        total = {at: total[at] + x_hat[at] / len(seeds) for at in total}
    least, most = min(given.values()), max(given.values())
    guess = {at: min(max(x, least), most) for at, x in total.items()} | given
    return [[guess[u, l] for l in range(len(row))] for u, row in enumerate(X)]


def solutions(X, X_gold):
    """The text of test_solutions.txt."""

    def show(array):
        return str(np.array(array, dtype=float))

    start = init(X)
    post, ll = estep(X, *start)
    first = mstep(X, post, start[0])
    *mixture, run_post, run_ll = run(X, *start)
    X_pred = fill_matrix(X, *mixture)
    errors = [(a - b) ** 2 for row, gold in zip(X_pred, X_gold) for a, b in zip(row, gold)]
    rmse = (sum(errors) / len(errors)).sqrt()

    def parameters(mu, var, p):
        return [f"Mu:\n{show(mu)}", f"Var: {show(var)}", f"P: {show(p)}"]

    return "\n".join(
        ["Input:", f"X:\n{show(X)}", f"K: {K}", *parameters(*start), ""]
        + ["After first E-step:", f"post:\n{show(post)}", f"LL:{float(ll)}", ""]
        + ["After first M-step:", *parameters(*first), ""]
        + ["After a run", *parameters(*mixture), f"post:\n{show(run_post)}", f"LL: {float(run_ll)}"]
        + [f"X_gold:\n{show(X_gold)}", f"X_pred:\n{show(X_pred)}", f"RMSE: {float(rmse)}", ""]
    )


def main():
    here = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description="Compute test_solutions.txt.")
    parser.add_argument(
        "--data", type=Path, help="folder of test_incomplete.txt, test_complete.txt"
    )
    parser.add_argument(
        "--out", type=Path, help="file to write (default: test_solutions.txt beside main.py)"
    )
    parser.add_argument("--check", action="store_true", help="compare that file, write nothing")
    options = parser.parse_args()
    if options.data and not (options.out or options.check):
        parser.error("--out: expected a file to write, as --data names a folder of your own")
    data = options.data or here
    for name in ("test_incomplete.txt", "test_complete.txt"):
        if not (data / name).is_file():
            parser.error(f"--data: expected a folder with {name}, got {data}")
    out = options.out or data / "test_solutions.txt"
    text = solutions(read(data / "test_incomplete.txt"), read(data / "test_complete.txt")).encode()
    if not options.check:
        out.write_bytes(text)
    elif not out.is_file() or out.read_bytes().replace(b"\r\n", b"\n") != text:
        sys.exit(f"{out} is not what tools/make_reference.py writes")


if __name__ == "__main__":
    main()
