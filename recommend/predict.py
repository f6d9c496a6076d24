"""Predict the ratings that are missing, from those that are given; and measure how well.

The predictions x_hat start as the mean of the given ratings. What they leave, the residuals
r = x - x_hat, still holds what many ratings share. So a round looks for some of it, adds it to
x_hat, and leaves the rest to the next round (stagewise additive modelling: J. H. Friedman, Greedy
Function Approximation: A Gradient Boosting Machine, Annals of Statistics 29, 2001).

1. Biases: all users are of one type, whose mean says how much an item is rated above the mean of
   all; then all items, which says how much a user rates above that.
2. Seven rounds sort the users into K types by their residuals, and add to x_hat what the users of
   a type have in common. They find what many users share.
3. In what is left noise prevails. So six rounds sort into 16 types, small groups of neighbours, by
   what was known before the seven: three by choices (which items a user rated, which tells about
   tastes: B. M. Marlin, R. S. Zemel, S. Roweis and M. Slaney, Collaborative Filtering and the
   Missing at Random Assumption, UAI 2007), and three by tastes (the residuals that the biases
   left).

Every round is made twice, with users as rows and then with items as rows, which are sorted into
types by their users just so. And it is made from several seeds at once: the types that one random
start leads to are rough, and the mean over 15 of them is not.

    for view in ["biases"] + 7 * ["residuals"] + 3 * ["choices", "tastes"]:
        for rows in users, items:
            post = types(view)
            mu_lj = sum_i post_ij r_il / (sum_i post_ij delta_il + pull)
            x_hat_il grows by the mean over the seeds of sum_j post_ij mu_lj

delta_il is 1 where row i has a rating in column l, else 0. The pull, 60 for the biases and else 15,
draws mu_lj towards 0 as if by so many more residuals of 0, since a mean of few residuals is mostly
their noise. What each part gains, as the RMSE of a hidden tenth (tools/benchmark.py --accuracy; K =
4):

                              course's extract   MovieLens   FilmTrust   shipped data
    biases                          .873           .973        .822         .877
    + seven rounds                  .769           .904        .761         .847
    + choices and tastes            .754           .883        .751         .851
    the same with one seed          .797           .908        .766         .892

The shipped data are three types of users, which the seven rounds have found, and noise.

predict is compared with averages (a function below), which are the mean and such biases, too. The
first round pulls its own harder: alone they predict worse, but they leave more to be found. The
constants below were chosen on these four sets.
"""

import math
import sys
from collections.abc import Callable, Iterable

import numpy as np

# By what the rounds after the biases sort rows into types
VIEWS = 7 * ["residuals"] + 3 * ["choices", "tastes"]
BIAS_PULL = 60  # the pull of the biases
PULL = 15  # the pull of the means of a type's residuals
VIEW_K = 16  # the types of a mixture that looks at choices or tastes
VIEW_PULL = 1  # the pull of the means by which those types are found

SPARSE_BELOW = 0.1  # the share of given ratings below which Sparse takes less time than Full
LARGEST_FULL = 30_000_000  # users x items of the largest Full, which takes 2 GB


def predict(X: np.ndarray, K: int = 4, seeds: Iterable[int] = range(15)) -> np.ndarray:
    """Predict every missing rating of a matrix.

    Args:
        X: (n, d) ratings on any scale, 0 where missing; where a rating may be 0, add a constant to
            all of them, and take it off X_pred again
        K: the types of a mixture in the seven rounds on residuals, at least 1; it matters little
        seeds: whole numbers from 0 to 2**32 - 1, at least one; each draws the rows from which its
            mixtures start

    Returns:
        X_pred: (n, d) array, the prediction where X is 0, between the smallest and the largest
            given rating; elsewhere X itself; in the unit of X

    Raises:
        ValueError: X is not a 2-D array of finite numbers or holds no rating, K is below 1, or
            there are no seeds
    """
    X = check_ratings(X)
    given = X != 0
    matrix = Full(X, given.astype(float))
    fit(matrix, K, seeds)
    X_pred = matrix.of_users(np.arange(len(X)))
    np.copyto(X_pred, X, where=given)
    return X_pred


