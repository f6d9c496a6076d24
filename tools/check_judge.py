"""Check the judge of test.py itself: plant variants of our modules, and see what it says of each.

    python tools/check_judge.py

Right variants have to pass, with a note where one is due; mistakes have to fail, and the first line
has to name the cause. All of it happens in one process, on a copy of the project's files, so that
what the judge expects is computed once. Exit status 1, and a line for each that drifted.
"""

import contextlib
import importlib
import io
import shutil
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
CLASSES = {"kmeans": "Kmeans", "naive_em": "NaiveEm", "em": "Em", "common": "Common"}


def copy_project(folder):
    """What the judge needs."""
    for path in [*PROJECT.glob("*.py"), *PROJECT.glob("test_*.txt")]:
        shutil.copy(path, folder)
    shutil.copytree(PROJECT / "tools", folder / "tools")


def remember(function):
    """The function, which computes the same only once; its arguments are arrays and numbers."""
    known = {}

    def wrapped(*arguments):
        key = tuple(part.tobytes() for argument in arguments for part in map(array, flat(argument)))
        if key not in known:
            known[key] = function(*arguments)
        return known[key]

    return wrapped


def flat(argument):
    return argument if isinstance(argument, tuple) else [argument]


def array(part):
    return importlib.import_module("numpy").array(part, dtype=float)


def load_judge(folder):
    """test.py of the copy, as a module."""
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(folder))
    judge = importlib.import_module("test")
    for name in ("exact_estep", "exact_mstep", "exact_nearest"):
        setattr(judge, name, remember(getattr(judge, name)))
    return judge


def verdict(judge, folder, module, source):
    """The exit status of `python test.py CLASS`, and what it prints, for another source."""
    path = folder / f"{module}.py"
    before = path.read_text(encoding="utf-8")
    path.write_text(source, encoding="utf-8")
    for name in CLASSES:
        sys.modules.pop(name, None)
    judge.LOADED.clear()
    judge.Judge.notes.clear()
    judge.Judge.hung.clear()
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            judge.main([CLASSES[module]])
    except SystemExit as end:
        return end.code, printed.getvalue()
    finally:
        path.write_text(before, encoding="utf-8")


# What is planted: (module, old text, new text, words). The words stand in a note where the variant
# is right (None: it needs none), and in the first line of the verdict where it is a mistake.

NAIVE_LOOP = """    while True:
        post, ll = estep(X, mixture)
        mixture = mstep(X, post)
        """
EM_LOOP = """    while True:
        post, ll = estep(ratings, mixture)
        mixture = mstep(ratings, post, mixture)
        if watch is not None:
            watch(ll)
        """

