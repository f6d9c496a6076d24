"""Typical mistakes, each a change in the text of a right function, so that the judge can name them.

An example. RIGHT["rmse"] is

    E = X - Y
    rmse = np.sqrt((E**2).mean())

and MISTAKES["rmse"] holds, among others,

    it is a mean absolute error: square first
        np.sqrt((E**2).mean()) => np.abs(E).mean()

which `made` turns into a function, with the first and the last line that FRAMES has for it:

    def rmse(X, Y):
        E = X - Y
        rmse = np.abs(E).mean()
        return rmse

Say a student's rmse returns 1.583 where test.py expects 2.051. The judge calls every rmse that a
mistake makes with the same arguments, finds that this one returns 1.583, too, and says
`common.rmse: it is a mean absolute error: square first`.

- Words have one or more changes below them, made one after the other, wherever the old text stands.
  Nothing in front of the arrow means that the new line comes first. A backslash joins two lines.
- A function may return several parts, as estep does, post and ll. A mistake explains those that are
  off if all that it changes comes out as the student's. Told is the first mistake that explains
  all parts that are off, or else the first that explains some (for run see model.py).
- ALLOWED has the same form, and is tried first: what is right by the course, though not what the
  judge expects, and explains all that is off, becomes a note.
- To add a mistake, add its words and its change, and nothing else: judge/check.py plants it.

What is expected of a student comes from elsewhere (see test.py). RIGHT makes two things that help:
the iterations beyond the end of a run, among which a longer run is looked for, and an X_pred whose
RMSE test_solutions.txt has.
"""

import functools
import textwrap

import numpy as np

from judge.problems import Mixture

# A key is a function, or module.function where only that module has such a text or mistake.
# rated is True where an entry counts: everywhere in K-means and naive EM, at X != 0 in EM. In mstep
# count >= 1 lacks em.py's tolerance for rounding: no test compares it where a count is just 1.
RIGHT = {
    "kmeans.estep": """
mu, var, p = mixture
distance = ((X[:, None] - mu) ** 2).sum(axis=2)
nearest = distance.argmin(axis=1)
post = np.eye(len(mu))[nearest]
""",
    "estep": """
mu, var, p = mixture
size = rated.sum(axis=1, keepdims=True)
distance = ((X[:, None] - mu) ** 2 * rated[:, None]).sum(axis=2)
weight = np.log(p + 1e-16)
constant = -size / 2 * np.log(2 * np.pi * var)
exponent = -distance / (2 * var)
f = weight + constant + exponent
row = np.logaddexp.reduce(f, axis=1, keepdims=True)
post = np.exp(f - row)
ll = row.sum()
""",
    "mstep": """
n, d = X.shape
count = post.T @ rated
total = post.T @ (X * rated)
mu = total / count
if mixture is not None:
    mu = np.where(count >= 1, mu, mixture.mu)
distance = ((X[:, None] - mu) ** 2 * rated[:, None]).sum(axis=2)
cost = (post * distance).sum()
sse = (post * distance).sum(axis=0)
var = sse / count.sum(axis=1)
var = np.maximum(var, min_variance)
p = post.sum(axis=0) / n
""",
    "kmeans.run": """
old = np.inf
while True:
    post = estep(X, mixture)
    mixture, cost = mstep(X, post)
    if not old - cost > 1e-4:
        break
    old = cost
""",
    "run": """
old = -np.inf
while True:
    post, ll = estep(X, mixture)
    mixture = mstep(X, post, mixture)
    if not ll - old > 1e-6 * abs(ll):
        break
    old = ll
""",
    "fill_matrix": """
post, ll = estep(X, mixture)
guess = post @ mixture.mu
X_pred = np.where(X == 0, guess, X)
""",
    "init": """
n, d = X.shape
rows = np.random.RandomState(seed).choice(n, K, replace=False)
mu = X[rows]
var = np.array([((X - mean) ** 2).mean() for mean in mu])
p = np.full(K, 1 / K)
post = np.full((n, K), 1 / K)
""",
    "rmse": """
E = X - Y
rmse = np.sqrt((E**2).mean())
""",
    "bic": """
n, d = X.shape
K = len(mixture.mu)
ll = log_likelihood
P = K * d + K + (K - 1)
bic = ll - P / 2 * np.log(n)
""",
}

# The first lines and the last line that make a module's function of a text.
# naive_em's run has EM's text, which passes a mixture to mstep: here it is unused.
NAIVE_MSTEP = """def mstep(X, post, *unused):
    rated = np.ones(X.shape)
    min_variance = 0
    mixture = None"""
FRAMES = {
    "kmeans": {
        "estep": ("def estep(X, mixture):", "return post"),
        "mstep": (NAIVE_MSTEP, "return GaussianMixture(mu, var, p), cost"),
        "run": ("def run(X, mixture, post):", "return mixture, post, cost"),
    },
    "naive_em": {
        "estep": ("def estep(X, mixture):\n    rated = np.ones(X.shape)", "return post, ll"),
        "mstep": (NAIVE_MSTEP, "return GaussianMixture(mu, var, p)"),
        "run": ("def run(X, mixture, post):", "return mixture, post, ll"),
    },
    "em": {
        "estep": ("def estep(X, mixture):\n    rated = X != 0", "return post, ll"),
        "mstep": (
            "def mstep(X, post, mixture, min_variance=0.25):\n    rated = X != 0",
            "return GaussianMixture(mu, var, p)",
        ),
        "run": ("def run(X, mixture, post):", "return mixture, post, ll"),
        "fill_matrix": ("def fill_matrix(X, mixture):", "return X_pred"),
    },
    "common": {
        "init": ("def init(X, K, seed=0):", "return GaussianMixture(mu, var, p), post"),
        "rmse": ("def rmse(X, Y):", "return rmse"),
        "bic": ("def bic(X, mixture, log_likelihood):", "return bic"),
    },
}

# In the words {row}, {column}, {component} and {size} become the nouns of test.py's class: user,
# movie, type and |C_u| in EM. A module's own mistakes are tried before those that it shares.
MISTAKES = {}

