"""The oracle: the lecture's formulas in plain Python, a loop per sum, numbers of 50 digits.

It shares no code with the modules that it is there to test. In part 1 a matrix is a list of rows of
Decimals, and an entry of 0 is missing; NumPy only draws the first means. tools/make_reference.py
writes test_solutions.txt with these functions. Those of part 2 take arrays and return {part:
array}; test.py and tests/ compare with what they give.
"""

import functools
import pickle
from decimal import Decimal, getcontext

import numpy as np

MIN_VARIANCE = Decimal("0.25")
LEAST_COUNT = 1 - Decimal("1e-9")  # 1, up to rounding
PI = Decimal("3.14159265358979323846264338327950288419716939937510")
getcontext().prec = 50


# 1. On lists of Decimals


def rated(row):
    """C_u: the movies that a user rated."""
    return [l for l, x in enumerate(row) if x != 0]


def distance(row, mu):
    """||x_Cu - mu_Cu||^2"""
    return sum((row[l] - mu[l]) ** 2 for l in rated(row))


def init(X, K, seed):
    """K different rows as means, the variances about them over all entries, equal weights."""
    n = len(X)
    d = len(X[0])
    mu = [X[u] for u in np.random.RandomState(seed).choice(n, K, replace=False)]
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


def rmse(X, Y):
    """The root of the mean squared difference of all entries."""
    squares = []
    for row, other in zip(X, Y):
        squares += [(a - b) ** 2 for a, b in zip(row, other)]
    return (sum(squares) / len(squares)).sqrt()


# 2. On arrays


def decimals(array):
    """An array as nested lists of Decimals."""
    if np.ndim(array) == 0:
        return Decimal(float(array))
    return [decimals(row) for row in array]


def arrays(*results):
    """Arrays of what the functions of part 1 return; read-only, as `remembered` shares them."""
    found = [np.array(result, dtype=float) for result in results]
    for array in found:
        array.flags.writeable = False
    return found


def remembered(function):
    """The function, which computes the same only once: judge.check asks for it many times."""
    known = {}

    @functools.wraps(function)
    def wrapped(*arguments):
        key = pickle.dumps(arguments)  # arrays have no hash
        if key not in known:
            known[key] = function(*arguments)
        return known[key]

    return wrapped


@remembered
def exact_estep(X, mixture):
    """The E-step in plain Python; an X of 0 is missing."""
    post, ll = arrays(*estep(decimals(X), *map(decimals, mixture)))
    return {"post": post, "ll": ll}


@remembered
def exact_mstep(X, post, mu, min_variance=0.25):
    """EM's M-step in plain Python; mu are the means before."""
    result = mstep(decimals(X), decimals(post), decimals(mu), decimals(min_variance))
    return dict(zip(["mu", "var", "p"], arrays(*result)))


@remembered
def exact_naive_mstep(X, post):
    """The M-step of naive EM and K-means in plain Python: there are no means before, no limits.

    No coordinate may be 0, which would be missing.
    """
    no_means = [None] * post.shape[1]
    result = mstep(decimals(X), decimals(post), no_means, 0, 0)
    return dict(zip(["mu", "var", "p"], arrays(*result)))


@remembered
def exact_nearest(X, mu):
    """K-means' E-step in plain Python; no coordinate may be 0, which would be missing."""
    means = decimals(mu)
    nearest = []
    for row in decimals(X):
        distances = [distance(row, mean) for mean in means]
        nearest.append(distances.index(min(distances)))
    (post,) = arrays(np.eye(len(mu))[nearest])
    return {"post": post}


@remembered
def exact_fill_matrix(X, mixture):
    """Every missing rating predicted, in plain Python."""
    (X_pred,) = arrays(fill_matrix(decimals(X), *map(decimals, mixture)))
    return {"X_pred": X_pred}