RIGHT = [
    (
        "kmeans",
        "return mixture, post, cost",
        "return mixture, post.tolist(), cost",
        "post is a list",
    ),
    (
        "kmeans",
        "np.eye(K)[distance.argmin(axis=1)]",
        "np.eye(K)[K - 1 - distance[:, ::-1].argmin(axis=1)]",
        "the first should win",
    ),
    (
        "kmeans",
        "    count = post.sum(axis=0) + tiny",
        "    count = post.sum(axis=0)",
        "a cluster without points",
    ),
    (
        "kmeans",
        "if not old_cost - cost > 1e-4:",
        "if old_cost == cost:",
        "where points lie close together",
    ),
    (
        "naive_em",
        """    f = np.log(p + 1e-16) - d / 2 * np.log(2 * np.pi * var) - distance / (2 * var)
    ll = np.logaddexp.reduce(f, axis=1)  # (n,): logsumexp_j f, of each point
    post = np.exp(f - ll[:, None])
    return post, float(ll.sum())""",
        """    parts = p * np.exp(-distance / (2 * var)) / (2 * np.pi * var) ** (d / 2)
    row = parts.sum(axis=1, keepdims=True)
    return parts / row, np.log(row).sum()""",
        "densities underflow",
    ),
    (
        "naive_em",
        "np.logaddexp.reduce(f, axis=1)",
        "np.log(np.exp(f).sum(axis=1))",
        "densities underflow",
    ),
    ("naive_em", "np.log(p + 1e-16)", "np.log(p)", None),
    ("naive_em", "np.log(2 * np.pi * var)", "np.log(2 * 3.1415926 * var)", "the last digits"),
    ("naive_em", "return mixture, post, ll", "return mixture, np.matrix(post), ll", "is a matrix"),
    ("naive_em", "np.maximum(var, least)", "var", None),
    (
        "naive_em",
        NAIVE_LOOP + "if not",
        NAIVE_LOOP.replace("while True", "for i in range(200)") + "print(ll)\n"
        "        if i == 199 or not",
        "cuts long runs short",
    ),
    (
        "naive_em",
        "        mixture = mstep(X, post)\n",
        "        mixture.mu[:] = mstep(X, post).mu\n"
        "        mixture = mstep(X, post)._replace(mu=mixture.mu)\n",
        "mixture.mu changed in place",
    ),
    ("em", "np.log(p + 1e-16)", "np.log(p)", "log p is taken without"),
    ("em", "count >= 1 - 1e-9", "count > 1", "a soft count of exactly 1"),
    ("em", "missing = X == 0", "missing = X <= 0", "ratings below 0"),
    ("em", "mu = mixture.mu.copy()", "mu = mixture.mu", "mixture.mu changed in place"),
    ("em", "(sse + tiny * mixture.var) / (rated_by_type + tiny)", "sse / rated_by_type", "a type"),
    ("em", "return mixture, post, ll", "return mixture, post.tolist(), ll", "is a list"),
    (
        "em",
        "    return np.where(X == 0, post @ mixture.mu, X)",
        "    X[X == 0] = (post @ mixture.mu)[X == 0]\n    return X",
        "X changed in place",
    ),
    (
        "em",
        "    return post, float(ll.sum())",
        "    if not n_rated.all():\n        raise ValueError\n    return post, float(ll.sum())",
        "a user without ratings",
    ),
    (
        "em",
        EM_LOOP + "if not",
        EM_LOOP.replace("while True", "for i in range(150)") + "if i == 149 or not",
        "cuts long runs short",
    ),
    ("common", "seed: int = 0", "seed: int", "no default seed"),
    ("common", "np.full((n, K), 1 / K)", "np.ones((n, K)) / K", None),
]