def check_ratings(X: np.ndarray) -> np.ndarray:
    """Return X as a 2-D float array; ValueError if it is none, not finite, or holds no rating."""
    try:
        X = np.asarray(X, dtype=float)
    except (TypeError, ValueError) as problem:
        kind = type(X).__name__
        raise ValueError(f"X: expected a 2-D array of numbers, got a {kind}: {problem}") from None
    if X.ndim != 2:
        raise ValueError(f"X: expected a 2-D array, got one of shape {X.shape}")
    if not X.any():
        raise ValueError("X: expected at least one rating, got only zeros (missing)")
    # A NaN is its own minimum and maximum; np.isfinite(X) would be another array.
    if not np.isfinite(X.min()) or not np.isfinite(X.max()):
        u, l = np.argwhere(~np.isfinite(X))[0]
        raise ValueError(f"X: expected finite numbers, got {X[u, l]} at X[{u}, {l}]")
    return X


# The recipe, for full and for sparse matrices alike


def fit(
    matrix: "Full | Sparse",
    K: int = 4,
    seeds: Iterable[int] = range(15),
    progress: Callable[[float], None] = lambda share: None,
) -> None:
    """Let a matrix predict: its at and of_users then return predictions.

    Args:
        matrix: a Full or a Sparse that has not been fitted yet
        K, seeds: as for predict
        progress: is told the share of the rounds that are done

    Raises:
        ValueError: K is below 1, or there are no seeds
    """
    if K < 1:
        raise ValueError(f"K: expected at least 1 type, got {K}")
    # These draw on from round to round: no two rounds start alike.
    draws = [np.random.RandomState(seed) for seed in seeds]
    if not draws:
        raise ValueError("seeds: expected at least one, got none")

    add_biases(matrix)
    tastes = matrix.residuals()  # an array of its own, which no later round changes
    var_of_tastes = matrix.mean_square(tastes)
    choices = matrix.choices()
    # By a formula, as the choices of a Sparse are never made in full
    var_of_choices = mean_square_of_choices(matrix.delta)
    for number, view in enumerate(VIEWS):
        progress(number / len(VIEWS))
        for side in ("users", "items"):
            residuals = turned(matrix.residuals(), side)
            delta = turned(matrix.delta, side)
            if view == "residuals":
                var = matrix.mean_square(residuals)
                post = types(residuals, delta, var, K, PULL, draws)
            elif view == "choices":
                values = turned(choices, side)
                post = types(values, None, var_of_choices, VIEW_K, VIEW_PULL, draws)
            else:
                values = turned(tastes, side)
                post = types(values, delta, var_of_tastes, VIEW_K, VIEW_PULL, draws)
            # post and mu hold the types of all seeds, so their product is a sum over the seeds.
            mu = pulled_means(residuals, delta, post, PULL) / len(draws)
            if side == "users":
                matrix.add(post, mu)
            else:
                matrix.add(mu, post)


def turned(values, side):
    """A matrix of users x items, transposed if items are to be its rows; no number is copied."""
    return values if side == "users" else values.T


def add_biases(matrix):
    """The first round: one type of user, to which all belong, then one type of item."""
    n, d = matrix.delta.shape
    everyone = np.ones((n, 1))
    mu = pulled_means(matrix.residuals(), matrix.delta, everyone, BIAS_PULL)
    matrix.add(everyone, mu)
    everything = np.ones((d, 1))
    mu = pulled_means(matrix.residuals().T, matrix.delta.T, everything, BIAS_PULL)
    matrix.add(mu, everything)


