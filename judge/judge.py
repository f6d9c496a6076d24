"""How a student's module is judged: its functions are called, compared, and what is wrong is told.

The tests of a module stand in the order in which its functions build on each other. A function
that has failed is remembered, and a test that calls it is skipped: so the first failure comes
before what it causes. No formula stands here: test.py says what is expected, mistakes.py what
mistakes give. What the three models have in common stands in model.py.
"""

import contextlib
import copy
import importlib
import inspect
import itertools
import math
import os
import pdb
import re
import signal
import sys
import traceback
import unittest
import warnings
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import numpy as np

from judge import mistakes
from judge.places import working_in
from judge.problems import Mixture

PROJECT = Path(__file__).resolve().parent.parent
LIBRARIES = ["matplotlib", "numpy"]  # no others are offered: names may be misspelt
OURS = ["judge", "recommend", "tests"]  # packages here, which hide a student's of these names
NUMBERS = {"ll", "cost", "rmse", "bic"}
IMPORT_OF = {  # names that are often used without one
    "GaussianMixture": "from common import GaussianMixture",
    "logsumexp": "from scipy.special import logsumexp",
    "np": "import numpy as np",
}
GONE = {  # of NumPy: what to write now
    "asscalar": "x.item()",
    "bool": "bool",
    "float": "float",
    "int": "int",
    "math": "math, after import math",
    "object": "object",
    "product": "np.prod",
}
NO_INPUT = "lost sys.stdin"  # what Python says where input() is called without standard input
WAITING = "waiting for "  # why a test is skipped that calls what has failed
NO_SCIPY = "no SciPy"  # why a test is skipped of what needs SciPy, where that is missing

# Errors are shares of the largest entry that is expected.
ROUNDING = 1e-9  # sums in another order differ by less
LIMIT = 1e-6  # more is wrong


# 1. A call of a student's function


class Wrong(Exception):
    """What is wrong with a function, in lines of which the first names the cause."""


class OutOfTime(BaseException):
    """A call takes too long. It is not an Exception, as a student's code may catch those."""


@contextlib.contextmanager
def quiet():
    """Let a student's code print and warn into nothing, read nothing, and not end Python."""
    with contextlib.ExitStack() as stack:
        nowhere = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
        stack.enter_context(contextlib.redirect_stdout(nowhere))
        stack.enter_context(contextlib.redirect_stderr(nowhere))
        stack.enter_context(mock.patch.object(sys, "stdin", None))
        stack.enter_context(mock.patch.object(sys, "breakpointhook", stop_for_input))
        stack.enter_context(mock.patch.object(pdb, "set_trace", stop_for_input))
        stack.enter_context(mock.patch.object(os, "_exit", sys.exit))
        if "matplotlib" in sys.modules:  # use("TkAgg") opens windows, or fails where there are none
            no_windows = mock.patch.object(sys.modules["matplotlib"], "use", lambda *_, **__: None)
            stack.enter_context(no_windows)
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        stack.enter_context(np.errstate(all="ignore"))  # 0/0 is told by its nan
        yield


def stop_for_input(*_, **__):
    """In place of the debugger, which would fail one line later: that line would be blamed."""
    raise RuntimeError(NO_INPUT)


@contextlib.contextmanager
def time_limit(seconds):
    """Raise OutOfTime after so much processor time, where the system can (Windows cannot)."""
    if not hasattr(signal, "setitimer"):
        yield
        return

    def end(*_):
        raise OutOfTime

    before = signal.signal(signal.SIGPROF, end)
    signal.setitimer(signal.ITIMER_PROF, seconds, seconds)  # again, if a bare except swallows it
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def told(error, where, folder):
    """An exception of a student's code in words, with the file and the line in their folder."""
    if isinstance(error, SyntaxError) and error.filename:
        place = f"{Path(error.filename).name}, line {error.lineno}"
        return f"{place}: {type(error).__name__}: {error.msg}\n{(error.text or '').strip()}"
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [frame for frame in frames if Path(frame.filename).parent == folder]
    # test.py lies beside the modules where the project's own are judged.
    theirs = [frame for frame in theirs if Path(frame.filename) != PROJECT / "test.py"]
    if not theirs:
        return f"{where} does not work: {first_line(error)}"
    last = theirs[-1]
    place = f"{Path(last.filename).name}, line {last.lineno}"
    if isinstance(error, NotImplementedError):
        return f"{Path(last.filename).stem}.{last.name} is not written yet ({place})"
    if isinstance(error, SystemExit):
        return f"{place} ends Python: take it out\n{last.line}"
    words = advice(error, last, folder) or f"{first_line(error)} (in {where})"
    lines = f"{place}: {words}\n{last.line}"
    if len(theirs) > 1:
        caller = theirs[-2]
        lines += f"\ncalled in {Path(caller.filename).name}, line {caller.lineno}: {caller.line}"
    return lines