WRONG = [
    ("kmeans", "argmin", "argmax", "farthest"),
    ("kmeans", "- mixture.mu) ** 2)", "- mixture.mu).__abs__())", "L1 distance"),
    ("kmeans", "float(sse.sum())", "float(sse[-1])", "last cluster only"),
    ("kmeans", "float(sse.sum())", "float(sse.sum() / 2)", "halved"),
    ("kmeans", "sse / (d * count)", "sse / count", "not divided by d"),
    ("kmeans", "count / n), float", "count), float", "p is not divided by n"),
    (
        "kmeans",
        "(mu, sse / (d * count), count / n)",
        "(mu, count / n, sse / (d * count))",
        "places",
    ),
    ("kmeans", "return mixture, post, cost", "return post, mixture, cost", "the order is wrong"),
    ("kmeans", "> 1e-4:", "> 1e-2 * cost:", "1e-2 of the cost"),
    ("kmeans", "old_cost - cost", "cost - old_cost", "with the wrong sign"),
    ("kmeans", "def mstep(X: np.ndarray,", "def mstep(", "it should take (X, post)"),
    ("naive_em", "np.log(p + 1e-16) - d", "-d", "the weights are left out"),
    ("naive_em", "- d / 2 * np.log(2 * np.pi * var)", "", "constant of the density is left out"),
    ("naive_em", "- d / 2 *", "- 1 / 2 *", "lacks the power d"),
    ("naive_em", "2 * np.pi * var", "var", "2 pi is missing"),
    ("naive_em", "distance / (2 * var)", "distance / var", "exponent lacks its 1/2"),
    (
        "naive_em",
        "mu, var, p = mixture",
        "mu, var, p = mixture\n    var = var**2",
        "var is squared",
    ),
    ("naive_em", "np.maximum(var, least)", "np.maximum(var, 0.5)", "has no such limit"),
    ("naive_em", "float(ll.sum())", "float(f.sum())", "sums all f"),
    (
        "em",
        "squares - 2 * moved @ X.T + (moved**2 + 2 * centre * moved) @ delta.T",
        "(X * X).sum(axis=1) - mixture.mu @ X.T + mixture.mu**2 @ delta.T",
        "the 2 of its cross term",
    ),
    ("em", "- n_rated / 2 *", "- n_rated.mean() / 2 *", "each user's own"),
    (
        "em",
        "post: np.ndarray, mixture: GaussianMixture, min_variance: float = 0.25",
        "mixture: GaussianMixture, post: np.ndarray, min_variance: float = 0.25",
        "should take (X, post, mixture, min_variance)",
    ),
    (
        "kmeans",
        "- mixture.mu) ** 2).sum(axis=2)",
        "- mixture.mu) ** 2).sum(axis=2) / mixture.var",
        "divided by var",
    ),
    ("naive_em", "float(ll.sum())", "float(ll.mean())", "a mean over the points"),
    ("naive_em", "float(ll.sum())", "ll.sum(keepdims=True)", "has to be one number"),
    ("naive_em", "float(ll.sum())", "float(ll.sum() / np.log(10))", "log10"),
    ("naive_em", "return post, float(ll.sum())", "return float(ll.sum()), post", "order is wrong"),
    ("naive_em", "np.exp(f - ll[:, None])", "np.exp(f)", "not normalised"),
    ("naive_em", "np.exp(f - ll[:, None])", "np.float32(np.exp(f - ll[:, None]))", "float32"),
    ("naive_em", "/ (d * count)", "/ count", "variance is not divided by d"),
    ("naive_em", "count / n)", "count)", "p is not divided by n"),
    (
        "naive_em",
        "    n, d = X.shape\n    tiny",
        "    n, d = X.shape\n    X -= 1\n    tiny",
        "in place",
    ),
    ("naive_em", "    n, d = X.shape\n    tiny", "    n, d = X.shap\n    tiny", "AttributeError"),
    (
        "naive_em",
        "    n, d = X.shape\n    tiny",
        "    raise NotImplementedError\n    tiny",
        "not written yet",
    ),
    ("naive_em", "import numpy as np", "import numpy as np\n\nexit()", "ends Python"),
    ("naive_em", "def mstep(", "def m_step(", "no function mstep"),
    (
        "naive_em",
        NAIVE_LOOP + "if not ll - old_ll > 1e-6 * abs(ll)",
        NAIVE_LOOP.replace("while True", "for i in range(10)") + "if i == 9",
        "their number may be fixed",
    ),
    ("naive_em", "1e-6 * abs(ll)", "1e-6", "lacks the factor |new|"),
    ("naive_em", "1e-6 * abs(ll)", "1e-4 * abs(ll)", "the tolerance is 1e-4"),
    ("naive_em", "ll - old_ll", "old_ll - ll", "with the wrong sign"),
    (
        "naive_em",
        "    old_ll = -np.inf\n",
        "    mixture = mstep(X, post)\n    old_ll = -np.inf\n",
        "M-step before",
    ),
    (
        "naive_em",
        "return mixture, post, ll\n        old",
        "return mixture, *estep(X, mixture)\n        old",
        "after the last M-step",
    ),
    ("em", "- n_rated / 2 *", "- X.shape[1] / 2 *", "takes all d movies"),
    (
        "em",
        "squares - 2 * moved @ X.T + (moved**2 + 2 * centre * moved) @ delta.T",
        "((X[:, None] - mixture.mu) ** 2).sum(axis=2).T",
        "takes missing entries",
    ),
    ("em", "np.logaddexp.reduce(f, axis=0)", "np.log(np.exp(f).sum(axis=0))", "1,200 ratings"),
    ("em", "enough = count >= 1 - 1e-9", "enough = count > 0", "although its denominator"),
    ("em", "mu = mixture.mu.copy()", "mu = np.zeros(mixture.mu.shape)", "becomes 0"),
    (
        "em",
        "    rated_by_type = n_rated @ post",
        "    rated_by_type = post.sum(axis=0)",
        "lacks |C_u|",
    ),
    (
        "em",
        "rated_by_type = n_rated @ post",
        "rated_by_type = X.shape[1] * post.sum(axis=0)",
        "takes all d",
    ),
    (
        "em",
        "moved = mu - centre",
        "moved = mixture.mu - centre",
        "old means",
    ),
    ("em", "np.maximum(var, min_variance)", "var", "min_variance is ignored"),
    ("em", "np.maximum(var, min_variance)", "np.minimum(var, min_variance)", "upper bound"),
    ("em", "min_variance: float = 0.25", "min_variance: float = 0.3", "default of min_variance"),
    ("em", "post.mean(axis=0))", "post.sum(axis=0))", "p is not divided by n"),
    (
        "em",
        EM_LOOP + "if not",
        EM_LOOP.replace("mixture = mstep", "old, mixture = mixture, mstep")
        + "if not ll - old_ll > 1e-6 * abs(ll):\n            return old, post, ll\n        if not",
        "the mixture before the last M-step",
    ),
    (
        "em",
        "return mixture, post, ll\n        old",
        "return mixture, post, old_ll\n        old",
        "the ll of iteration",
    ),
    ("em", "np.where(X == 0, post @ mixture.mu, X)", "post @ mixture.mu", "overwritten"),
    ("em", "np.where(X == 0, post @", "np.where(X == 0, mixture.p @", "takes the weights p"),
    ("em", "post @ mixture.mu, X)", "mixture.mu[post.argmax(axis=1)], X)", "hard assignment"),
    ("common", "replace=False", "replace=True", "with replacement"),
    ("common", "((X - mean) ** 2).mean()", "((X - mean) ** 2)[X != 0].mean()", "nonzero entries"),
    ("common", "np.random.RandomState(seed)", "np.random.default_rng(seed)", "default_rng"),
    ("common", "np.sqrt(np.mean((X - Y) ** 2))", "np.mean((X - Y) ** 2)", "lacks the square root"),
    ("common", "+ (K - 1)", "+ K", "only K - 1 are free"),
    ("common", "- 0.5 * P", "+ 0.5 * P", "wrong sign"),
    ("common", "np.log(n)", "np.log10(n)", "log10"),
]