def mean_square_of_choices(delta):
    """The mean square of the choices: of delta_il - a_i - b_l + m.

    a_i and b_l are the row and column means of delta, m is their mean. delta is the sum of four
    parts: m, a_i - m, b_l - m and the choices. These are orthogonal, so their mean squares add up:

        mean delta^2 = m^2 + (mean a^2 - m^2) + (mean b^2 - m^2) + mean choices^2

    delta is 0 or 1, so mean delta^2 is m, and mean choices^2 = m (1 + m) - mean a^2 - mean b^2.
    """
    of_rows, of_columns, mean = means_of(delta)
    var = mean * (1 + mean) - (of_rows**2).mean() - (of_columns**2).mean()
    return max(var, 1e-12)  # rounding may leave 1e-16, or -1e-16, of choices that are all 0


def means_of(delta):
    """The share of the items that each user rated, of the users of each item, and of all pairs."""
    n, d = delta.shape
    of_rows = delta.sum(axis=1) / d
    of_columns = delta.sum(axis=0) / n
    return of_rows, of_columns, of_rows.mean()


def types(values, mask, var, K, pull, draws):
    """Sort rows into types: for each draw a mixture of K Gaussians, by three E-steps of EM.

    The types are equally likely and share one variance. At first each has one row, drawn at random.
    Three E-steps leave them rough, which the mean over many draws makes up for.

    Args:
        values: (n, d) matrix, 0 where the mask is 0
        mask: (n, d) matrix, 1. where a value counts, else 0.; None if all count
        var: float, the mean square of the values that count
        K: the types of a mixture; n if there are fewer rows
        pull: the means are pulled towards 0 as if by so many more values of 0
        draws: B random states, one for each mixture

    Returns:
        post: (n, B K) array of posteriors: the K types of the first mixture come first
    """
    n = values.shape[0]
    K = min(K, n)
    starts = np.concatenate([draw.choice(n, K, replace=False) for draw in draws])
    # What pulled_means gives of a type that has one row
    mu = np.ascontiguousarray(as_array(values[starts]).T) / (1 + pull)
    post = posteriors(values, mask, mu, var, K)
    for _ in range(2):
        mu = pulled_means(values, mask, post, pull)
        post = posteriors(values, mask, mu, var, K)
    return post


def posteriors(values, mask, mu, var, K):
    """The E-step of types: post = exp(f - logsumexp_j f), over the K types j of each mixture.

        f(i, j) = sum_l mask_il (mu_lj v_il - mu_lj^2 / 2) / var,  v_il = values[i, l]

    This is em.estep's f without what is the same for all types: log p_j, log var and ||v_i||^2.

    Args:
        values, mask, var, K: as for types
        mu: (d, B K) array, the means of the types of B mixtures

    Returns:
        post: (n, B K) array
    """
    if mask is None:
        squares = (mu**2).sum(axis=0)
    else:
        squares = mask @ mu**2
    f = (values @ mu - squares / 2) / (var + 1e-100)  # no 0 / 0 where all values are 0
    f = f.reshape(len(f), -1, K)
    # e^-200 stands for 0. Far smaller numbers would have subnormal products, which are slow.
    post = np.exp(np.maximum(f - f.max(axis=2, keepdims=True), -200))
    post /= post.sum(axis=2, keepdims=True)
    return post.reshape(len(post), -1)


def pulled_means(values, mask, post, pull):
    """The M-step of types: mu_lj = sum_i post[i, j] v_il / (sum_i post[i, j] mask_il + pull).

    Args:
        values, mask, pull: as for types
        post: (n, B K) array of posteriors, as types returns it

    Returns:
        mu: (d, B K) array, in the unit of the values
    """
    if mask is None:
        count = post.sum(axis=0)
    else:
        count = mask.T @ post
    return values.T @ post / (count + pull)


def as_array(rows):
    """Rows of values, which may be sparse, as an array."""
    return rows if isinstance(rows, np.ndarray) else rows.toarray()


# What is given and what is predicted so far, in two ways that fit can use