MISTAKES["estep"] = """
the weights are left out of the posteriors: f needs + log p_j
    f = weight + constant => f = constant
the weights are left out of the log-likelihood: its sums need p_j, too
    ll = row.sum() => ll = np.logaddexp.reduce(constant + exponent, axis=1).sum()
the posteriors lack the weights: they are shares of exp(f), and f has + log p_j
    post = np.exp(f - row) => f = constant + exponent; \
post = np.exp(f - np.logaddexp.reduce(f, axis=1, keepdims=True))
f has p_j in place of log p_j
    np.log(p + 1e-16) => p
f has log(1 + p_j) in place of log p_j
    np.log(p + 1e-16) => np.log1p(p)
the logarithm of the weights is taken with log10: it needs the natural logarithm
    np.log(p + 1e-16) => np.log10(p + 1e-16)
the weights multiply the posteriors a second time, after they are normalised: f has them already
    np.exp(f - row) => p * np.exp(f - row)
the weights multiply the posteriors after they are normalised: f needs + log p_j
    f = weight + constant + exponent => f = constant + exponent
    post = np.exp(f - row) => post = p * np.exp(f - row)
the normalising constant of the density is left out: f needs - {size}/2 log(2 pi var_j)
    f = weight + constant => f = weight
2 pi is missing in the constant of the density: - {size}/2 log(2 pi var_j)
    2 * np.pi * var => var
pi is missing in the constant of the density: - {size}/2 log(2 pi var_j)
    2 * np.pi * var => 2 * var
the constant of the density lacks the variance: - {size}/2 log(2 pi var_j)
    2 * np.pi * var => 2 * np.pi
the squared distance sums over the {row}s, too: it is one for each of them
    f = weight + constant + exponent => f = weight + constant + exponent.sum(axis=0)
the constant of the density lacks the power {size}: - {size}/2 log(2 pi var_j)
    -size / 2 => -1 / 2
the constant of the density lacks its 1/2: - {size}/2 log(2 pi var_j)
    -size / 2 => -size
the constant of the density has the wrong sign: - {size}/2 log(2 pi var_j)
    -size / 2 => size / 2
the constant of the density takes n, the number of {row}s, for {size}: - {size}/2 log(2 pi var_j)
    -size / 2 => -len(X) / 2
(2 pi var)**d / 2 halves the density: the constant is (2 pi var)**(d / 2)
    -size / 2 * np.log(2 * np.pi * var) => np.log(2) - size * np.log(2 * np.pi * var)
1 / 2 * pi * var multiplies by pi and var: the constant of the density needs 1 / (2 * pi * var)
    2 * np.pi * var => 2 / (np.pi * var)
the constant of the density is taken with log10: it needs the natural logarithm
    np.log(2 * np.pi * var) => np.log10(2 * np.pi * var)
the exponent lacks its 1/2: - ||x_u - mu_j||^2 / (2 var_j)
    -distance / (2 * var) => -distance / var
the exponent has the wrong sign: - ||x_u - mu_j||^2 / (2 var_j)
    -distance / (2 * var) => distance / (2 * var)
the exponent lacks the variance: - ||x_u - mu_j||^2 / (2 var_j)
    -distance / (2 * var) => -distance / 2
-distance / 2 * var multiplies by var: the exponent needs -distance / (2 * var)
    -distance / (2 * var) => -distance / 2 * var
the squared distance is divided by the number of {column}s, as a mean over them is: it is their sum
    -distance / (2 * var) => -distance / size / (2 * var)
the squared distance is that of the last {column} only: add up all of them
    ** 2 * rated[:, None]).sum(axis=2) => ** 2 * rated[:, None])[:, :, -1]
the differences are added up before they are squared: square each, then add up
    ((X[:, None] - mu) ** 2 * rated[:, None]).sum(axis=2) => \
((X[:, None] - mu) * rated[:, None]).sum(axis=2) ** 2
the distance adds up absolute differences, |x - mu|: it needs their squares
    ((X[:, None] - mu) ** 2 => (np.abs(X[:, None] - mu)
the distance in the exponent is not squared: - ||x_u - mu_j||^2 / (2 var_j)
    -distance / (2 * var) => -np.sqrt(distance) / (2 * var)
the expanded distance lacks the 2 of its cross term: ||x||^2 - 2 x.mu + ||mu||^2
    -distance / (2 * var) => -(distance + (X * rated) @ mu.T) / (2 * var)
var is squared as if it were a standard deviation; it is a variance
    => mixture = GaussianMixture(mixture.mu, mixture.var**2, mixture.p)
var is squared in the exponent as if it were a standard deviation; it is a variance
    -distance / (2 * var) => -distance / (2 * var**2)
var is squared in the constant as if it were a standard deviation; it is a variance
    2 * np.pi * var => 2 * np.pi * var**2
var and p of the mixture have changed places
    mu, var, p = mixture => mu, p, var = mixture
the log-likelihood is taken with log10; it is a sum of natural logarithms
    ll = row.sum() => ll = row.sum() / np.log(10)
the log-likelihood is taken with log2; it is a sum of natural logarithms
    ll = row.sum() => ll = row.sum() / np.log(2)
the log-likelihood is a mean over the {row}s; it is their sum
    ll = row.sum() => ll = row.mean()
the log-likelihood has the wrong sign
    ll = row.sum() => ll = -row.sum()
the log-likelihood is that of the last {row} only: add up all of them
    ll = row.sum() => ll = row[-1, 0]
the log-likelihood is n times too large: (n,) and (n, 1) make an array of shape (n, n)
    ll = row.sum() => ll = len(X) * row.sum()
the log-likelihood counts each {row} K times: add it up once, outside the loop over {component}s
    ll = row.sum() => ll = len(p) * row.sum()
the log-likelihood adds up what earlier {row}s gave again: is a list or a sum not emptied for each?
    ll = row.sum() => ll = row.cumsum().sum()
the log-likelihood adds up densities: it needs their logarithms
    ll = row.sum() => ll = np.exp(row).sum()
the log-likelihood is sum post * log post; it is the sum of log sum_j exp(f)
    ll = row.sum() => ll = (post * np.log(post)).sum()
1e-3 is added to the whole density, log(sum + 1e-3): it hides points far from every mean
    ll = row.sum() => ll = np.log(np.exp(row) + 1e-3).sum()
1e-6 is added to the whole density, log(sum + 1e-6): it hides points far from every mean
    ll = row.sum() => ll = np.log(np.exp(row) + 1e-6).sum()
1e-10 is added to the whole density, log(sum + 1e-10): it hides points far from every mean
    ll = row.sum() => ll = np.log(np.exp(row) + 1e-10).sum()
the log-likelihood is 0: is it taken of posteriors that sum to 1 already, or is nothing added to it?
    ll = row.sum() => ll = 0.0
the log-likelihood lacks the maxima: add to log(sum exp(f - max)) the max again
    ll = row.sum() => ll = row.sum() - f.max(axis=1).sum()
the log-likelihood is the sum of the largest f; it is that of log sum_j exp(f)
    ll = row.sum() => ll = f.max(axis=1).sum()
the log-likelihood is sum post * f; it is the sum of log sum_j exp(f)
    ll = row.sum() => ll = (post * f).sum()
the log-likelihood sums all f; it is the sum of log sum_j exp(f)
    ll = row.sum() => ll = f.sum()
the log-likelihood sums log post; it is the sum of log sum_j exp(f)
    ll = row.sum() => ll = np.log(post).sum()
the log-likelihood is one logarithm of a sum over the {row}s; it is a sum of logarithms
    ll = row.sum() => ll = np.logaddexp.reduce(row, axis=None)
the log-sum-exp runs over the wrong axis, the {row}s (0): it needs the {component}s (1)
    reduce(f, axis=1, keepdims=True) => reduce(f, axis=0, keepdims=True)
the log-likelihood sums over the wrong axis, the {row}s (0): it needs the {component}s (1)
    ll = row.sum() => ll = np.logaddexp.reduce(f, axis=0).sum()
the posteriors are divided by sums over the wrong axis, the {row}s (0): it needs the \
{component}s (1)
    np.exp(f - row) => np.exp(f - np.logaddexp.reduce(f, axis=0))
the posteriors are still in the log domain: they need np.exp
    np.exp(f - row) => f - row
the posteriors are f itself: they are exp(f - logsumexp_j f)
    np.exp(f - row) => f
the posteriors are shares of f: they are shares of exp(f)
    np.exp(f - row) => f / f.sum(axis=1, keepdims=True)
the sum over the {component}s goes on from {row} to {row}: empty the list, or set the sum back to 0
    row = np.logaddexp.reduce(f, axis=1, keepdims=True) => \
row = np.logaddexp.accumulate(np.logaddexp.reduce(f, axis=1, keepdims=True))
the last {row} is left out: does a loop end at n - 1?
    post = np.exp(f - row) => post = np.exp(f - row); post[-1] = 0; row = row[:-1]
the last {row} is left out: does a loop end at n - 1?
    post = np.exp(f - row) => post = np.exp(f - row); post[-1] = 1 / len(p); row = row[:-1]
the posteriors are not normalised, their rows should sum to 1: divide by the row's sum
    np.exp(f - row) => np.exp(f)
the posteriors are not normalised, their rows should sum to 1: divide by the row's sum
    np.exp(f - row) => np.exp(f - f.max(axis=1, keepdims=True))
the posteriors are not normalised, their rows should sum to 1: divide by the row's sum
    np.exp(f - row) => np.exp(constant + exponent)
the posteriors are hard, 0 or 1; they are shares
    post = np.exp(f - row) => post = np.eye(len(p))[f.argmax(axis=1)]
the posteriors are transposed; they are (n, K)
    np.exp(f - row) => np.exp(f - row).T
the (K, n) array is reshaped to (n, K): transpose it, .T
    f = weight + constant + exponent => f = (weight + constant + exponent).T.reshape(len(X), -1)
small posteriors are set to 0: they stay as they are
    post = np.exp(f - row) => post = np.exp(f - row); post[post < 0.01] = 0
log(p + 1e-1) distorts the weights: the number against log 0 is 1e-16
    1e-16 => 1e-1
log(p + 1e-2) distorts the weights: the number against log 0 is 1e-16
    1e-16 => 1e-2
log(p + 1e-3) distorts the weights: the number against log 0 is 1e-16
    1e-16 => 1e-3
log(p + 1e-4) distorts the weights: the number against log 0 is 1e-16
    1e-16 => 1e-4
log(p + 1e-5) distorts the weights: the number against log 0 is 1e-16
    1e-16 => 1e-5
log(p + 1e-6) distorts the weights: the number against log 0 is 1e-16
    1e-16 => 1e-6
all logarithms are taken with log10: they are natural ones, np.log
    f = weight + constant => f = (weight + constant) / np.log(10)
it takes the {component}'s number for the {row}'s, X[j] for X[u]
    f = weight + constant + exponent => f = weight + constant + np.diag(exponent) + 0 * exponent
it takes the {component}'s number for the {row}'s, X[j] for X[u]
    f = weight + constant + exponent => f = weight + np.diag(constant + exponent) + 0 * exponent
the cross term of the distance has the wrong sign: ||x - mu||^2 = ||x||^2 - 2 x.mu + ||mu||^2
    -distance / (2 * var) => -(distance + 4 * (X * rated) @ mu.T) / (2 * var)
the square root of var is taken: var is a variance, and belongs there as it is
    => mixture = GaussianMixture(mixture.mu, np.sqrt(mixture.var), mixture.p)
only the first {row} is computed: is return inside the loop?
    post = np.exp(f - row) => post = np.exp(f - row); post[1:] = 0; row = row[:1]
the last {component} is left out: does a loop end at K - 1?
    f = weight + constant + exponent => \
f = weight + constant + exponent; f[:, -1] = -np.inf
"""