def first_line(error):
    """An exception as Python tells it, without what may follow."""
    lines = str(error).splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}".rstrip(": ")


def advice(error, frame, folder):
    """How to write the line of a student's code that raised an error, or None."""
    message = str(error)
    line = frame.line
    if isinstance(error, ImportError):
        package = re.search(r"(from|import)\s+([\w.]*)\.(common|kmeans|naive_em|em)\b", line)
        if package and not message.startswith("cannot import name"):
            words = f"{why_no_package(package[2], folder)}: write {package[1]} {package[3]}"
            return f"{words} import ..." if package[1] == "from" else words
        if error.name in LIBRARIES:
            install = f"{sys.executable} -m pip install {error.name}"
            return f"it needs {error.name}, which is missing: {install}"
    if NO_INPUT in message:
        return "it waits for input: take it out"
    lacking = re.search(r"cannot import name '(\w+)' from '([\w.]+\.)?common'", message)
    lacking = lacking or re.search(r"module 'common' has no attribute '(\w+)'", message)
    if lacking:
        if folder != PROJECT and (folder / "common.py").is_file():
            return f"your common.py has no {lacking[1]}"
        words = f"common.py has no {lacking[1]}: is it in your common.py? "
        return words + "Judge the folder where that lies: python test.py FOLDER"
    if isinstance(error, NameError) and not isinstance(error, UnboundLocalError):
        words = "is it misspelt, or a function of another file of yours, such as your common.py?"
        if Path(frame.filename).name == "common.py":  # it imports nothing from itself
            words = "is it misspelt?"
        elif error.name in IMPORT_OF:
            words = IMPORT_OF[error.name]
        return f"{message}: {words}"
    gone = re.search(r"module 'numpy' has no attribute '(\w+)'", message)
    if gone and gone[1] in GONE:
        return f"NumPy no longer has np.{gone[1]}: write {GONE[gone[1]]}"
    sequence = message == "setting an array element with a sequence."
    if sequence or re.search(r"only [\w-]+ arrays can be converted", message):
        words = "NumPy 2 takes no array for a number, not even one of one element: "
        return words + "take the number out, x.item()"
    return None


def why_no_package(name, folder):
    """Why a package, from which a student imports one of the four modules, is not found."""
    top, dot, _ = name.partition(".")
    if folder == PROJECT or not top:
        return "the modules lie in no package here"
    if top in OURS:
        return f"{top} is a package of the judge here"
    if dot:
        return "packages in packages are not found here"
    return f"there is no package {top} here, the modules lie in {folder.name}"


# 2. What a function returned


class Answer(NamedTuple):
    """A call of a student's function, and what it returned."""

    function: str
    arguments: list
    got: dict  # {part: array}


def as_array(value):
    """What np.asarray makes of a value; of rows of different lengths, an array of no numbers."""
    if isinstance(value, np.ma.MaskedArray):
        value = value.filled(np.nan)
    try:
        return np.asarray(value)
    except ValueError:
        return np.array(None)


def values_of(names, result):
    """The values that a function returned, as many as names if it can be."""
    if len(names) == 1:
        return [result]
    return list(result) if type(result) in (tuple, list) else []  # not a mixture, a tuple, too