def matrix_of(
    users: np.ndarray,
    items: np.ndarray,
    values: np.ndarray,
    shape: tuple[int, int],
    hidden: np.ndarray | tuple = (),
) -> "Full | Sparse":
    """The given ratings as a Full, or as a Sparse if SciPy is there and under 10 % are given.

        matrix = matrix_of(users, items, values, (n, d))
        fit(matrix)
        matrix.of_users(np.array([0, 7]))  # predictions for two users, of rated items, too
        matrix.at(users, items)  # those of pairs

    Args:
        users: (N,) array of whole numbers, the rows of the ratings
        items: (N,) array of whole numbers, their columns; no pair stands twice
        values: (N,) array, the ratings; one of 0 is a rating, too
        shape: (n, d), the number of users and items
        hidden: positions of ratings to leave out. They count when it is decided between Full and
            Sparse, so that their errors are those of the way that the fit of all ratings takes

    Raises:
        ValueError: a number lies outside the shape, a rating is not finite, a pair stands twice, or
            the matrix is too large for a Full; the message says what to do
    """
    users = np.asarray(users)
    items = np.asarray(items)
    values = np.asarray(values, dtype=float)
    check_given(users, items, values, shape)
    n, d = shape
    kept = np.ones(len(values), dtype=bool)
    kept[np.asarray(hidden, dtype=int)] = False
    sparse = len(values) < SPARSE_BELOW * n * d
    if sparse and has_scipy():
        return Sparse(users[kept], items[kept], values[kept], shape)
    if n * d > LARGEST_FULL:
        if sparse:
            advice = f"SciPy is needed: {sys.executable} -m pip install scipy"
        else:
            advice = "leave out users and items with few ratings"
        raise ValueError(f"{n} users x {d} items are too many for a full matrix: {advice}")
    X = np.zeros(shape)
    X[users[kept], items[kept]] = values[kept]
    delta = np.zeros(shape)
    delta[users[kept], items[kept]] = 1
    return Full(X, delta)


def check_given(users, items, values, shape):
    """Raise a ValueError where these are no ratings, see matrix_of."""
    pairs = np.ravel_multi_index((users, items), shape)  # a ValueError outside the shape
    if not np.isfinite(values).all():
        raise ValueError("values: expected finite numbers")
    if len(np.unique(pairs)) < len(pairs):
        raise ValueError("users, items: expected no pair twice: leave out all but the last")


def has_scipy():
    """Whether SciPy can be imported."""
    try:
        import scipy.sparse  # noqa: F401
    except ImportError:
        return False
    return True


class Full:
    """Ratings and predictions as full matrices: fast where many ratings are given."""

    def __init__(self, X: np.ndarray, delta: np.ndarray):
        """X: (n, d) ratings, 0 where delta is 0; delta: (n, d), 1. where one is given, else 0."""
        given = X[delta != 0]
        self.X = X
        self.delta = delta
        self.n_given = len(given)
        self.range = given.min(), given.max()
        self.x_hat = np.full(X.shape, given.mean())

    def residuals(self):
        """A new (n, d): the given ratings less their predictions so far, 0 where none is given."""
        residuals = self.X - self.x_hat
        residuals *= self.delta
        return residuals

    def mean_square(self, residuals):
        """The mean square of the residuals of the given ratings."""
        return np.einsum("ul,ul", residuals, residuals) / self.n_given

    def choices(self):
        """(n, d): delta less its row and column means, plus their mean."""
        of_rows, of_columns, mean = means_of(self.delta)
        choices = self.delta - of_rows[:, None]
        choices -= of_columns - mean
        return choices

    def add(self, left, right):
        """Add left @ right.T, (n, k) by (d, k), to the predictions."""
        self.x_hat += left @ right.T

    def at(self, users, items):
        """The predictions of pairs of users and items, in the range of the given ratings."""
        return np.clip(self.x_hat[users, items], *self.range)

    def of_users(self, rows):
        """(len(rows), d): the predictions of some users for all items, given ones among them."""
        return np.clip(self.x_hat[rows], *self.range)