MISTAKES["em.estep"] = """
missing entries count as ratings of 0: f needs C_u, the movies that the user rated
    => rated = np.ones(X.shape)
the mask is inverted: the ratings are where X != 0
    => rated = X == 0
the constant of the density takes all d movies: it needs |C_u|, those that the user rated
    -size / 2 => -X.shape[1] / 2
the distance takes missing entries for ratings of 0: it needs C_u, the rated movies only
    ** 2 * rated[:, None] => ** 2
ratings of 1 are taken for missing: the mask is X != 0
    => rated = X > 1
the constant takes the same |C_u| for all users: it needs each user's own
    -size / 2 => -size.mean() / 2
the constant of the density lacks |C_u|: - |C_u|/2 log(2 pi var_j)
    -size / 2 => -1 / 2
|C_u| // 2 cuts off the half of an odd number: - |C_u|/2 log(2 pi var_j)
    -size / 2 => -(size // 2)
"""

MISTAKES["kmeans.estep"] = """
the {row}s go to the farthest mean (argmax): they belong to the nearest (argmin)
    distance.argmin => distance.argmax
the distances are divided by var: K-means compares them as they are
    distance.argmin => (distance / var).argmin
the nearest mean is taken by the L1 distance, |x - mu|: it needs (x - mu)^2
    ((X[:, None] - mu) ** 2) => np.abs(X[:, None] - mu)
the nearest mean is taken by the largest difference: it needs the sum of (x - mu)^2
    ((X[:, None] - mu) ** 2).sum => np.abs(X[:, None] - mu).max
the expanded distance lacks the 2 of its cross term: ||x||^2 - 2 x.mu + ||mu||^2
    nearest = distance => distance = (mu**2).sum(axis=1) - X @ mu.T; nearest = distance
the differences are not squared: the nearest mean needs the sum of (x - mu)^2
    (X[:, None] - mu) ** 2 => X[:, None] - mu
post holds distances: it is 1 for the nearest mean and 0 for the others
    np.eye(len(mu))[nearest] => distance
post holds the number of the nearest mean: it is (n, K), 1 for that mean and 0 for the others
    np.eye(len(mu))[nearest] => nearest
post is soft: it is 1 for the nearest mean and 0 for the others
    np.eye(len(mu))[nearest] => 1 / distance; post = post / post.sum(axis=1, keepdims=True)
post is soft: it is 1 for the nearest mean and 0 for the others
    np.eye(len(mu))[nearest] => np.exp(-distance); post = post / post.sum(axis=1, keepdims=True)
no {row} goes to the last cluster: does a loop end at K - 1?
    distance.argmin => distance[:, :-1].argmin
"""

