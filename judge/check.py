"""Check the judge of test.py itself: plant modules, wrong and right, and see what it says of each.

    python -m judge.check            from the project's folder

The modules are written from the right texts of mistakes.py, as a student could write them:
- every mistake of mistakes.py has to fail, and the first line has to say its words; it is skipped
  where it changes nothing that its module returns for random data, which test.py does not use;
- mistakes of form, such as a missing function, have to fail and to be named;
- right variants have to pass, with a note where one is due.
All of it happens in one process, on a copy of the project's files, so that what the judge expects
is computed once. A planting that the judge tells otherwise has drifted from its words: it gets a
line, and the exit status is 1.
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

# What stands above the functions of a student's module, and of common.py.
ABOVE = """
import numpy as np
from common import GaussianMixture


"""
ABOVE_COMMON = """
from collections import namedtuple

import numpy as np

GaussianMixture = namedtuple("GaussianMixture", "mu var p")


"""

# Right variants of a module's text, in the form of the tables of mistakes.py: the words stand in a
# note; after "no note" there is none at all.
PASSING = {}

PASSING["kmeans"] = """
no note
    np.eye(len(mu))[nearest] => np.eye(len(mu), dtype=int)[nearest]
post is a list
    return mixture, post, cost => return mixture, post.tolist(), cost
post is an array of booleans
    np.eye(len(mu))[nearest] => np.eye(len(mu), dtype=bool)[nearest]
the first should win
    nearest = distance.argmin(axis=1) => nearest = len(mu) - 1 - distance[:, ::-1].argmin(axis=1)
where points lie close together
    not old - cost > 1e-4 => old == cost
"""

PASSING["naive_em"] = """
no note
    return post, ll => print(ll); return post, float(ll)
no note
    np.log(p + 1e-16) => np.log(p)
no note
    f = weight + constant + exponent => f = p * np.exp(constant + exponent)
    row = np.logaddexp.reduce(f, axis=1, keepdims=True) => row = f.sum(axis=1, keepdims=True)
    post = np.exp(f - row) => post = f / row
    ll = row.sum() => ll = np.log(row).sum()
no note
    np.logaddexp.reduce(f, axis=1, keepdims=True) => np.log(np.exp(f).sum(axis=1))[:, None]
the last digits
    2 * np.pi * var => 2 * 3.1415926 * var
post is a matrix
    return mixture, post, ll => return mixture, np.matrix(post), ll
a long run is cut short
    while True: => for i in range(200):
    if not ll - old => if i == 199 or not ll - old
mixture.mu changed in place
    mixture = mstep(X, post, mixture) => mixture.mu[:] = mstep(X, post).mu; mixture = mstep(X, post)
an array of shape (1,)
    ll = row.sum() => ll = row.sum(axis=0)
an array of shape (1, 1)
    ll = row.sum() => ll = row.sum(keepdims=True)
naive EM has no least one
    np.maximum(var, min_variance) => np.maximum(var, 0.25)
points with three coordinates
    size = rated.sum(axis=1, keepdims=True) => size = 2
"""

# inv of a diagonal matrix raises an error where an entry is 0.
PASSING["em"] = """
no note
    count >= 1 => count >= 1 - 1e-9
no note
    np.log(p + 1e-16) => np.log(np.maximum(p, 1e-16))
no note
    np.log(p + 1e-16) => np.log(p + 1e-12)
no note
    rated = X != 0 => rated = np.sign(X)
a type with a weight of 0
    np.log(p + 1e-16) => np.log(p)
a soft count of exactly 1
    count >= 1 => count > 1
no note
    rated = X != 0 => rated = X > 0
mixture.mu changed in place
    mu = np.where(count >= 1, mu, mixture.mu) => mixture.mu[count >= 1] = mu[count >= 1]
    distance = => mu = mixture.mu; distance =
