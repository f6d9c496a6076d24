"""Compute test_solutions.txt, the reference outputs, from the lecture's formulas.

    python tools/make_reference.py            write it beside test_incomplete.txt
    python tools/make_reference.py --check    exit with 0 only if it is what this would write

It shares no code with the modules that it is there to test: plain Python, a loop per sum, decimal
numbers of 50 digits. NumPy only draws the first means and prints. test.py uses its steps as well.
"""

import argparse
import sys
from decimal import Decimal, getcontext
from pathlib import Path

import numpy as np

K = 4
SEED = 0
MIN_VARIANCE = Decimal("0.25")
LEAST_COUNT = 1 - Decimal("1e-9")  # 1, up to rounding
PI = Decimal("3.14159265358979323846264338327950288419716939937510")
getcontext().prec = 50


def read(path):
    """A matrix as a list of rows."""
    X = []
    for line in path.read_text().splitlines():
        words = line.split("#")[0].split()
        if words:
            X.append([Decimal(word) for word in words])
    return X


def rated(row):
    """C_u: the movies that a user rated."""
    return [l for l, x in enumerate(row) if x != 0]


def distance(row, mu):
    """||x_Cu - mu_Cu||^2"""
    return sum((row[l] - mu[l]) ** 2 for l in rated(row))


def init(X):
    """K different rows as means, the variances about them over all entries, equal weights."""
    n = len(X)
    d = len(X[0])
    mu = [X[u] for u in np.random.RandomState(SEED).choice(n, K, replace=False)]
    var = []
    for j in range(K):
        squares = [(X[u][l] - mu[j][l]) ** 2 for u in range(n) for l in range(d)]
        var.append(sum(squares) / (n * d))
    p = [1 / Decimal(K) for j in range(K)]
    return mu, var, p


def estep(X, mu, var, p):
    """Posteriors and log-likelihood."""
    post = []
    ll = Decimal(0)
    for row in X:
        f = []
        for j in range(len(mu)):
            log_weight = (p[j] + Decimal("1e-16")).ln()
            log_scale = len(rated(row)) * (2 * PI * var[j]).ln() / 2
            f.append(log_weight - log_scale - distance(row, mu[j]) / (2 * var[j]))
        post.append(softmax(f))
        ll += sum(x.exp() for x in f).ln()
    return post, ll


def softmax(f):
    """exp(f_j) as shares of their sum: 50 digits, and no smallest number to underflow."""
    parts = [x.exp() for x in f]
    total = sum(parts)
    return [part / total for part in parts]


def weights(post):
    """p_j: the mean posterior of each type."""
    n = len(post)
    return [sum(post[u][j] for u in range(n)) / n for j in range(len(post[0]))]


def mstep(X, post, mu, min_variance=MIN_VARIANCE, least_count=LEAST_COUNT):
    """Means, variances and weights; mu are the means before, kept where the count is too small.

    Naive EM and K-means update every mean, and limit no variance: there both limits are 0.
    """
    n = len(X)
    d = len(X[0])
    new_mu = []
    var = []
    for j in range(len(mu)):
        mean = []
        for l in range(d):
            users = [u for u in range(n) if X[u][l] != 0]
            count = sum(post[u][j] for u in users)
            if count >= least_count:
                mean.append(sum(post[u][j] * X[u][l] for u in users) / count)
            else:
                mean.append(mu[j][l])
        sse = sum(post[u][j] * distance(X[u], mean) for u in range(n))
        size = sum(post[u][j] * len(rated(X[u])) for u in range(n))
        new_mu.append(mean)
        var.append(max(min_variance, sse / size))
    return new_mu, var, weights(post)


def run(X, mu, var, p):
    """E- and M-steps until the log-likelihood rises by no more than 1e-6 of its size."""
    old_ll = None
    while True:
        post, ll = estep(X, mu, var, p)
        mu, var, p = mstep(X, post, mu)
        if old_ll is not None and ll - old_ll <= Decimal("1e-6") * abs(ll):
            return mu, var, p, post, ll
        old_ll = ll


def fill_matrix(X, mu, var, p):
    """The means, weighted by the posteriors, where a rating is missing."""
    post, _ = estep(X, mu, var, p)
    X_pred = []
    for u, row in enumerate(X):
        predicted = []
        for l, x in enumerate(row):
            if x != 0:
                predicted.append(x)
            else:
                predicted.append(sum(post[u][j] * mu[j][l] for j in range(len(mu))))
        X_pred.append(predicted)
    return X_pred


def solutions(X, X_gold):
    """The text of test_solutions.txt."""
    mu, var, p = init(X)
    first_post, first_ll = estep(X, mu, var, p)
    first_mu, first_var, first_p = mstep(X, first_post, mu)
    last_mu, last_var, last_p, last_post, last_ll = run(X, mu, var, p)
    X_pred = fill_matrix(X, last_mu, last_var, last_p)
    squares = []
    for predicted, gold in zip(X_pred, X_gold):
        squares += [(a - b) ** 2 for a, b in zip(predicted, gold)]
    rmse = (sum(squares) / len(squares)).sqrt()
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
RMSE: {float(rmse)}
"""


def parameters(mu, var, p):
    """A mixture as text."""
    return f"Mu:\n{show(mu)}\nVar: {show(var)}\nP: {show(p)}"


def show(array):
    """Numbers as NumPy prints them."""
    return str(np.array(array, dtype=float))


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