MISTAKES["mstep"] = """
the squared distances are means over the {column}s: they are sums, divided by d once
    var = sse / count => var = sse / d / count
the variance is not divided by d, the number of {column}s
    var = sse / count.sum(axis=1) => var = sse / post.sum(axis=0)
it makes hard assignments of the posteriors: the sums need the soft ones, post[u, j]
    => post = np.eye(post.shape[1])[post.argmax(axis=1)]
p counts hard assignments: p_j is the soft count sum_u post[u, j], divided by n
    p = post.sum(axis=0) / n => p = np.eye(len(mu))[post.argmax(axis=1)].mean(axis=0)
var and p of the mixture have changed places: GaussianMixture(mu, var, p)
    p = post.sum(axis=0) / n => p = var; var = post.sum(axis=0) / n
p is not divided by n, the number of {row}s
    post.sum(axis=0) / n => post.sum(axis=0)
p is divided by K: it needs n, the number of {row}s
    post.sum(axis=0) / n => post.sum(axis=0) / len(mu)
p is divided by d: it needs n, the number of {row}s
    post.sum(axis=0) / n => post.sum(axis=0) / d
p is divided by n and by d: it needs n alone, the number of {row}s
    post.sum(axis=0) / n => post.sum(axis=0) / (n * d)
p is smoothed, (count + 1) / (n + K): it is sum_u post[u, j], divided by n
    post.sum(axis=0) / n => (post.sum(axis=0) + 1) / (n + len(mu))
p is summed over the wrong axis: p_j is a mean over the {row}s (axis 0)
    post.sum(axis=0) / n => post.mean(axis=1)
p is summed over the wrong axis: p_j is a mean over the {row}s (axis 0)
    post.sum(axis=0) / n => post.sum(axis=1)
p is the same for every {component}: p_j is sum_u post[u, j], divided by n
    post.sum(axis=0) / n => np.full(len(mu), 1 / len(mu))
the means are divided by n: they need the {component}'s own count, sum_u post[u, j]
    mu = total / count => mu = total / n
the means are not divided by the {component}'s count, sum_u post[u, j]
    mu = total / count => mu = total
the means are not weighted with the posteriors: they need sum_u post[u, j] x_u
    mu = total / count => mu = 0 * count + (X * rated).sum(axis=0) / rated.sum(axis=0)
the means lose their decimals: an array of integers holds whole numbers only
    distance = => mu = np.trunc(mu); distance =
the means are rounded: they stay as they are
    distance = => mu = np.round(mu); distance =
the means are medians: they are sums of post[u, j] x_u, divided by the count
    distance = => mu = np.array([np.median(X[w > 0], axis=0) for w in post.T]); distance =
the sums of the means start at 1: they start at 0
    total = post.T @ (X * rated) => total = post.T @ (X * rated) + 1
the count starts at 1, as in sum(post, 1): it is post.sum(axis=0)
    mu = total / count => mu = total / (count + 1)
only the first {component} is computed: is return inside the loop?
    distance = => mu[1:] = 0; distance =
p is 0: is there a // where / should be?
    post.sum(axis=0) / n => post.sum(axis=0) // n
var holds standard deviations; it needs variances, without the square root
    np.maximum(var, min_variance) => np.sqrt(np.maximum(var, min_variance))
the variance is about the mean of all {row}s: it needs the {component}'s own, mu_j
    sse = (post => middle = (X * rated).sum(axis=0) / rated.sum(axis=0); \
distance = ((X - middle) ** 2 * rated).sum(axis=1)[:, None]; sse = (post
the variance is divided by n: it needs the soft count, sum_u post[u, j]
    var = sse / count.sum(axis=1) => var = sse / n
the variance is divided by n d: it needs the soft count sum_u post[u, j] in place of n
    var = sse / count.sum(axis=1) => var = sse / (n * d)
the variance is divided by a count less 1: it needs the soft count itself
    var = sse / count.sum(axis=1) => var = sse / (count.sum(axis=1) - 1)
the variance is divided by a count less 1: it needs the soft count itself
    var = sse / count.sum(axis=1) => var = sse / (count.sum(axis=1) * (1 - 1 / post.sum(axis=0)))
the variance is a sum: divide it by the soft count
    var = sse / count.sum(axis=1) => var = sse
the variance is not weighted with the posteriors: it needs sum_u post[u, j] ||x_u - mu_j||^2
    var = sse / count.sum(axis=1) => var = distance.sum(axis=0) / rated.sum()
the variance is weighted with squared posteriors: it needs sum_u post[u, j] ||x_u - mu_j||^2
    sse = (post => sse = (post**2
the squared distances are those of the last {column} only: add up all of them
    sse = (post => distance = (X[:, -1:] - mu[:, -1]) ** 2 * rated[:, -1:]; sse = (post
the differences are added up before they are squared: square each, then add up
    sse = (post => distance = ((X[:, None] - mu) * rated[:, None]).sum(axis=2) ** 2; sse = (post
/ d * n_j multiplies by n_j: the variance needs / (d * n_j)
    var = sse / count.sum(axis=1) => var = sse / d * post.sum(axis=0)
the sum of squares is not set back to 0 for each {component}
    var = sse / count => var = np.cumsum(sse) / count
the sums of the variance are not set back to 0 for each {component}
    var = sse / count.sum(axis=1) => var = np.cumsum(sse) / np.cumsum(count.sum(axis=1))
the variance adds up the squares of all {component}s: each needs its own
    var = sse / count => var = sse.sum() / count
the variance is the same for every {component}: each needs its own
    var = sse / count.sum(axis=1) => var = np.full(len(mu), sse.sum() / count.sum())
the variance is that of the squares: subtract the squared mean, or take (x_u - mu_j)^2
    sse = (post * distance).sum(axis=0) => sse = (post.T @ (X**2 * rated)).sum(axis=1)
p is divided by a number that is written in the code, 250: it needs n, the number of {row}s
    post.sum(axis=0) / n => post.sum(axis=0) / 250
p is divided by a number that is written in the code, 1200: it needs n, the number of {row}s
    post.sum(axis=0) / n => post.sum(axis=0) / 1200
the sum of squares is not weighted with the posteriors: sum_u post[u, j] ||x_u - mu_j||^2
    sse = (post * distance).sum(axis=0) => sse = distance.sum(axis=0)
the variance adds up absolute differences, |x - mu|: it needs their squares
    ((X[:, None] - mu) ** 2 => (np.abs(X[:, None] - mu)
the distances in the variance are not squared: sum_u post[u, j] ||x_u - mu_j||^2
    sse = (post => distance = np.sqrt(distance); sse = (post
mu and var of the mixture have changed places: GaussianMixture(mu, var, p)
    p = post.sum(axis=0) / n => p = post.sum(axis=0) / n; mu, var = var, mu
only the last {component} gets its variance: does the line stand behind the loop?
    var = np.maximum(var, min_variance) => var = np.maximum(var, min_variance); var[:-1] = 0
the means are the first {row}s: X[j] stands for X[u]
    distance = => mu = X[: len(mu)]; distance =
"""