class Sparse:
    """The same with the given ratings alone: no matrix of users x items is made.

    Predictions are kept as the two factors of each half of a round, of which any prediction is a
    sum of products: 15 kB for each user and each item, by the defaults of fit. It needs SciPy.
    """

    def __init__(self, users, items, values, shape):
        """As for matrix_of."""
        order = np.lexsort((items, users))
        self.users = users[order]
        self.items = items[order]
        values = values[order]
        self.range = values.min(), values.max()
        self.mean = values.mean()
        self.rest = values - self.mean  # (N,): the residuals of the given ratings
        self.shape = shape
        self.starts = np.searchsorted(self.users, np.arange(shape[0] + 1))  # of the users
        self.delta = self.csr(np.ones(len(values)))
        self.factors = []  # (n, k) and (d, k) for each half of a round

    def csr(self, numbers):
        """The (n, d) csr_array of a number for each given rating."""
        from scipy.sparse import csr_array

        return csr_array((numbers, self.items, self.starts), self.shape)

    def residuals(self):
        """As in Full, a csr_array."""
        return self.csr(self.rest)

    def mean_square(self, residuals):
        """As in Full."""
        return (residuals.data**2).mean()

    def choices(self):
        """As in Full, a Centred."""
        of_rows, of_columns, mean = means_of(self.delta)
        return Centred(self.delta, of_rows, of_columns - mean)

    def add(self, left, right):
        """As in Full. The factors are kept in float32: half the memory, and exact to 1e-7."""
        # A new array: the residuals that fit has asked for earlier stay as they are.
        self.rest = self.rest - dots(left, right, self.users, self.items)
        self.factors.append((left.astype(np.float32), right.astype(np.float32)))

    def at(self, users, items):
        """As in Full."""
        x_hat = np.full(len(users), self.mean)
        for left, right in self.factors:
            x_hat += dots(left, right, users, items)
        return np.clip(x_hat, *self.range)

    def of_users(self, rows):
        """As in Full. Some hundred users at a time are far faster than one at a time."""
        x_hat = np.full((len(rows), self.shape[1]), self.mean)
        for left, right in self.factors:
            x_hat += left[rows] @ right.T
        return np.clip(x_hat, *self.range)


class Centred:
    """A csr_array less a number for each row and one for each column, never made in full."""

    def __init__(self, sparse, of_rows, of_columns):
        self.sparse = sparse
        self.of_rows = of_rows
        self.of_columns = of_columns
        self.shape = sparse.shape

    @property
    def T(self):
        return Centred(self.sparse.T, self.of_columns, self.of_rows)

    def __matmul__(self, B):
        return self.sparse @ B - np.outer(self.of_rows, B.sum(axis=0)) - self.of_columns @ B

    def __getitem__(self, rows):
        return as_array(self.sparse[rows]) - self.of_rows[rows, None] - self.of_columns


def dots(A, B, rows, columns):
    """A[rows] . B[columns], row by row, in parts that stay in a processor's cache."""
    A = np.ascontiguousarray(A)
    B = np.ascontiguousarray(B)
    result = np.empty(len(rows))
    for first in range(0, len(rows), 1000):
        part = slice(first, first + 1000)
        result[part] = np.einsum("ij,ij->i", A[rows[part]], B[columns[part]])
    return result


# How well: ratings that are hidden from the fit, averages to compare with, errors and a verdict


def hidden_tenths(count: int, number: int = 1, split: int = 0) -> list[np.ndarray]:
    """Positions of ratings to hide: so many different tenths of them, drawn at random.

    Args:
        count: the number of ratings, which are numbered by user, and by item within a user
        number: how many tenths, 1 to 10
        split: the seed of the draw

    Returns:
        an array of count // 10 positions for each tenth
    """
    order = np.random.RandomState(split).permutation(count)
    size = count // 10
    return [order[i * size : (i + 1) * size] for i in range(number)]


def mean_rating(values, hidden):
    """An array with the mean of the ratings that are not hidden, once for each that is."""
    return np.full(len(hidden), np.delete(values, hidden).mean())


