"""What typical mistakes give, so that test.py can name the mistake and not only the entry.

A rule is (words, function of the inputs): the function returns what the mistake makes of them, in
the parts that it is about, as {part: array}. test.py tries the rules in their order where an output
is wrong, and says the words of the first that gives the same. Nothing here is ever expected.

{row}, {column} and {component} in the words are user, movie and type in EM.
"""

import math
import types

import numpy as np

# The E-step of naive EM and of EM


def terms(X, mixture, rated):
    """What f is made of, and what it gives; rated is (n, d), true where X counts."""
    mu, var, p = mixture
    squares = (X[:, None] - mu) ** 2
    t = types.SimpleNamespace(X=X, mu=mu, var=var, p=p)
    t.n, t.d = X.shape
    t.size = rated.sum(axis=1)[:, None]  # |C_u|
    t.distance = (squares * rated[:, None]).sum(axis=2)
    t.distance_of_all = squares.sum(axis=2)
    t.product = (X * rated) @ mu.T  # x.mu
    t.ones = (X == 1) @ (mu**2).T  # ||mu||^2 over the ratings of 1
    t.weight = np.log(p + 1e-16)
    t.log = np.log(2 * np.pi * var)
    t.log_of_square = np.log(2 * np.pi * var**2)
    t.constant = -t.size / 2 * t.log
    t.exponent = -t.distance / (2 * var)
    t.f = t.weight + t.constant + t.exponent
    t.largest = t.f.max(axis=1)
    t.row = np.logaddexp.reduce(t.f, axis=1)
    t.column = np.logaddexp.reduce(t.f, axis=0)
    t.post = np.exp(t.f - t.row[:, None])
    t.ll = t.row.sum()
    return t


def of_f(f):
    """Posteriors and log-likelihood of another f."""
    row = np.logaddexp.reduce(f, axis=1)
    return {"post": np.exp(f - row[:, None]), "ll": row.sum()}


def of_ll(t, ll):
    """The right posteriors with another log-likelihood."""
    return {"post": t.post, "ll": ll}


def other_mixture(t, mu, var, p):
    """The right E-step of another mixture."""
    return of_f(terms(t.X, (mu, var, p), t.X != 0).f)