def is_of_kind(name, value):
    """Whether a value is of the kind that its name promises."""
    if name == "mixture":
        return all(hasattr(value, part) for part in ("mu", "var", "p"))
    if name in NUMBERS:
        return as_array(value).size == 1 and as_array(value).dtype.kind in "fiu"
    return isinstance(value, (np.ndarray, list)) and np.shape(as_array(value)) != ()


def misfit(returns, result, row):
    """What is wrong with the kinds of the values that a function returned, or None."""
    names = returns.split(", ")
    values = values_of(names, result)
    complete = len(values) == len(names)
    if complete and all(map(is_of_kind, names, values)):
        return None
    should = f"({returns})" if len(names) > 1 else returns
    words = f" returns {describe(result)}, it should return {should}"
    if result is None:
        return f"{words}: there is no return, or nothing behind it"
    if not complete:
        return words
    if any(all(map(is_of_kind, names, order)) for order in itertools.permutations(values)):
        return f"{words}: the order is wrong"
    for name, value in zip(names, values):
        if name in NUMBERS and as_array(value).size > 1:
            words = f": {name} has to be one number, it is an array of shape {np.shape(value)}"
            if name == "ll":
                words += f": add up what the {row}s give"
    return words


def describe(value):
    """What a function returned, in a few words."""
    if value is None:
        return "None"
    if is_of_kind("mixture", value):
        return "a mixture"
    if isinstance(value, tuple):
        return f"({', '.join(describe(part) for part in value)})"
    if isinstance(value, np.ndarray) and value.shape:
        return f"an array of shape {value.shape}"
    return "a number" if is_of_kind("ll", value) else f"a {type(value).__name__}"


def parts_of(returns, result):
    """{name: value} of what a function returned; a mixture has three parts."""
    names = returns.split(", ")
    parts = {}
    for name, value in zip(names, values_of(names, result)):
        if name == "mixture":
            parts.update(mu=value.mu, var=value.var, p=value.p)
        else:
            parts[name] = value
    return parts


def same(before, after):
    return np.array_equal(before, after, equal_nan=True)


def off_by(got, expected):
    """The largest error of any entry, as a share of the largest entry that is expected."""
    if np.shape(got) != np.shape(expected):
        return math.inf
    largest = np.abs(expected).max(initial=0) or 1.0
    worst = np.abs(np.subtract(got, expected)).max(initial=0) / largest
    return math.inf if math.isnan(worst) else worst


def parts_off(got, expected, limit):
    """The expected parts that are off by more than the limit."""
    return [part for part in expected if off_by(got[part], expected[part]) > limit]


# 3. A test case for a module