def drift(judge, folder, module, old, new, words, right):
    """How the judge's verdict differs from what is expected, or None."""
    source = (PROJECT / f"{module}.py").read_text(encoding="utf-8")
    if old not in source:
        return "the text to replace is no longer there"
    status, printed = verdict(judge, folder, module, source.replace(old, new))
    lines = printed.splitlines()
    notes = [line for line in lines if line.startswith("- ")]
    first = [line for line in lines if line.startswith("Mend this first: ")]
    if len(lines) > 25:
        return f"it takes {len(lines)} lines"
    if right and status != 0:
        return f"it fails: {first}"
    if right and words and not any(words in note for note in notes):
        return f"there is no note with {words!r}"
    if not right and status != 1:
        return "it passes"
    if not right and words not in first[0]:
        return f"expected {words!r} in {first[0]!r}"
    return None


def main():
    drifted = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        copy_project(folder)
        judge = load_judge(folder)
        for table, right in ((RIGHT, True), (WRONG, False)):
            for module, old, new, words in table:
                problem = drift(judge, folder, module, old, new, words, right)
                if problem:
                    drifted += 1
                    print(f"{module}.py with {new.strip()!r} for {old.strip()!r}: {problem}")
    print(f"{len(RIGHT)} right variants and {len(WRONG)} mistakes planted, {drifted} drifted")
    sys.exit(drifted > 0)


if __name__ == "__main__":
    main()