ESTEP = [
    (
        "the weights are left out of the posteriors: f needs + log p_j",
        lambda t: of_f(t.constant + t.exponent),
    ),
    (
        "the weights are left out of the log-likelihood: its sums need p_j, too",
        lambda t: of_ll(t, of_f(t.constant + t.exponent)["ll"]),
    ),
    (
        "the weights are left out of the posteriors, the log-likelihood has them",
        lambda t: {"post": of_f(t.constant + t.exponent)["post"], "ll": t.ll},
    ),
    (
        "f has p_j in place of log p_j",
        lambda t: of_f(t.p + t.constant + t.exponent),
    ),
    (
        "the normalising constant of the density is left out: f needs - d/2 log(2 pi var_j)",
        lambda t: of_f(t.weight + t.exponent),
    ),
    (
        "2 pi is missing in the constant of the density: - d/2 log(2 pi var_j)",
        lambda t: of_f(t.weight - t.size / 2 * np.log(t.var) + t.exponent),
    ),
    (
        "pi is missing in the constant of the density: - d/2 log(2 pi var_j)",
        lambda t: of_f(t.weight - t.size / 2 * np.log(2 * t.var) + t.exponent),
    ),
    (
        "the constant of the density lacks the variance: - d/2 log(2 pi var_j)",
        lambda t: of_f(t.weight - t.size / 2 * math.log(2 * math.pi) + t.exponent),
    ),
    (
        "the squared distance sums over the {row}s, too: it is one for each of them",
        lambda t: of_f(t.weight + t.constant + t.exponent.sum(axis=0)),
    ),
    (
        "the constant of the density lacks the power d: - d/2 log(2 pi var_j)",
        lambda t: of_f(t.weight - t.log / 2 + t.exponent),
    ),
    (
        "the constant of the density lacks its 1/2: - d/2 log(2 pi var_j)",
        lambda t: of_f(t.weight + 2 * t.constant + t.exponent),
    ),
    (
        "the constant of the density has the wrong sign: - d/2 log(2 pi var_j)",
        lambda t: of_f(t.weight - t.constant + t.exponent),
    ),
    (
        "the exponent lacks its 1/2: - ||x_u - mu_j||^2 / (2 var_j)",
        lambda t: of_f(t.weight + t.constant + 2 * t.exponent),
    ),
    (
        "the exponent has the wrong sign: - ||x_u - mu_j||^2 / (2 var_j)",
        lambda t: of_f(t.weight + t.constant - t.exponent),
    ),
    (
        "the exponent lacks the variance: - ||x_u - mu_j||^2 / (2 var_j)",
        lambda t: of_f(t.weight + t.constant - t.distance / 2),
    ),
    (
        "the squared distance is a mean over the {column}s: it is their sum",
        lambda t: of_f(t.weight + t.constant + t.exponent / t.size),
    ),
    (
        "the distance in the exponent is not squared: - ||x_u - mu_j||^2 / (2 var_j)",
        lambda t: of_f(t.weight + t.constant - np.sqrt(t.distance) / (2 * t.var)),
    ),
    (
        "the expanded distance lacks the 2 of its cross term: ||x||^2 - 2 x.mu + ||mu||^2",
        lambda t: of_f(t.weight + t.constant - (t.distance + t.product) / (2 * t.var)),
    ),
    (
        "var is squared as if it were a standard deviation; it is a variance",
        lambda t: of_f(t.weight - t.size / 2 * t.log_of_square + t.exponent / t.var),
    ),
    (
        "var is squared in the exponent as if it were a standard deviation; it is a variance",
        lambda t: of_f(t.weight + t.constant + t.exponent / t.var),
    ),
    (
        "var is squared in the constant as if it were a standard deviation; it is a variance",
        lambda t: of_f(t.weight - t.size / 2 * t.log_of_square + t.exponent),
    ),
    (
        "var and p of the mixture have changed places",
        lambda t: other_mixture(t, t.mu, t.p, t.var),
    ),
    (
        "the log-likelihood is taken with log10; it is a sum of natural logarithms",
        lambda t: of_ll(t, t.ll / math.log(10)),
    ),
    (
        "the log-likelihood is taken with log2; it is a sum of natural logarithms",
        lambda t: of_ll(t, t.ll / math.log(2)),
    ),
    (
        "the log-likelihood is a mean over the {row}s; it is their sum",
        lambda t: of_ll(t, t.ll / t.n),
    ),
    ("the log-likelihood has the wrong sign", lambda t: of_ll(t, -t.ll)),
    (
        "the log-likelihood is that of posteriors which sum to 1 already, 0: take it before they "
        "are divided",
        lambda t: {"ll": 0.0},
    ),
    (
        "the log-likelihood lacks the maxima: add to log(sum exp(f - max)) the max again",
        lambda t: of_ll(t, (t.row - t.largest).sum()),
    ),
    (
        "the log-likelihood is the sum of the largest f; it is that of log sum_j exp(f)",
        lambda t: of_ll(t, t.largest.sum()),
    ),
    (
        "the log-likelihood is sum post * f; it is the sum of log sum_j exp(f)",
        lambda t: of_ll(t, (t.post * t.f).sum()),
    ),
    (
        "the log-likelihood sums all f; it is the sum of log sum_j exp(f)",
        lambda t: of_ll(t, t.f.sum()),
    ),
    (
        "the log-likelihood sums log post; it is the sum of log sum_j exp(f)",
        lambda t: of_ll(t, np.log(t.post).sum()),
    ),
    (
        "the log-likelihood is one logarithm of a sum over the {row}s; it is a sum of logarithms",
        lambda t: of_ll(t, np.logaddexp.reduce(t.row)),
    ),
    (
        "the log-sum-exp runs over the wrong axis, the {row}s (0): it needs the {component}s (1)",
        lambda t: {"post": np.exp(t.f - t.column), "ll": t.column.sum()},
    ),
    (
        "the log-likelihood sums over the wrong axis, the {row}s (0): it needs the "
        "{component}s (1)",
        lambda t: of_ll(t, t.column.sum()),
    ),
    (
        "the posteriors are divided by sums over the wrong axis, the {row}s (0): it needs the "
        "{component}s (1)",
        lambda t: {"post": np.exp(t.f - t.column)},
    ),
    (
        "the posteriors are still in the log domain: they need np.exp",
        lambda t: {"post": t.f - t.row[:, None]},
    ),
    (
        "the posteriors are f itself: they are exp(f - logsumexp_j f)",
        lambda t: {"post": t.f},
    ),
    (
        "the posteriors are not normalised, their rows should sum to 1: divide by the row's sum",
        lambda t: {"post": np.exp(t.f)},
    ),
    (
        "the posteriors are not normalised, their rows should sum to 1: divide by the row's sum",
        lambda t: {"post": np.exp(t.f - t.largest[:, None])},
    ),
    (
        "the posteriors are not normalised, their rows should sum to 1: divide by the row's sum",
        lambda t: {"post": np.exp(t.constant + t.exponent)},
    ),
    (
        "the posteriors are hard, 0 or 1; they are shares",
        lambda t: {"post": np.eye(len(t.p))[t.post.argmax(axis=1)]},
    ),
    (
        "the posteriors are transposed; they are (n, K)",
        lambda t: {"post": t.post.T},
    ),
]