MISTAKES["naive_em.mstep"] = """
no variance falls below a least one: naive EM has no such limit
    np.maximum(var, min_variance) => np.maximum(var, 0.5)
no variance falls below a least one: naive EM has no such limit
    np.maximum(var, min_variance) => np.maximum(var, 1)
the sum of squares is that of the last {row} only: add up all of them
    sse = (post * distance).sum(axis=0) => sse = (post * distance)[-1]
"""

MISTAKES["kmeans.mstep"] = """
the squared distances are means over the {column}s: they are sums
    sum(axis=2) => mean(axis=2)
the cost is of the last cluster only: add up all of them
    cost = (post * distance).sum() => cost = (post * distance)[:, -1].sum()
the cost is halved
    cost = (post * distance).sum() => cost = (post * distance).sum() / 2
the cost sums distances: it needs their squares
    cost = (post * distance).sum() => cost = (post * np.sqrt(distance)).sum()
the cost is a mean: it is the sum over all {row}s
    cost = (post * distance).sum() => cost = (post * distance).sum() / n
the cost is a mean: it is the sum over all {row}s
    cost = (post * distance).sum() => cost = (post * distance).sum() / (n * d)
the cost is the sum of the variances: it is that of the squared distances
    p = post.sum(axis=0) / n => p = post.sum(axis=0) / n; cost = var.sum()
the sum of squares is that of the last {row} only: add up all of them
    sse = (post * distance).sum(axis=0) => sse = (post * distance)[-1]
"""