post is a list
    return post, ll => return post.tolist(), ll
    guess = post @ => guess = np.array(post) @
    n, d = X.shape => n, d = X.shape; post = np.array(post)
X changed in place
    X_pred = np.where(X == 0, guess, X) => X[X == 0] = guess[X == 0]; X_pred = X
a user without ratings
    weight = np.log => np.linalg.inv(np.diag(size[:, 0])); weight = np.log
a movie without ratings
    n, d = X.shape => n, d = X.shape; np.linalg.inv(np.diag(rated.sum(axis=0)))
a long run is cut short
    while True: => for i in range(150):
    if not ll - old => if i == 149 or not ll - old
"""

PASSING["common"] = """
no note
    np.full((n, K), 1 / K) => np.ones((n, K)) / K
no default seed
    seed=0 => seed
the default seed is not 0
    seed=0 => seed=1
"""

# Mistakes of form and of run that no table of mistakes.py holds: the words stand in the first line.
FAILING = {}

FAILING["kmeans"] = """
takes (post, X), it should take (X, post)
    def mstep(X, post, *unused): => def mstep(post, X):
the order is wrong
    return mixture, post, cost => return post, mixture, cost
the sign wrong
    old - cost => cost - old
has no function mstep
    def mstep( => def m_step(
"""

FAILING["naive_em"] = """
ll has to be one number, it is an array of shape (12, 1)
    ll = row.sum() => ll = row
returns (a number, an array of shape (12, 3)), it should return (post, ll): the order is wrong
    return post, ll => return ll, post
there is no return
    return post, ll => post, ll
computes post in float32
    post = np.exp(f - row) => post = np.exp(f - row).astype(np.float32)
it changes X in place
    n, d = X.shape => n, d = X.shape; X -= 1
AttributeError: 'numpy.ndarray' object has no attribute 'shap'
    n, d = X.shape => n, d = X.shap
naive_em.mstep is not written yet (naive_em.py, line
    n, d = X.shape => raise NotImplementedError
ends Python: take it out
    => exit()
SyntaxError
    => def estep(X, mixture)
it waits for input: take it out
    old = -np.inf => old = -np.inf; input("go on?")
it waits for input: take it out
    old = -np.inf => old = -np.inf; import pdb; pdb.set_trace()
common.py has no helper: is it in your common.py?
    import GaussianMixture => import GaussianMixture, helper
name 'log_sum_exp' is not defined: is it misspelt, or a function of another file of yours
    np.logaddexp.reduce(f, axis=1, keepdims=True) => log_sum_exp(f)
name 'np' is not defined: import numpy as np
    import numpy as np => import numpy
only with K = 1: naive_em.estep: post has shape (12,), it should be (12, 1)
    post = np.exp(f - row) => post = np.exp(f - row).squeeze()
write from common import
    from common import => from src.common import
NumPy no longer has np.asscalar: write x.item()
    ll = row.sum() => ll = np.asscalar(row.sum())
NumPy 2 takes no array for a number
    n, d = X.shape => n, d = X.shape; np.zeros(3)[0] = X[0]
their number may be fixed
    while True: => for i in range(10):
    if not ll - old > 1e-6 * abs(ll): => if i == 9:
it goes on after iteration 16, where the rule ends it, up to 20, so their number may be fixed
    while True: => for i in range(20):
    if not ll - old > 1e-6 * abs(ll): => if i == 19:
it goes on after iteration 16, where the rule ends it: it should stop as soon as
    while True: => for i in range(100):
    if not ll - old > 1e-6 * abs(ll): => if i == 99:
it goes on after iteration 16, where the rule ends it: it should stop as soon as
    1e-6 => 0
it goes on after iteration 16, where the rule ends it
    1e-6 => 1e-10
it stops after iteration 2, it should after 16: is there no loop, return inside it
    1e-6 => 1e6
it stops after iteration 1, it should after 16: is there no loop, return inside it
    old = -np.inf => post, old = estep(X, mixture)
the sign wrong
    ll - old => old - ll
is old set to new in every iteration
    old = ll => pass
run takes more than 1 seconds: it should stop as soon as
    1e-6 * abs(ll) => 1e-6 * ll
the import of naive_em.py takes more than 1 seconds
    => while True: pass
returns the mixture of iteration 16, the post of 15 and the ll of 16
    old = -np.inf => old = -np.inf; post = None
    post, ll = estep(X, mixture) => before = post; post, ll = estep(X, mixture)
    break => post = before; break
it gives another result each time
    old = -np.inf => old = -np.inf; mixture.mu[:] += np.random.randn(len(mixture.mu), 1)
ignores the mixture that is passed
    old = -np.inf => old = -np.inf; mixture = mixture._replace(mu=X[:len(mixture.mu)])
"""

FAILING["em"] = """
takes (X, mixture, post, min_variance), it should take (X, post, mixture, min_variance)
    def mstep(X, post, mixture, => def mstep(X, mixture, post,
takes (X, post, mixture), it should take (X, post, mixture, min_variance)
    mixture, min_variance=0.25): => mixture):
    rated = X != 0 => rated = X != 0; min_variance = 0.25
users with up to 1,200 ratings: do densities underflow to 0? Stay in logarithms
    np.logaddexp.reduce(f, axis=1, keepdims=True) => np.log(np.exp(f).sum(axis=1))[:, None]
the default of min_variance is 0.3, it should be 0.25
    min_variance=0.25 => min_variance=0.3
"""

FAILING["common"] = """
name 'GaussianMixture' is not defined: is it misspelt?
    => GaussianMixture
common.py has no GaussianMixture
    GaussianMixture = => Mixture =
    GaussianMixture(mu => Mixture(mu
it gives another result each time
    RandomState(seed) => RandomState()
"""


class Planter:
    """The judge, in a folder where the modules of the project may be replaced."""

    def __init__(self, folder):
        self.folder = folder
        for path in [*PROJECT.glob("*.py"), *PROJECT.glob("test_*.txt")]:
            shutil.copy(path, folder)
        shutil.copytree(PROJECT / "judge", folder / "judge")
        sys.dont_write_bytecode = True
        sys.path.insert(0, str(folder))
        sys.modules.pop("judge", None)  # python -m has imported the project's, not the copy
        self.test = importlib.import_module("test")  # which sets NumPy's threads, then imports it
        self.judge = importlib.import_module("judge.judge")
        self.mistakes = importlib.import_module("judge.mistakes")
        self.problems = importlib.import_module("judge.problems")
        self.judge.Judge.seconds = 1  # nothing right here takes as long
        self.planted = 0
        self.skipped = 0
        self.drifted = 0

    def student_module(self, module, texts=None):
        """A student's module, with the texts in place of the right ones."""
        above = ABOVE_COMMON if module == "common" else ABOVE
        return above + self.mistakes.module_text(module, texts or {})

    def verdict(self, module, source):
        """The exit status of `python test.py CLASS` for a module, and the lines that it prints."""
        path = self.folder / f"{module}.py"
        before = path.read_text(encoding="utf-8")
        path.write_text(source, encoding="utf-8")
        for name in CLASSES:
            sys.modules.pop(name, None)
        printed = io.StringIO()
        try:
            with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
                self.test.main([CLASSES[module]])
        except SystemExit as end:
            return end.code, printed.getvalue().splitlines()
        finally:
            path.write_text(before, encoding="utf-8")

    def plant(self, module, what, source, words, right):
        """Count a planting, and say where the judge's words are others than the expected ones."""
        self.planted += 1
        status, lines = self.verdict(module, source)
        first = "".join(line for line in lines if line.startswith("Mend this first: "))
        notes = [line for line in lines if line.startswith("- ")]
        problem = None
        if right and status != 0:
            problem = f"it fails: {first}"
        elif right and words == "no note" and notes:
            problem = f"it has notes: {notes}"
        elif right and words != "no note" and not any(words in note for note in notes):
            problem = f"expected a note {words!r}, got {notes}"
        elif not right and status != 1:
            problem = f"it passes, with the notes {notes}" if status == 0 else str(lines)
        elif not right and words not in first:
            problem = f"expected {words!r}, got {first!r}"
        elif len(lines) > 25:  # more than a screen
            problem = f"it takes {len(lines)} lines"
        if problem:
            self.drifted += 1
            print(f"{module}, {what}: {problem}")

    def plant_mistakes(self, module, function):
        """Every mistake of the table, but for those that change nothing in this module."""
        words_of = getattr(self.test, CLASSES[module]).nouns
        for words, text in self.mistakes.changed_texts(module, function):
            words = words.format(**words_of)
            if self.changes_anything(module, function, text):
                source = self.student_module(module, {function: text})
                self.plant(module, words, source, words, right=False)
            else:
                self.skipped += 1
                print(f"skipped, since {module}.{function} returns the same: {words}")

    def changes_anything(self, module, function, text):
        """Whether a changed text returns anything else than the right one for random data."""
        returns = getattr(self.test, CLASSES[module]).functions[function][1]
        for arguments in self.arguments_of(module, function):
            results = []
            for texts in ({}, {function: text}):
                with self.judge.quiet():
                    result = self.mistakes.made(module, texts)[function](*arguments)
                results.append(self.judge.parts_of(returns, result))
            right, wrong = results
            if any(self.judge.off_by(wrong[part], right[part]) > 1e-9 for part in right):
                return True
        return False

    def arguments_of(self, module, function):
        """Arguments of a function, from seeds that test.py does not use."""
        np = self.test.np
        problems = self.problems
        for seed in range(1000, 1020):
            K = 4
            # On several scales, as a mistake may show in small variances only; ratings that are not
            # whole numbers, as it may round.
            X = problems.points(seed, n=90) * [1, 0.1, 0.01][seed % 3]
            if module in ("em", "common"):
                X = problems.ratings(seed, n=40) * 0.9
                X[5:, 1] = 0  # few have rated movie 2: some of its means are kept
            mixture = problems.mixture_for(X, K, seed)
            post = problems.soft(len(X), K, seed)
            if module == "kmeans":
                post = np.eye(K)[np.arange(len(X)) % K]
            if (module, function) == ("em", "mstep"):
                yield X, post, mixture
                yield X, post, mixture, 2.5
            else:
                yield {
                    "estep": (X, mixture),
                    "mstep": (X, post),
                    "run": (X, *problems.start(X, K, seed)),
                    "fill_matrix": (X, mixture),
                    "init": (X, 12, seed),
                    "rmse": (X, problems.ratings(seed + 1000, n=len(X))),
                    "bic": (X, mixture, -123.0),
                }[function]

    def plant_all(self):
        """Every planting there is."""
        for module, functions in self.mistakes.FRAMES.items():
            as_it_is = self.student_module(module)
            self.plant(module, "as it is", as_it_is, "no note", right=True)
            for function in functions:
                self.plant_mistakes(module, function)
                allowed = self.mistakes.changed_texts(module, function, self.mistakes.ALLOWED)
                for words, text in allowed:
                    source = self.student_module(module, {function: text})
                    self.plant(module, words, source, words, right=True)
            for table, right in ((PASSING, True), (FAILING, False)):
                for words, source in self.mistakes.parse_entries(table[module], as_it_is):
                    self.plant(module, words, source, words, right)


def main():
    with tempfile.TemporaryDirectory() as name:
        planter = Planter(Path(name).resolve())
        planter.plant_all()
    print(f"{planter.planted} planted, {planter.skipped} skipped, {planter.drifted} drifted")
    sys.exit(1 if planter.drifted else 0)


if __name__ == "__main__":
    main()