class Judge(unittest.TestCase):
    """What the four test cases of the course have in common; each sets name and functions.

    A function is its name in the module, mstep; its full name is em.mstep. "The import of em.py",
    which may fail as well, stands among the full names.
    """

    folder = PROJECT  # where the modules lie
    name = ""  # of the module
    functions = {}  # {function: (what it takes, what it returns)}
    nouns = {"row": "point", "column": "column", "component": "component", "size": "d"}
    seconds = 10  # of processor time for a call
    only = ""  # what stands before a failure
    label = ""  # what a failure is told as: the test's name, or common.py
    failed = set()  # full names: a test that calls one of them is skipped
    notes = {}  # {words: [full names]}: what passes the course, and would break elsewhere
    without_scipy = {}  # {module: what to say of one that needs SciPy, where that is missing}
    data = None  # the folder of --data
    reference = None  # what test_solutions.txt says, as reference.read gives it

    def setUp(self):
        """Import common.py, which all others need, and the module.

        Of a folder without common.py the modules get ours.
        """
        self.label = name_of(self) if self.name == "common" else "common.py"
        common = self.imported("common")
        self.check_mixture(common)
        self.GaussianMixture = common.GaussianMixture
        self.label = name_of(self)
        self.module = common if self.name == "common" else self.imported(self.name)

    def imported(self, name):
        """A module of theirs; the test fails where it cannot be imported."""
        full = f"the import of {name}.py"
        self.wait_for(full)
        if name in self.without_scipy:
            self.skipTest(NO_SCIPY)
        try:
            with quiet(), time_limit(self.seconds), working_in(self.folder):
                return importlib.import_module(name)
        except OutOfTime:
            words = f"{full} takes more than {self.seconds} seconds: a module should "
            self.blame(full, words + "define functions, and run nothing")
        except (Exception, SystemExit) as error:
            self.skip_without_scipy(error, name)
            words = told(error, full, self.folder)
            if getattr(error, "name", None) == name and isinstance(error, ModuleNotFoundError):
                words = f"there is no {name}.py beside test.py"
            self.blame(full, words)

    def check_mixture(self, common):
        """Fail where common.py has another GaussianMixture than the course's."""
        full = "the import of common.py"
        if not hasattr(common, "GaussianMixture"):
            self.blame(full, "common.py has no GaussianMixture")
        try:
            mixture = common.GaussianMixture(1, 2, 3)
            fields = (mixture.mu, mixture.var, mixture.p)
        except Exception:
            fields = None
        if fields != (1, 2, 3):
            words = "common.GaussianMixture should have three fields, in this order: mu, var, p"
            self.blame(full, words)

    def skip_without_scipy(self, error, module):
        """Judge nothing of a module that needs SciPy where it is missing: that is no mistake."""
        if isinstance(error, ModuleNotFoundError) and error.name == "scipy":
            install = f"{sys.executable} -m pip install scipy"
            words = f"{module}.py needs scipy, as the course's starter does: {install}"
            self.without_scipy[module] = words
            self.skipTest(NO_SCIPY)

    def wait_for(self, *full_names):
        """Skip the test if one of them has failed."""
        for full in full_names:
            if full in self.failed:
                self.skipTest(WAITING + full)

    def has_failed(self, *functions):
        """Whether one of the functions has failed."""
        return any(f"{self.name}.{function}" in self.failed for function in functions)

    def blame(self, full, words):
        """Fail, and remember what has failed by its full name."""
        self.failed.add(full)
        self.fail(self.only + words)

    def for_components(self, K):
        """Let a failure say that only K = 1 fails: it is tested last."""
        self.only = "only with K = 1: " if K == 1 else ""

    def note(self, function, words):
        functions = self.notes.setdefault(words, [])
        if f"{self.name}.{function}" not in functions:
            functions.append(f"{self.name}.{function}")

    def call(self, function, *arguments):
        """{part: array} of what a function of the module returns, or a failure of the test."""
        full = f"{self.name}.{function}"
        self.wait_for(full)
        try:
            return self.result(function, arguments)[0]
        except Wrong as problem:
            self.blame(full, str(problem))

    def result(self, function, arguments):
        """What a function makes of copies of the arguments, {part: array}, and which it changed.

        Raise Wrong where it does not work or returns something else.
        """
        full = f"{self.name}.{function}"
        code = getattr(self.module, function, None)
        if not callable(code):
            raise Wrong(f"{self.name}.py has no function {function}")
        takes, returns = self.functions[function]
        self.check_signature(code, full, takes, arguments)
        copies = [self.fresh(argument) for argument in arguments]
        try:
            with quiet(), time_limit(self.seconds):
                result = code(*copies)
        except OutOfTime:
            words = f"{full} takes more than {self.seconds} seconds"
            raise Wrong(words + self.why_endless(function)) from None
        except (Exception, SystemExit) as error:
            self.skip_without_scipy(error, self.name)
            raise Wrong(told(error, full, self.folder)) from None
        problem = misfit(returns, result, self.nouns["row"])
        if problem:
            raise Wrong(full + problem)
        parts = parts_of(returns, result)
        for part, value in parts.items():
            parts[part] = self.checked_array(function, part, value)
        return parts, self.note_changes(function, takes.split(", "), arguments, copies)

    def why_endless(self, function):
        """What follows where a function takes too long."""
        return ""

    def check_signature(self, code, full, takes, arguments):
        """Raise Wrong for a function that does not take the course's arguments."""
        try:
            signature = inspect.signature(code)
        except ValueError:  # not written in Python
            return
        names = list(signature.parameters)
        expected = takes.split(", ")
        wrong_order = names != expected and sorted(names) == sorted(expected)
        wrong_number = False
        try:
            signature.bind(*arguments)
        except TypeError:
            wrong_number = True
        if wrong_order or wrong_number:
            raise Wrong(f"{full} takes ({', '.join(names)}), it should take ({takes})")

    def fresh(self, argument):
        """A copy of an argument, as the course's code would pass it."""
        if isinstance(argument, Mixture):
            return self.GaussianMixture(*copy.deepcopy(tuple(argument)))
        return copy.deepcopy(argument)

    def checked_array(self, function, part, value):
        """A part as an array, or a number; notes say what may stand in the way of others' code."""
        result = as_array(value)
        if result.dtype.kind == "b" and result.shape != ():
            words = f"{part} is an array of booleans, which cannot be subtracted: "
            self.note(function, f"{words}{part}.astype(float)")
            return result.astype(float)
        if result.dtype.kind not in "fiu":
            raise Wrong(f"{self.name}.{function}: {part} is no array of real numbers")
        if part in NUMBERS and result.shape != ():
            words = f"{part} is an array of shape {result.shape}: others expect a number, "
            self.note(function, f"{words}{part}.item()")
            return result.reshape(())
        if result.shape != () and type(value) is not np.ndarray:
            words = f"{part} is a {type(value).__name__}, with which products and sums mean "
            self.note(function, words + "something else: np.array(...) makes an array of it")
        return result

    def note_changes(self, function, names, arguments, copies):
        """Note which arguments a function has changed in place, and return their names."""
        changed = []
        for name, before, after in zip(names, arguments, copies):
            if isinstance(before, Mixture):
                for part in Mixture._fields:
                    if not same(getattr(before, part), getattr(after, part)):
                        changed.append(f"{name}.{part}")
            elif not same(before, after):
                changed.append(name)
        if changed:
            copied = changed[0].split(".")[-1]
            words = f"{', '.join(changed)} changed in place, which the caller may still need: "
            self.note(function, f"{words}copy it first, {copied} = {changed[0]}.copy()")
        return changed

    def check(self, function, arguments, expected, hint=""):
        """Every part of what a function returns is what is expected."""
        got = self.call(function, *arguments)
        self.compare(Answer(function, arguments, got), expected, hint)

    def compare(self, answer, expected, hint=""):
        """Fail where parts are off: name the mistake that explains it, if one does, then hint."""
        if not parts_off(answer.got, expected, ROUNDING):
            return
        self.check_precision(answer)
        off = parts_off(answer.got, expected, LIMIT)
        if not off:
            words = "the last digits are off, by 1e-9 to 1e-6 of the largest entry: look for a "
            words += "rounded constant, or for one that is added against 0/0"
            self.note(answer.function, words)
            return
        if self.is_allowed(answer, expected, LIMIT):
            return
        words, names = self.explanation(mistakes.mistaken, answer, expected, LIMIT)
        if not names:
            words = self.why_unreliable(answer)
            names = off
        self.blame_part(answer, names[0], expected, LIMIT, [words, hint])

    def check_precision(self, answer):
        """Fail for numbers of too few digits, where they show."""
        full = f"{self.name}.{answer.function}"
        for part, value in answer.got.items():
            if value.dtype in (np.float16, np.float32):
                words = f"{full} computes {part} in {value.dtype}, which has too few digits for "
                self.blame(full, words + "the course's figures: use float64")

    def is_allowed(self, answer, expected, limit):
        """Whether what is right by the course explains all that is off; then a note says what."""
        words, names = self.explanation(mistakes.allowed, answer, expected, limit)
        explains_all = names == parts_off(answer.got, expected, limit)
        if explains_all:
            self.note(answer.function, words)
        return explains_all

    def explanation(self, table, answer, expected, limit):
        """The mistake that explains all parts that are off, or else the first to explain some.

        Args:
            table: mistakes.mistaken or mistakes.allowed
            answer: an Answer, some parts of which are off
            expected: {part: array}
            limit: a part is off by more than that

        Returns:
            words: the mistake's; "" if there is none
            names: of the parts that it explains
        """
        off = parts_off(answer.got, expected, limit)
        first = "", []
        for words, code in table(self.name, answer.function):
            names = self.explained(code, answer, expected, limit)
            if names == off:
                return words.format(**self.nouns), names
            if names and not first[1]:
                first = words.format(**self.nouns), names
        return first

    def explained(self, code, answer, expected, limit):
        """The parts that are off and that a mistake explains; code is a function that makes it.

        It explains the parts that it changes, if the student's are equal to them in all of these.
        Otherwise it explains none, [].
        """
        try:
            with quiet():
                would = parts_of(self.functions[answer.function][1], code(*answer.arguments))
        except Exception:  # the mistake cannot be made with these arguments
            return []
        about = parts_off(would, expected, limit)
        if not all(off_by(answer.got[part], would[part]) <= limit for part in about):
            return []
        return [part for part in about if off_by(answer.got[part], expected[part]) > limit]

    def why_unreliable(self, answer):
        """Why a function may be wrong that makes none of the typical mistakes, or ""."""
        with contextlib.suppress(Wrong):
            again, changed = self.result(answer.function, answer.arguments)
            if "X" in changed:
                words = "it changes X in place while it still needs it: compute with a copy, "
                return words + "X - mu and not X -= mu"
            for part, value in answer.got.items():
                if not same(again[part], value):
                    return "it gives another result each time, for the same arguments"
        return ""

    def blame_part(self, answer, part, expected, limit, lines):
        """Fail with the lines that are not empty, and the first entry of a part that is off."""
        entry = self.entry(part, answer.got[part], expected[part], limit)
        full = f"{self.name}.{answer.function}"
        self.blame(full, f"{full}: " + "\n".join([*filter(None, lines), entry]))

    def entry(self, part, got, expected, limit=LIMIT):
        """The first entry of a part that is off, and what it should be."""
        got = np.asarray(got, dtype=float)
        expected = np.asarray(expected, dtype=float)
        if got.shape != expected.shape:
            turned = ", so it is transposed" if got.T.shape == expected.shape else ""
            return f"{part} has shape {got.shape}, it should be {expected.shape}{turned}"
        right = np.abs(got - expected) <= limit * np.abs(expected).max()
        at = tuple(np.argwhere(~right)[0].tolist())
        name = part
        if at:
            counted = [f"{noun} {i + 1}" for noun, i in zip(self.index_nouns(part), at)]
            name = f"{part}[{', '.join(map(str, at))}] ({', '.join(counted)})"
        digits = 4
        while digits < 17 and f"{got[at]:.{digits}g}" == f"{expected[at]:.{digits}g}":
            digits += 2
        words = f"{name} is {got[at]:.{digits}g}, it should be {expected[at]:.{digits}g}"
        if got.size > 1:
            words += f" ({(~right).sum()} of {got.size} are off)"
        return words

    def index_nouns(self, part):
        """What the indices of an array count."""
        row, column, component = (self.nouns[key] for key in ("row", "column", "component"))
        nouns = {"mu": [component, column], "post": [row, component], "X_pred": [row, column]}
        return nouns.get(part, [component])

    def check_reference(self, function, got):
        """What a function makes of test_incomplete.txt stands in test_solutions.txt, to 1e-6."""
        full = f"{self.name}.{function}"
        for part, expected in self.reference.outputs[full].items():
            if off_by(got[part], expected) > LIMIT:
                words = self.entry(part, got[part], expected)
                self.blame(full, f"{full}, on test_incomplete.txt: {words}")

    def course_data(self, name):
        """A matrix of the course's own, in the folder of --data.

        The test is skipped where there is none: the reason is what it needs.
        """
        self.seconds = 900  # of a call with it: loops over 1,200 x 1,200 ratings take their time
        if self.data is None:
            if self.folder != PROJECT and (self.folder / name).is_file():
                self.skipTest(f"--data {self.folder}")
            self.skipTest("--data FOLDER, that of the course's own files")
        if not (self.data / name).is_file():
            self.skipTest(f"{name} in the folder of --data")
        return np.loadtxt(self.data / name)

    def check_published(self, function, what, got, figure):
        """A published figure, to the last of its four decimals."""
        if not abs(got - figure) <= 0.51e-4:  # half of the last decimal, and rounding errors
            full = f"{self.name}.{function}"
            self.blame(full, f"{full}: {what} is {got:.4f}, the course published {figure:.4f}")

    def attempt(self, function, *arguments):
        """What call gives, or None where it would fail."""
        try:
            return self.result(function, arguments)[0]
        except Wrong:
            return None

    def note_unless(self, words, function, arguments, expected):
        """Note the words if a call does not give what is expected."""
        if self.has_failed(function):
            return
        got = self.attempt(function, *arguments)
        if got is None:
            good = False
        else:
            good = all(off_by(got[part], expected[part]) <= LIMIT for part in expected)
        if not good:
            self.note(function, words)