MISTAKES["em.mstep"] = """
min_variance is ignored: np.maximum(var, min_variance)
    np.maximum(var, min_variance) => var
no variance is above min_variance, which is the least one: np.maximum(var, min_variance)
    np.maximum(var, min_variance) => np.minimum(var, min_variance)
min_variance is applied to the sum of squares: it belongs after the division
    var = sse / count => var = np.maximum(sse, min_variance) / count
    np.maximum(var, min_variance) => var
min_variance is added: it is the least variance, np.maximum(var, min_variance)
    np.maximum(var, min_variance) => var + min_variance
a mean is updated although its denominator, sum_u post[u, j] delta(l, C_u), is below 1: \
keep the old one there
    count >= 1 => count >= 0
a mean is updated although its denominator is below 1: the limit is 1
    count >= 1 => count >= 0.5
a mean is kept although its denominator is above 1: the limit is 1
    count >= 1 => count >= 1.5
a mean is kept although its denominator is above 1: the limit is 1
    count >= 1 => count >= 2
a mean whose denominator is below 1 becomes 0: keep the old one there
    mu, mixture.mu) => mu, 0)
the means after the first that is kept are kept, too: is there a break for continue?
    count >= 1 => np.minimum.accumulate(count, axis=1) >= 1
the variance's denominator leaves out the movies whose mean is kept: it needs all ratings
    var = sse / count.sum(axis=1) => var = sse / (count * (count >= 1)).sum(axis=1)
the squared distances are means over each user's ratings: divide their sum by the number of all
    var = sse / count.sum(axis=1) => \
var = (post * (distance / rated.sum(axis=1)[:, None])).sum(axis=0) / post.sum(axis=0)
missing entries count in the means' denominator: sum post[u, j] over those who rated l
    mu = total / count => mu = total / post.sum(axis=0)[:, None]
missing entries count in the means' denominator: sum post[u, j] over those who rated l
    mu = total / count => everybody = post.sum(axis=0)[:, None]; mu = total / everybody
    count >= 1 => everybody >= 1
all means of a type are kept where one of its counts is below 1: keep that one only
    count >= 1 => (count >= 1).all(axis=1, keepdims=True)
the new means are added to the old ones: they take their place
    count >= 1, mu, => count >= 1, mu + mixture.mu,
a variance below min_variance becomes the old one: it becomes min_variance
    np.maximum(var, min_variance) => np.where(var < min_variance, mixture.var, var)
the means are the old ones: they are updated where their denominator is at least 1
    count >= 1, mu, => count >= 1, mixture.mu,
ratings of 1 are taken for missing: the mask is X != 0
    => rated = X > 1
ratings of 1 are taken for missing: the mask is X != 0
    count = post.T @ rated => count = post.T @ (X > 1)
the sum of squares leaves out the movies whose mean is kept: it needs all rated ones
    sse = (post => \
distance = ((X[:, None] - mu) ** 2 * (rated[:, None] * (count >= 1))).sum(axis=2); sse = (post
the variance leaves out the movies whose mean is kept: it needs all rated ones
    sse = (post => updated = count >= 1; count = count * updated; \
distance = ((X[:, None] - mu) ** 2 * (rated[:, None] * updated)).sum(axis=2); sse = (post
the variance is about the old means: it needs the new ones
    ((X[:, None] - mu) => ((X[:, None] - mixture.mu)
the variance's denominator lacks |C_u|: sum_u post[u, j] |C_u|
    var = sse / count.sum(axis=1) => var = sse / post.sum(axis=0)
the variance's denominator takes all d movies: it needs |C_u|, sum_u post[u, j] |C_u|
    var = sse / count.sum(axis=1) => var = sse / (d * post.sum(axis=0))
the variance counts missing entries as ratings of 0: it needs C_u, the rated movies only
    ** 2 * rated[:, None] => ** 2
the variance counts missing entries as ratings of 0: it needs C_u, the rated movies only
    ** 2 * rated[:, None] => ** 2
    var = sse / count.sum(axis=1) => var = sse / (d * post.sum(axis=0))
the variance is the old one
    var = sse / count.sum(axis=1) => var = mixture.var
p is the old one
    post.sum(axis=0) / n => mixture.p
only the first {component} is computed: is return inside the loop?
    distance = => mu[1:] = mixture.mu[1:]; distance =
the means are divided by sums of ratings: the denominator counts those who rated l
    mu = total / count => mu = total / (post.T @ X)
p counts ratings, sum_u post[u, j] |C_u|: it counts users, sum_u post[u, j] / n
    post.sum(axis=0) / n => count.sum(axis=1) / rated.sum()
a mean whose denominator is below 1 is divided by 1: keep the old one there
    mu = total / count => mu = total / np.maximum(count, 1)
    count >= 1 => count >= 0
p is divided by the number of ratings: it needs n, the number of users
    post.sum(axis=0) / n => post.sum(axis=0) / rated.sum()
min_variance is ignored, another number is written in the code: np.maximum(var, min_variance)
    np.maximum(var, min_variance) => np.maximum(var, 0.5)
min_variance is ignored, another number is written in the code: np.maximum(var, min_variance)
    np.maximum(var, min_variance) => np.maximum(var, 1)
only a variance of 0 becomes min_variance: every one below it should
    np.maximum(var, min_variance) => np.where(var > 1e-12, var, min_variance)
the variance is divided by the number of all ratings: it needs sum_u post[u, j] |C_u|
    var = sse / count.sum(axis=1) => var = sse / rated.sum()
the means are divided by the number of raters: it needs the sum of their post[u, j]
    mu = total / count => mu = total / rated.sum(axis=0)
every variance is min_variance: is the sum of squares too small, that of the last user for example?
    np.maximum(var, min_variance) => np.full(len(mu), min_variance)
var holds standard deviations; it needs variances, without the square root
    np.maximum(var, min_variance) => np.maximum(np.sqrt(var), min_variance)
"""

MISTAKES["kmeans.run"] = """
it stops as with a limit of 1e-2 of the cost, or a large number: it should be 1e-4 itself
    1e-4 => 1e-2 * cost
it stops as with a limit of 1e-3 of the cost, or a large number: it should be 1e-4 itself
    1e-4 => 1e-3 * cost
it stops as with a limit of 1: it should be 1e-4
    1e-4 => 1
it returns the mixture that was passed in: it needs that of the last M-step
    => passed = mixture
    break => mixture = passed; break
it returns the post that was passed in: it needs that of the last E-step
    => passed = post
    break => post = passed; break
"""

MISTAKES["run"] = """
it makes an M-step before the first E-step, or with the post that was passed in: the E-step \
comes first
    => mixture = mstep(X, post, mixture)
it makes an E-step after the last M-step and returns its post and ll: it needs those of the last \
iteration
    break => post, ll = estep(X, mixture); break
it returns the mixture that was passed in: it needs that of the last M-step
    => passed = mixture
    break => mixture = passed; break
it returns the post that was passed in: it needs that of the last E-step
    => passed = post
    break => post = passed; break
it stops as with a limit of 1e-6, without the factor |new|: it should be 1e-6 * |new|
    1e-6 * abs(ll) => 1e-6
it stops as with a limit of 1e-3 * |new|: it should be 1e-6 * |new|
    1e-6 => 1e-3
it stops as with a limit of 1e-4 * |new|: it should be 1e-6 * |new|
    1e-6 => 1e-4
it stops as with a limit of 1e-5 * |new|: it should be 1e-6 * |new|
    1e-6 => 1e-5
it stops as with a limit of 1e-7 * |new|: it should be 1e-6 * |new|
    1e-6 => 1e-7
it stops as with a limit of 1e-4, without the factor |new|: it should be 1e-6 * |new|
    1e-6 * abs(ll) => 1e-4
"""

MISTAKES["em.run"] = """
log(p + exp(-16)) in estep distorts the weights: the number against log 0 is 1e-16
    estep(X, mixture) => estep(X, mixture._replace(p=mixture.p + np.exp(-16)))
log(p + 1e-7) in estep distorts the weights: the number against log 0 is 1e-16
    estep(X, mixture) => estep(X, mixture._replace(p=mixture.p + 1e-7))
the M-step always takes the mixture that was passed in: it needs the last one
    => passed = mixture
    mixture = mstep(X, post, mixture) => mixture = mstep(X, post, passed)
it makes naive EM's E-step, where missing entries count as ratings of 0: use the one of em.py
    post, ll = estep(X, mixture) => post, ll = estep(np.where(X == 0, 1e-300, X), mixture)
the M-step has another min_variance than its default
    mixture = mstep(X, post, mixture) => mixture = mstep(X, post, mixture, 0.5)
the mixture that it returns lacks the last M-step, as X_pred in test_solutions.txt shows: return \
the one after it
    mixture = mstep => before = mixture; mixture = mstep
    break => mixture = before; break
"""