def averages(users, items, values, hidden):
    """Predictions of hidden ratings to compare with: the mean, and biases of the item and the user.

    b_l is the sum of the residuals of item l, over their number + 10; b_u that of what is left of
    user u's residuals, over their number + 15. The 10 and the 15 pull both to 0 where few ratings
    tell; they are the defaults of Surprise's BaselineOnly. (predict's first round pulls by 60.)

    Args:
        users, items, values: (N,) arrays, as for matrix_of
        hidden: (M,) positions of the ratings to predict from the others

    Returns:
        (M,) array
    """
    u = np.delete(users, hidden)
    l = np.delete(items, hidden)
    kept = np.delete(values, hidden)
    mean = kept.mean()
    residuals = kept - mean
    b_item = pulled_biases(l, residuals, items.max() + 1, 10)
    residuals -= b_item[l]
    b_user = pulled_biases(u, residuals, users.max() + 1, 15)
    return mean + b_item[items[hidden]] + b_user[users[hidden]]


def pulled_biases(groups, residuals, size, pull):
    """The sum of the residuals of each group, over their number + pull."""
    return np.bincount(groups, residuals, size) / (np.bincount(groups, minlength=size) + pull)


def error(guess: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """The RMSE of guesses of hidden ratings, and its standard error, in the ratings' unit."""
    squares = (guess - truth) ** 2
    rmse = math.sqrt(squares.mean())
    if rmse == 0:
        return 0.0, 0.0
    # That of the mean square, carried over to its root: d sqrt(x) = dx / (2 sqrt(x))
    return rmse, standard_error(squares) / (2 * rmse)


def gain(worse: np.ndarray, better: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """How much lower the RMSE of the better guesses is, and the standard error of that.

    Both guess the same ratings, so it is that of the paired difference of squared errors, which is
    far smaller than that of either RMSE: rmse_a - rmse_b = (rmse_a^2 - rmse_b^2) / (rmse_a +
    rmse_b).
    """
    rmse_worse, _ = error(worse, truth)
    rmse_better, _ = error(better, truth)
    total = rmse_worse + rmse_better
    if total == 0:
        return 0.0, 0.0
    difference = (worse - truth) ** 2 - (better - truth) ** 2
    return rmse_worse - rmse_better, standard_error(difference) / total


def standard_error(numbers):
    """The standard error of the mean of some numbers."""
    return numbers.std() / math.sqrt(len(numbers))


def verdict(to_beat, predicted, truth, digits, noun):
    """Lines that say what error to expect of predict, and whether it beats what there is to beat.

    Better or worse is what differs by more than one standard error: a low bar, which chance alone
    passes in one case of three. Below 100 ratings the standard error itself is a guess.

    Args:
        to_beat: {"averages": (M,) guesses of the hidden ratings, ...}; the best of them counts
        predicted: (M,) array, predict's
        truth: (M,) array, the hidden ratings
        digits: the decimals to show
        noun: what an item is called

    Returns:
        list of lines
    """
    if len(truth) < 100:
        return ["Too few ratings are hidden to compare."]
    rmse, uncertainty = error(predicted, truth)
    lines = [
        f"Expected error of predict: {rmse:.{digits}f} (standard error {uncertainty:.{digits}f}), "
        "on ratings given like the others;",
        f"larger for users or {noun}s with few ratings.",
    ]
    name = min(to_beat, key=lambda name: error(to_beat[name], truth))
    better_by, uncertainty = gain(to_beat[name], predicted, truth)
    if better_by == 0 and uncertainty == 0:  # both guess alike, as where all ratings are equal
        return lines
    shown = f"{abs(better_by):.{digits}f} (standard error {uncertainty:.{digits}f})."
    if better_by > uncertainty:
        lines.append(f"Better than {name} by {shown}")
    elif better_by < -uncertainty:
        lines.append(f"Worse than {name} by {shown}")
    else:
        lines.append(
            f"No better than {name}: gain {better_by:.{digits}f}, standard error "
            f"{uncertainty:.{digits}f}."
        )
    return lines


def decimals(values: np.ndarray) -> int:
    """The decimals of an error: 3 on 1 to 5 stars, fewer on a larger scale, more on a smaller."""
    spread = np.ptp(values) or abs(values[0]) or 1
    return max(0, 3 - math.floor(math.log10(spread)))