# 4. The verdict


def name_of(test):
    """Em.test_run"""
    return ".".join(test.id().split(".")[-2:])


class Verdict(unittest.TestResult):
    """Prints a dot, F or s for each test, or a line with -v; then what failed, in its order."""

    def __init__(self, verbose):
        super().__init__()
        self.verbose = verbose
        self.passed = 0
        self.failures = []  # (name, words); the words on test_solutions.txt itself have no name
        self.waiting = []  # names
        self.not_judged = 0  # tests
        self.needs = []  # what tests need that are skipped for other reasons

    def print_letter(self, test, letter, word):
        if self.verbose:
            print(f"{name_of(test)} ... {word}", flush=True)
        else:
            print(letter, end="", flush=True)

    def addSuccess(self, test):
        self.passed += 1
        self.print_letter(test, ".", "ok")

    def addSkip(self, test, reason):
        if reason.startswith(WAITING):
            self.waiting.append(name_of(test))
        elif reason == NO_SCIPY:
            self.not_judged += 1
        else:
            self.needs.append(reason)
        self.print_letter(test, "s", f"skipped: {reason}")

    def addFailure(self, test, err):
        self.add(test, str(err[1]))

    def addError(self, test, err):
        """An exception of the judge's own code, with its traceback."""
        words = f"test.py does not work here: {first_line(err[1])}\n"
        self.add(test, words + "".join(traceback.format_exception(*err)))

    def add(self, test, words):
        self.failures.append((test.label, words))
        self.print_letter(test, "F", "FAIL")
        if self.failfast:
            self.stop()

    def tell(self):
        """Print the failures, the verdict, and then the notes."""
        notes = self.lines_of_notes()
        print()
        for name, words in self.failures:
            lines = words.splitlines()
            if not name:
                print(f"FAIL {words}")
            elif len(lines) == 1 and len(name + words) < 100:
                print(f"FAIL {name}: {words}")
            else:
                print("\n    ".join([f"FAIL {name}", *lines]))
        if self.waiting:
            names = ", ".join(self.waiting[:5])
            more = f" and {len(self.waiting) - 5} more" if len(self.waiting) > 5 else ""
            print(f"Waiting until that is mended: {names}{more}")
        if self.failures:
            print(f"\nMend this first: {self.failures[0][1].splitlines()[0]}")
        elif self.not_judged:
            if self.passed:
                print("All is well in what could be judged.")
        elif not self.passed:
            print("Nothing was tested.")
        elif notes:
            print("All is well by the course, with notes below.")
        else:
            print("All is well: what was tested does what it should.")
        counts = f"{self.passed} passed, {len(self.failures)} failed"
        if self.waiting:
            counts += f", {len(self.waiting)} waiting"
        if self.not_judged:
            counts += f", {self.not_judged} not judged"
        if self.needs:
            needs = " and ".join(dict.fromkeys(self.needs))
            verb = "it needs" if len(self.needs) == 1 else "they need"
            counts += f", {len(self.needs)} skipped: {verb} {needs}"
        print(counts)
        if notes:
            print("\nNotes: what passes the course, and would break elsewhere")
            print("\n".join(notes))

    def lines_of_notes(self):
        """One line for each note on functions that have not failed."""
        lines = []
        for words, functions in Judge.notes.items():
            functions = [function for function in functions if function not in Judge.failed]
            if functions:
                lines.append(f"- {', '.join(functions)}: {words}")
        return lines