MISTAKES["fill_matrix"] = """
given ratings are overwritten: only where X is 0 is there anything to fill
    np.where(X == 0, guess, X) => guess
it takes the mean of the likeliest type (a hard assignment): it needs sum_j post[u, j] mu_j
    post @ mixture.mu => mixture.mu[post.argmax(axis=1)]
it takes the weights p: it needs the user's own posteriors, sum_j post[u, j] mu_j
    post @ mixture.mu => mixture.p @ mixture.mu
it takes the first user's posteriors for all: it needs the user's own, sum_j post[u, j] mu_j
    post @ mixture.mu => post[0] @ mixture.mu
the prediction is added to the given ratings: they stay as they are
    np.where(X == 0, guess, X) => X + guess
the sum over the types is not set back to 0 for each movie
    guess, X) => np.cumsum(guess * (X == 0), axis=1), X)
the predictions are rounded: they stay as they are
    post @ mixture.mu => np.round(post @ mixture.mu)
the predictions are cut to whole numbers: an array of integers holds no others
    post @ mixture.mu => np.trunc(post @ mixture.mu)
it takes the movie's mean rating: it needs the mixture's, sum_j post[u, j] mu_j
    post @ mixture.mu => X.sum(axis=0) / (X != 0).sum(axis=0)
it takes the user's mean rating: it needs the mixture's, sum_j post[u, j] mu_j
    post @ mixture.mu => (X.sum(axis=1) / (X != 0).sum(axis=1))[:, None]
the predictions are divided by the sum of all posteriors: those of a user sum to 1 already
    post @ mixture.mu => post @ mixture.mu / post.sum()
it takes the plain mean of the types: it needs the posteriors, sum_j post[u, j] mu_j
    post @ mixture.mu => mixture.mu.mean(axis=0)
the predictions are cut to the range of the ratings: they stay as they are
    post @ mixture.mu => np.clip(post @ mixture.mu, 1, 5)
the predictions are cut to the range of the ratings: they stay as they are
    post @ mixture.mu => np.clip(post @ mixture.mu, X[X != 0].min(), X.max())
it takes the means of another M-step: it needs those of the mixture that is passed
    post @ mixture.mu => post @ mstep(X, post, mixture).mu
it takes the mixture of another M-step: it needs the one that is passed
    guess = => mixture = mstep(X, post, mixture); post, ll = estep(X, mixture); guess =
the mask is inverted: the missing entries are 0 still, and the given ratings replaced
    X == 0, guess, X => X != 0, guess, X
nothing is filled in: the missing entries are still 0
    guess, X) => 0, X)
the given ratings are gone, 0 stands in their place: they stay as they are
    guess, X) => guess, 0)
only the last user's missing ratings are filled in: does the filling stand behind the loop?
    X_pred = np.where(X == 0, guess, X) => \
X_pred = np.where((X == 0) & (np.arange(len(X)) == len(X) - 1)[:, None], guess, X)
only the first user's missing ratings are filled in: is return inside the loop?
    X_pred = np.where(X == 0, guess, X) => \
X_pred = np.where((X == 0) & (np.arange(len(X)) == 0)[:, None], guess, X)
it takes the mean of the type with the largest weight: it needs sum_j post[u, j] mu_j
    post @ mixture.mu => mixture.mu[mixture.p.argmax()]
it takes the first movie's means for all movies: it needs sum_j post[u, j] mu_jl
    post @ mixture.mu => post @ mixture.mu[:, :1]
it takes the movie's number for the user's, post[l] for post[u]
    post @ mixture.mu => (post[: X.shape[1]] * mixture.mu.T).sum(axis=1)
"""

MISTAKES["init"] = """
the rows are drawn with replacement: np.random.choice(n, K, replace=False)
    n, K, replace=False => n, K
the rows come from another generator (default_rng): np.random.seed(seed), then \
np.random.choice(n, K, replace=False)
    np.random.RandomState => np.random.default_rng
the means are the first rows: draw them, np.random.choice(n, K, replace=False)
    mu = X[rows] => mu = X[:K]
the means lose their decimals: an array of integers holds whole numbers only
    mu = X[rows] => mu = np.trunc(X[rows])
the seed is not used: np.random.seed(seed)
    RandomState(seed) => RandomState(0)
the variance is over the nonzero entries: it needs all n d of them, zeros included
    .mean() for => [X != 0].mean() for
the variance is taken per dimension, (K, d): it is one number each, the mean over all
    .mean() for => .mean(axis=0) for
the variance is not divided by d: it is the mean of (X - mu_j)**2 over all n d entries
    .mean() for => .sum() / n for
the variance is about the mean of the data: it needs (X - mu_j)**2
    X - mean => X - X.mean()
the variance is about the columns' means: it needs (X - mu_j)**2
    X - mean => X - X.mean(axis=0)
var holds standard deviations; it needs variances, without the square root
    p = => var = np.sqrt(var); p =
the variances are 1: they are means of (X - mu_j)**2
    p = => var = np.ones(K); p =
the weights are 1: they are 1/K
    np.full(K, 1 / K) => np.ones(K)
the posteriors are 1: they are 1/K
    np.full((n, K), 1 / K) => np.ones((n, K))
the posteriors are 0: they are 1/K
    np.full((n, K), 1 / K) => np.zeros((n, K))
"""

MISTAKES["rmse"] = """
it lacks the square root
    np.sqrt((E**2).mean()) => (E**2).mean()
it takes the entries that differ only: it needs all of them
    E = X - Y => E = (X - Y)[X != Y]
it takes the entries where X is not 0: it needs all of them
    E = X - Y => E = (X - Y)[X != 0]
it takes the entries where Y is not 0: it needs all of them
    E = X - Y => E = (X - Y)[Y != 0]
it takes the entries where X is 0: it needs all of them
    E = X - Y => E = (X - Y)[X == 0]
it is a mean absolute error: square first
    np.sqrt((E**2).mean()) => np.abs(E).mean()
it is the root of the sum: it needs that of the mean
    (E**2).mean() => (E**2).sum()
the sum is divided by n: it needs all n d entries
    (E**2).mean() => (E**2).sum() / len(E)
the norm is divided by n: divide the sum of squares by n d, and then take the root
    np.sqrt((E**2).mean()) => np.linalg.norm(E) / len(E)
the norm is divided by n d: divide the sum of squares by n d, and then take the root
    np.sqrt((E**2).mean()) => np.linalg.norm(E) / E.size
the root of each square is taken, too: square, mean, root
    np.sqrt((E**2).mean()) => np.sqrt(np.abs(E).mean())
it is the mean of the roots: square, mean, root
    np.sqrt((E**2).mean()) => np.sqrt((E**2).mean(axis=1)).mean()
"""