ESTEP += [
    (
        f"log(p + {tiny}) distorts the weights: the number against log 0 is 1e-16",
        lambda t, tiny=tiny: of_f(np.log(t.p + tiny) + t.constant + t.exponent),
    )
    for tiny in (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
]

EM_ESTEP = [
    (
        "missing entries count as ratings of 0: f needs C_u, the movies that the user rated",
        lambda t: of_f(t.weight - t.d / 2 * t.log - t.distance_of_all / (2 * t.var)),
    ),
    (
        "the constant of the density takes all d movies: it needs |C_u|, those that the user rated",
        lambda t: of_f(t.weight - t.d / 2 * t.log + t.exponent),
    ),
    (
        "the distance takes missing entries for ratings of 0: it needs C_u, the rated movies only",
        lambda t: of_f(t.weight + t.constant - t.distance_of_all / (2 * t.var)),
    ),
    (
        "ratings of 1 are taken for missing: the mask is X != 0",
        lambda t: of_f(terms(t.X, (t.mu, t.var, t.p), t.X > 1).f),
    ),
    (
        "ratings of 1 are taken for missing: the mask is X != 0",
        lambda t: of_f(
            t.weight
            - (t.X > 1).sum(axis=1)[:, None] / 2 * t.log
            - (t.distance - t.ones) / (2 * t.var)
        ),
    ),
    (
        "the constant takes the same |C_u| for all users: it needs each user's own",
        lambda t: of_f(t.weight - t.size.mean() / 2 * t.log + t.exponent),
    ),
    (
        "the constant of the density lacks |C_u|: - |C_u|/2 log(2 pi var_j)",
        lambda t: of_f(t.weight - t.log / 2 + t.exponent),
    ),
    *ESTEP,
]

# The M-steps


def sums(X, post, rated, old, least):
    """What the M-step is made of; old is the mixture before, or None.

    mu is the right one until test.py puts the student's own there: a variance is right or wrong
    about that. smallest_var is the student's.
    """
    t = types.SimpleNamespace(X=X, post=post, rated=rated, old=old, least=least)
    t.n, t.d = X.shape
    t.n_j = post.sum(axis=0)
    t.total = post.T @ (X * rated)
    t.count = post.T @ rated
    t.ratings = t.count.sum(axis=1)  # sum_u post[u, j] |C_u|
    t.mean = t.total / t.count
    t.mu = t.mean if old is None else np.where(t.count >= 1, t.mean, old.mu)
    t.p = t.n_j / t.n
    t.hard = np.eye(post.shape[1])[post.argmax(axis=1)]
    return t


def sse(t, mu, rated=None):
    """sum_u post[u, j] ||x_u - mu_j||^2, each (K,)."""
    rated = t.rated if rated is None else rated
    squares = (t.X[:, None] - mu) ** 2 * rated[:, None]
    return (t.post * squares.sum(axis=2)).sum(axis=0)


def var(t, numerator, denominator):
    return {"var": np.maximum(numerator / denominator, t.least)}


def variance(t):
    """The right one."""
    return var(t, sse(t, t.mu), t.ratings)["var"]


def hard_mstep(t):
    hard = sums(t.X, t.hard, t.rated, t.old, t.least)
    return {"mu": hard.mu, "var": variance(hard), "p": hard.p}


def without_ones(t):
    """The M-step where only ratings above 1 count."""
    other = sums(t.X, t.post, t.X > 1, t.old, t.least)
    return {"mu": other.mu, "var": variance(other)}


def without_count_of_ones(t):
    """Means whose numerators have the ratings of 1, and whose denominators have not."""
    count = t.post.T @ (t.X > 1)
    return {"mu": np.where(count >= 1, t.total / count, t.old.mu)}


def updated_movies(t):
    """Variances over those movies only whose mean was updated, (K, d)."""
    squares = (t.X[:, None] - t.mu) ** 2 * t.rated[:, None]
    squares = (t.post[:, :, None] * squares).sum(axis=0)
    updated = t.count >= 1
    return var(t, (squares * updated).sum(axis=1), (t.count * updated).sum(axis=1))


MSTEP = [
    (
        "it makes hard assignments of the posteriors: the sums need the soft ones, post[u, j]",
        hard_mstep,
    ),
    (
        "p counts hard assignments: p_j is the soft count sum_u post[u, j], divided by n",
        lambda t: {"p": t.hard.mean(axis=0)},
    ),
    (
        "var and p of the mixture have changed places: GaussianMixture(mu, var, p)",
        lambda t: {"var": t.p, "p": variance(t)},
    ),
    (
        "p is not divided by n, the number of {row}s",
        lambda t: {"p": t.n_j},
    ),
    (
        "p is summed over the wrong axis: p_j is a mean over the {row}s (axis 0)",
        lambda t: {"p": t.post.mean(axis=1)},
    ),
    (
        "p is summed over the wrong axis: p_j is a mean over the {row}s (axis 0)",
        lambda t: {"p": t.post.sum(axis=1)},
    ),
    (
        "p is the same for every {component}: p_j is sum_u post[u, j], divided by n",
        lambda t: {"p": np.full(len(t.n_j), 1 / len(t.n_j))},
    ),
    (
        "the means are divided by n: they need the {component}'s own count, sum_u post[u, j]",
        lambda t: {"mu": t.total / t.n},
    ),
    (
        "the means are not divided by the {component}'s count, sum_u post[u, j]",
        lambda t: {"mu": t.total},
    ),
    (
        "the means lose their decimals: an array of integers holds whole numbers only",
        lambda t: {"mu": np.trunc(t.mu)},
    ),
    (
        "p is 0: is there a // where / should be?",
        lambda t: {"p": t.n_j // t.n},
    ),
    (
        "var holds standard deviations; it needs variances, without the square root",
        lambda t: {"var": np.sqrt(variance(t))},
    ),
    (
        "the variance is about the mean of all {row}s: it needs the {component}'s own, mu_j",
        lambda t: var(t, sse(t, (t.X * t.rated).sum(axis=0) / t.rated.sum(axis=0)), t.ratings),
    ),
    (
        "the variance is divided by n: it needs the soft count, sum_u post[u, j]",
        lambda t: var(t, sse(t, t.mu), t.n),
    ),
    (
        "the variance is divided by n d: it needs the soft count sum_u post[u, j] in place of n",
        lambda t: var(t, sse(t, t.mu), t.n * t.d),
    ),
    (
        "the variance is divided by a count less 1: it needs the soft count itself",
        lambda t: var(t, sse(t, t.mu), t.ratings - t.ratings / t.n_j),
    ),
    (
        "the variance is divided by a count less 1: it needs the soft count itself",
        lambda t: var(t, sse(t, t.mu), t.ratings - 1),
    ),
    (
        "the variance is a sum: divide it by the soft count",
        lambda t: {"var": np.maximum(sse(t, t.mu), t.least)},
    ),
]

NAIVE_MSTEP = [
    (
        "the squared distances are means over the {column}s: they are sums, divided by d once",
        lambda t: {"var": sse(t, t.mu) / (t.d * t.ratings)},
    ),
    (
        "the variance is not divided by d, the number of {column}s",
        lambda t: {"var": sse(t, t.mu) / t.n_j},
    ),
    (
        "no variance falls below a least one: naive EM has no such limit",
        lambda t: {"var": np.maximum(variance(t), t.smallest_var)},
    ),
    *MSTEP,
]

KMEANS_MSTEP = [
    (
        "the squared distances are means over the {column}s: they are sums",
        lambda t: {"cost": sse(t, t.mu).sum() / t.d, "var": sse(t, t.mu) / (t.d * t.ratings)},
    ),
    (
        "the cost is of the last cluster only: add up all of them",
        lambda t: {"cost": sse(t, t.mu)[-1]},
    ),
    ("the cost is halved", lambda t: {"cost": sse(t, t.mu).sum() / 2}),
    (
        "the cost sums distances: it needs their squares",
        lambda t: {"cost": (np.sqrt(((t.X - t.post @ t.mu) ** 2).sum(axis=1))).sum()},
    ),
    (
        "the cost is a mean: it is the sum over all {row}s",
        lambda t: {"cost": sse(t, t.mu).sum() / t.n},
    ),
    (
        "the cost is the sum of the variances: it is that of the squared distances",
        lambda t: {"cost": (sse(t, t.mu) / t.ratings).sum()},
    ),
    *NAIVE_MSTEP,
]

# Of variances above and below min_variance
MIN_VARIANCE = [
    (
        "min_variance is ignored: np.maximum(var, min_variance)",
        lambda t: {"var": sse(t, t.mu) / t.ratings},
    ),
    (
        "min_variance is an upper bound here; it is the least variance, np.maximum(var, "
        "min_variance)",
        lambda t: {"var": np.minimum(sse(t, t.mu) / t.ratings, t.least)},
    ),
    (
        "min_variance is applied to the sum of squares: it belongs after the division",
        lambda t: {"var": np.maximum(sse(t, t.mu), t.least) / t.ratings},
    ),
    (
        "min_variance is added: it is the least variance, np.maximum(var, min_variance)",
        lambda t: {"var": sse(t, t.mu) / t.ratings + t.least},
    ),
]

EM_MSTEP = [
    (
        "a mean is updated although its denominator, sum_u post[u, j] delta(l, C_u), is below 1: "
        "keep the old one there",
        lambda t: {"mu": t.mean},
    ),
    (
        "a mean whose denominator is below 1 becomes 0: keep the old one there",
        lambda t: {"mu": np.where(t.count >= 1, t.mean, 0)},
    ),
    (
        "missing entries count in the means' denominator: sum post[u, j] over those who rated l",
        lambda t: {"mu": t.total / t.n_j[:, None]},
    ),
    (
        "missing entries count in the means' denominator: sum post[u, j] over those who rated l",
        lambda t: {"mu": np.where(t.count >= 1, t.total / t.n_j[:, None], t.old.mu)},
    ),
    (
        "the means are the old ones: they are updated where their denominator is at least 1",
        lambda t: {"mu": t.old.mu},
    ),
    (
        "ratings of 1 are taken for missing: the mask is X != 0",
        without_ones,
    ),
    (
        "ratings of 1 are taken for missing: the mask is X != 0",
        without_count_of_ones,
    ),
    (
        "the variance leaves out the movies whose mean is kept: it needs all rated ones",
        updated_movies,
    ),
    (
        "the variance is about the old means: it needs the new ones",
        lambda t: var(t, sse(t, t.old.mu), t.ratings),
    ),
    (
        "the variance's denominator lacks |C_u|: sum_u post[u, j] |C_u|",
        lambda t: var(t, sse(t, t.mu), t.n_j),
    ),
    (
        "the variance's denominator takes all d movies: it needs |C_u|, sum_u post[u, j] |C_u|",
        lambda t: var(t, sse(t, t.mu), t.d * t.n_j),
    ),
    (
        "the variance counts missing entries as ratings of 0: it needs C_u, the rated movies only",
        lambda t: var(t, sse(t, t.mu, np.ones(t.X.shape)), t.ratings),
    ),
    (
        "the variance counts missing entries as ratings of 0: it needs C_u, the rated movies only",
        lambda t: var(t, sse(t, t.mu, np.ones(t.X.shape)), t.d * t.n_j),
    ),
    ("the variance is the old one", lambda t: {"var": t.old.var}),
    (
        "p counts ratings, sum_u post[u, j] |C_u|: it counts users, sum_u post[u, j] / n",
        lambda t: {"p": t.ratings / t.rated.sum()},
    ),
    *MSTEP,
]

# K-means' E-step

KMEANS_ESTEP = [
    (
        "the {row}s go to the farthest mean (argmax): they belong to the nearest (argmin)",
        lambda t: {"post": np.eye(len(t.mu))[t.distance.argmax(axis=1)]},
    ),
    (
        "the distances are divided by var: K-means compares them as they are",
        lambda t: {"post": np.eye(len(t.mu))[(t.distance / t.var).argmin(axis=1)]},
    ),
    (
        "the nearest mean is taken by the L1 distance, |x - mu|: it needs (x - mu)^2",
        lambda t: {
            "post": np.eye(len(t.mu))[np.abs(t.X[:, None] - t.mu).sum(axis=2).argmin(axis=1)]
        },
    ),
    (
        "the nearest mean is taken by the largest difference: it needs the sum of (x - mu)^2",
        lambda t: {
            "post": np.eye(len(t.mu))[np.abs(t.X[:, None] - t.mu).max(axis=2).argmin(axis=1)]
        },
    ),
    (
        "post holds distances: it is 1 for the nearest mean and 0 for the others",
        lambda t: {"post": t.distance},
    ),
]

# Filling in: X, mu, p of the inputs, and the right post


def filled(t, guess):
    return {"X_pred": np.where(t.X == 0, guess, t.X)}


def another_mstep(t):
    return sums(t.X, t.post, t.X != 0, t, 0.25)


def other_post(t, step):
    """The posteriors of the mixture that an M-step gives."""
    return terms(t.X, (step.mu, variance(step), step.p), t.X != 0).post


FILL = [
    (
        "given ratings are overwritten: only where X is 0 is there anything to fill",
        lambda t: {"X_pred": t.post @ t.mu},
    ),
    (
        "it takes the mean of the likeliest type (a hard assignment): it needs "
        "sum_j post[u, j] mu_j",
        lambda t: filled(t, t.mu[t.post.argmax(axis=1)]),
    ),
    (
        "it takes the weights p: it needs the user's own posteriors, sum_j post[u, j] mu_j",
        lambda t: filled(t, t.p @ t.mu),
    ),
    (
        "the predictions are rounded: they stay as they are",
        lambda t: filled(t, np.round(t.post @ t.mu)),
    ),
    (
        "the predictions are cut to whole numbers: an array of integers holds no others",
        lambda t: filled(t, np.trunc(t.post @ t.mu)),
    ),
    (
        "it takes the movie's mean rating: it needs the mixture's, sum_j post[u, j] mu_j",
        lambda t: filled(t, t.X.sum(axis=0) / (t.X != 0).sum(axis=0)),
    ),
    (
        "it takes the user's mean rating: it needs the mixture's, sum_j post[u, j] mu_j",
        lambda t: filled(t, (t.X.sum(axis=1) / (t.X != 0).sum(axis=1))[:, None]),
    ),
    (
        "it takes the plain mean of the types: it needs the posteriors, sum_j post[u, j] mu_j",
        lambda t: filled(t, t.mu.mean(axis=0)),
    ),
    (
        "the predictions are cut to the range of the ratings: they stay as they are",
        lambda t: filled(t, np.clip(t.post @ t.mu, 1, 5)),
    ),
    (
        "the predictions are cut to the range of the ratings: they stay as they are",
        lambda t: filled(t, np.clip(t.post @ t.mu, t.X[t.X != 0].min(), t.X.max())),
    ),
    (
        "it takes the means of another M-step: it needs those of the mixture that is passed",
        lambda t: filled(t, t.post @ another_mstep(t).mu),
    ),
    (
        "it takes the mixture of another M-step: it needs the one that is passed",
        lambda t: filled(t, other_post(t, another_mstep(t)) @ another_mstep(t).mu),
    ),
    (
        "the mask is inverted: the missing entries are 0 still, and the given ratings replaced",
        lambda t: {"X_pred": np.where(t.X != 0, t.post @ t.mu, 0)},
    ),
    ("nothing is filled in: the missing entries are still 0", lambda t: {"X_pred": t.X}),
    (
        "the given ratings are gone, 0 stands in their place: they stay as they are",
        lambda t: {"X_pred": np.where(t.X == 0, t.post @ t.mu, 0)},
    ),
]

# Where run may stop: (words, function of the new and the old score: whether it stops), the scores
# of two iterations

STOPS_LL = [
    ("the limit lacks the factor |new|, 1e-6 * |new|", lambda new, old: new - old <= 1e-6),
    ("the tolerance is 1e-3, it should be 1e-6", lambda new, old: new - old <= 1e-3 * abs(new)),
    ("the tolerance is 1e-4, it should be 1e-6", lambda new, old: new - old <= 1e-4 * abs(new)),
    ("the tolerance is 1e-5, it should be 1e-6", lambda new, old: new - old <= 1e-5 * abs(new)),
    ("the tolerance is 1e-7, it should be 1e-6", lambda new, old: new - old <= 1e-7 * abs(new)),
    (
        "the limit is 1e-4 without the factor |new|, 1e-6 * |new|",
        lambda new, old: new - old <= 1e-4,
    ),
]

STOPS_COST = [
    (
        "the limit is a share of the cost, it is 1e-4 itself",
        lambda new, old: old - new <= 1e-4 * new,
    ),
    (
        "the tolerance is 1e-2 of the cost, it is 1e-4 itself",
        lambda new, old: old - new <= 1e-2 * new,
    ),
    (
        "the tolerance is 1e-3 of the cost, it is 1e-4 itself",
        lambda new, old: old - new <= 1e-3 * new,
    ),
    ("the limit is 1, it is 1e-4", lambda new, old: old - new <= 1),
]

# common.py: init of X, K, rng seed; rmse of X, Y; bic of ll, n, d, K


def init_rows(t, rows):
    return {"mu": t.X[rows]}


def about_means(t, counts):
    """The variances of init, of the entries that count."""
    return {"var": np.array([((t.X - mean) ** 2)[counts].mean() for mean in t.mu])}


INIT = [
    (
        "the rows are drawn with replacement: np.random.choice(n, K, replace=False)",
        lambda t: init_rows(t, np.random.RandomState(t.seed).choice(t.n, t.K)),
    ),
    (
        "the rows come from another generator (default_rng): np.random.seed(seed), then "
        "np.random.choice(n, K, replace=False)",
        lambda t: init_rows(t, np.random.default_rng(t.seed).choice(t.n, t.K, replace=False)),
    ),
    (
        "the rows are drawn with randint, so one may come twice: np.random.choice(n, K, "
        "replace=False)",
        lambda t: init_rows(t, np.random.RandomState(t.seed).randint(0, t.n, t.K)),
    ),
    (
        "the means are the first rows: draw them, np.random.choice(n, K, replace=False)",
        lambda t: init_rows(t, np.arange(t.K)),
    ),
    (
        "the seed is not used: np.random.seed(seed)",
        lambda t: init_rows(t, np.random.RandomState(0).choice(t.n, t.K, replace=False)),
    ),
    (
        "the variance is over the nonzero entries: it needs all n d of them, zeros included",
        lambda t: about_means(t, t.X != 0),
    ),
    (
        "the variance is taken per dimension, (K, d): it is one number each, the mean over all",
        lambda t: {"var": np.array([((t.X - mean) ** 2).mean(axis=0) for mean in t.mu])},
    ),
    (
        "the variance is not divided by d: it is the mean of (X - mu_j)**2 over all n d entries",
        lambda t: {"var": t.d * about_means(t, t.X == t.X)["var"]},
    ),
    (
        "the variance is about the mean of the data: it needs (X - mu_j)**2",
        lambda t: {"var": np.full(t.K, t.X.var())},
    ),
    (
        "the variance is about the columns' means: it needs (X - mu_j)**2",
        lambda t: {"var": np.full(t.K, t.X.var(axis=0).mean())},
    ),
    (
        "var holds standard deviations; it needs variances, without the square root",
        lambda t: {"var": np.sqrt(about_means(t, t.X == t.X)["var"])},
    ),
    ("the variances are 1: they are means of (X - mu_j)**2", lambda t: {"var": np.ones(t.K)}),
    ("the weights are 1: they are 1/K", lambda t: {"p": np.ones(t.K)}),
    ("the posteriors are 1: they are 1/K", lambda t: {"post": np.ones((t.n, t.K))}),
]

RMSE = [
    ("it lacks the square root", lambda t: {"rmse": (t.E**2).mean()}),
    (
        "it takes the entries that differ only: it needs all of them",
        lambda t: {"rmse": np.sqrt((t.E[t.E != 0] ** 2).mean())},
    ),
    (
        "it takes the entries where X is not 0: it needs all of them",
        lambda t: {"rmse": np.sqrt((t.E[t.X != 0] ** 2).mean())},
    ),
    (
        "it takes the entries where Y is not 0: it needs all of them",
        lambda t: {"rmse": np.sqrt((t.E[t.Y != 0] ** 2).mean())},
    ),
    (
        "it takes the entries where X is 0: it needs all of them",
        lambda t: {"rmse": np.sqrt((t.E[t.X == 0] ** 2).mean())},
    ),
    ("it is a mean absolute error: square first", lambda t: {"rmse": np.abs(t.E).mean()}),
    (
        "it is the root of the sum: it needs that of the mean",
        lambda t: {"rmse": np.sqrt((t.E**2).sum())},
    ),
    (
        "the sum is divided by n: it needs all n d entries",
        lambda t: {"rmse": np.sqrt((t.E**2).sum() / len(t.E))},
    ),
    ("it is the mean of the roots: square, mean, root", lambda t: {"rmse": rows_rmse(t)}),
]


def rows_rmse(t):
    return np.sqrt((t.E**2).mean(axis=1)).mean()


def penalty(P, log_n):
    """A rule for bic of another number of parameters or another logarithm."""
    return lambda t: {"bic": t.ll - P(t) / 2 * log_n(t)}


def right_P(t):
    return t.K * t.d + 2 * t.K - 1


def log_n(t):
    return math.log(t.n)


BIC = [
    (
        "it counts K weights: only K - 1 are free, since they sum to 1",
        penalty(lambda t: right_P(t) + 1, log_n),
    ),
    (
        "it leaves out the weights, K - 1 of which are free",
        penalty(lambda t: t.K * t.d + t.K, log_n),
    ),
    (
        "it leaves out the K variances",
        penalty(lambda t: t.K * t.d + t.K - 1, log_n),
    ),
    ("it counts the means only, K d", penalty(lambda t: t.K * t.d, log_n)),
    (
        "it counts a variance for every dimension: there is one for each component",
        penalty(lambda t: 2 * t.K * t.d + t.K - 1, log_n),
    ),
    ("it counts 3 K - 1 parameters: K d are means", penalty(lambda t: 3 * t.K - 1, log_n)),
    (
        "it uses log10: it needs the natural logarithm of n",
        penalty(right_P, lambda t: math.log10(t.n)),
    ),
    (
        "it uses log2: it needs the natural logarithm of n",
        penalty(right_P, lambda t: math.log2(t.n)),
    ),
    (
        "it uses log(n d): it needs log n, n is the number of rows",
        penalty(right_P, lambda t: math.log(t.n * t.d)),
    ),
    ("it uses log d: it needs log n", penalty(right_P, lambda t: math.log(t.d))),
    ("it lacks the logarithm: it needs log n", penalty(right_P, lambda t: t.n)),
    ("it lacks the 1/2 of the penalty", penalty(lambda t: 2 * right_P(t), log_n)),
    ("the penalty has the wrong sign: subtract it", penalty(lambda t: -right_P(t), log_n)),
    (
        "it is -2 ll + P log n, in another convention: the course's is ll - 1/2 P log n",
        lambda t: {"bic": -2 * t.ll + right_P(t) * math.log(t.n)},
    ),
    (
        "it has the wrong sign as a whole: the course's is ll - 1/2 P log n",
        lambda t: {"bic": -t.ll + right_P(t) / 2 * math.log(t.n)},
    ),
    (
        "it is 2 ll - P log n, in another convention: the course's is ll - 1/2 P log n",
        lambda t: {"bic": 2 * t.ll - right_P(t) * math.log(t.n)},
    ),
]