MISTAKES["bic"] = """
it counts K weights: only K - 1 are free, since they sum to 1
    (K - 1) => K
it leaves out the weights, K - 1 of which are free
    + (K - 1) =>
it leaves out the K variances
    + K + (K - 1) => + (K - 1)
it counts the means only, K d
    + K + (K - 1) =>
it counts a variance for every dimension: there is one for each component
    + K + (K - 1) => + K * d + (K - 1)
it counts 3 K - 1 parameters: K d are means
    K * d + K => 2 * K
it counts full covariances: there is one variance for each component
    + K + (K - 1) => + K * d * (d + 1) / 2 + (K - 1)
n and d have changed places: n, d = X.shape
    n, d = X.shape => d, n = X.shape
K and d have changed places: K, d = mu.shape
    P = K * d => K, d = d, K; P = K * d
a bracket is missing, so log n multiplies the last part of P only
    P / 2 * np.log(n) => (K * d + K + (K - 1) * np.log(n)) / 2
it uses log10: it needs the natural logarithm of n
    np.log(n) => np.log10(n)
it uses log2: it needs the natural logarithm of n
    np.log(n) => np.log2(n)
it uses log(n d): it needs log n, n is the number of rows
    np.log(n) => np.log(n * d)
it uses the logarithm of the number of ratings: it needs log n, n is the number of rows
    np.log(n) => np.log(np.count_nonzero(X))
it is Akaike's criterion, ll - P: the BIC is ll - 1/2 P log n
    P / 2 * np.log(n) => P
it uses log d: it needs log n
    np.log(n) => np.log(d)
it lacks the logarithm: it needs log n
    np.log(n) => n
it lacks the 1/2 of the penalty
    P / 2 => P
there is no penalty: 1 // 2 is 0
    P / 2 => 0
the result is rounded: it stays as it is
    ll - P / 2 * np.log(n) => np.round(ll - P / 2 * np.log(n))
the penalty has the wrong sign: subtract it
    ll - P => ll + P
it is -2 ll + P log n, in another convention: the course's is ll - 1/2 P log n
    ll - P / 2 => -2 * ll + P
it has the wrong sign as a whole: the course's is ll - 1/2 P log n
    ll - P / 2 => -ll + P / 2
it is 2 ll - P log n, in another convention: the course's is ll - 1/2 P log n
    ll - P / 2 => 2 * ll - P
it counts 4 K - 1 parameters, which holds in the plane only: K d are means
    K * d + K + (K - 1) => 4 * K - 1
K is taken from mu.shape[1], which is d: it is mu.shape[0]
    K = len(mixture.mu) => K = d
it uses the logarithm of a number that is written in the code, 250: it needs log n
    np.log(n) => np.log(250)
it uses the logarithm of a number that is written in the code, 1200: it needs log n
    np.log(n) => np.log(1200)
"""

# What gives every figure of the course, and is told in a note. Where a step is changed, run calls
# the changed one.
ALLOWED = {}

ALLOWED["naive_em.estep"] = """
1e-16 is added to the whole density, log(sum + 1e-16): that hides points far from every mean
    ll = row.sum() => ll = np.log(np.exp(row) + 1e-16).sum()
1e-16 is added to the whole density, log(sum + 1e-16): that hides points far from every mean
    post = np.exp(f - row) => post = np.exp(f) / (np.exp(row) + 1e-16)
    ll = row.sum() => ll = np.log(np.exp(row) + 1e-16).sum()
1e-16 is added to the whole density, log(sum + 1e-16): that hides points far from every mean
    f = weight + constant + exponent => f = np.log(np.exp(weight + constant + exponent) + 1e-16)
"""

ALLOWED["em.mstep"] = """
min_variance is ignored, .25 is written in the code: np.maximum(var, min_variance)
    np.maximum(var, min_variance) => np.maximum(var, 0.25)
"""

ALLOWED["naive_em.run"] = """
the mixture that it returns lacks the last M-step, which no figure of the course shows: return \
the one after it
    mixture = mstep => before = mixture; mixture = mstep
    break => mixture = before; break
"""


def text_of(module, function):
    """A right text: the module's own, if it has one."""
    return RIGHT.get(f"{module}.{function}") or RIGHT[function]


def changed_texts(module, function, table=MISTAKES):
    """[(words, changed text)] of a table for a function, the module's own mistakes first."""
    own = f"{module}.{function}"
    keys = [own] if own in RIGHT else [own, function]  # shared changes are of the shared text
    entries = "".join(table.get(key, "") for key in keys)
    first = {}  # of those that change the text in the same way: a module may have its own words
    for words, text in parse_entries(entries, text_of(module, function)):
        first.setdefault(text, words)
    return [(words, text) for text, words in first.items()]


def parse_entries(entries, right):
    """[(words, changed text)] of entries as they stand in the tables above."""
    found = []
    for line in entries.splitlines():
        if line.startswith(" "):
            words, text = found.pop()
            found.append((words, with_change(text, line)))
        elif line:
            found.append((line, right))
    return found


def with_change(text, line):
    """The text with `old => new` in it."""
    old, _, new = line.partition("=>")
    if not old.strip():
        return f"\n{new.strip()}{text}"
    if old.strip() not in text:
        raise ValueError(f"{old.strip()!r} is not in the text to change")
    return text.replace(old.strip(), new.strip())


def module_text(module, texts):
    """The functions of a module, with other texts than the right ones for those in texts."""
    parts = []
    for function, (head, last) in FRAMES[module].items():
        body = texts.get(function) or text_of(module, function)
        parts.append(f"{head}{textwrap.indent(body, '    ')}    {last}\n")
    return "\n\n".join(parts)


def made(module, texts):
    """Those functions, ready to be called: {name: function}."""
    names = {"np": np, "GaussianMixture": Mixture}
    exec(module_text(module, texts), names)
    return names


@functools.cache
def mistaken(module, function):
    """[(words, function)] of the typical mistakes."""
    found = []
    for words, text in changed_texts(module, function):
        found.append((words, made(module, {function: text})[function]))
    return found


@functools.cache
def allowed(module, function):
    """[(words, function)] of what is right by the course, and only noted."""
    found = []
    # What is allowed in a step shows in run, too, which calls it. The other functions of such a
    # module are the right ones, and explain nothing.
    for step in FRAMES[module]:
        for words, text in changed_texts(module, step, ALLOWED):
            found.append((words, made(module, {step: text})[function]))
    return found
