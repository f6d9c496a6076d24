"""test.py's command line, and the folders that it is given, which judge.check does not see."""

import contextlib
import io
import re
import shutil
import sys
import tempfile
from pathlib import Path
from unittest import mock

import test
from judge import mistakes
from judge.places import working_in
from tests.base import PROJECT, Ours

# The modules of a student.
ABOVE = "import numpy as np\nfrom common import GaussianMixture\n\n\n"
EM = ABOVE + mistakes.module_text("em", {})
COMMON = "from collections import namedtuple\nimport numpy as np\n\n"
COMMON += 'GaussianMixture = namedtuple("GaussianMixture", "mu var p")\n\n\n'
COMMON += mistakes.module_text("common", {})
PACKAGE = EM.replace("from common", "from src.common")
# In front of test.py: a terminal that shows no other alphabet.
ASCII = "import runpy, sys; sys.stdout.reconfigure(encoding='ascii'); sys.argv = sys.argv[1:]; "
ASCII += "runpy.run_path(sys.argv[0], None, '__main__')"
STOP = "raise RuntimeError('this file has been run')\n"  # in what nobody should run

REFERENCES = [  # what a change in each block of test_solutions.txt is told as
    "test_solutions.txt, X, row 1, column 1: 3.03, test_incomplete.txt has 3",
    "test_solutions.txt, K: 4.04, the first P has 4 weights",
    "common.init, on test_incomplete.txt: mu[0, 0] (component 1, column 1) is 4, it should be 4.04",
    "common.init, on test_incomplete.txt: var[0] (component 1) is 4.37, it should be 4.414",
    "common.init, on test_incomplete.txt: p[0] (component 1) is 0.25, it should be 0.2525",
    "em.estep, on test_incomplete.txt: post[0, 0] (user 1, type 1) is 0.3772, it should be 0.381",
    "em.estep, on test_incomplete.txt: ll is -142.2, it should be -143.6",
    "em.mstep, on test_incomplete.txt: mu[0, 0] (type 1, movie 1) is 3.726, it should be 3.764",
    "em.mstep, on test_incomplete.txt: var[0] (type 1) is 0.7132, it should be 0.7204",
    "em.mstep, on test_incomplete.txt: p[0] (type 1) is 0.5013, it should be 0.5063",
    "em.run, on test_incomplete.txt: mu[0, 0] (type 1, movie 1) is 3.813, it should be 3.851",
    "em.run, on test_incomplete.txt: var[0] (type 1) is 0.3983, it should be 0.4023",
    "em.run, on test_incomplete.txt: p[0] (type 1) is 0.5243, it should be 0.5296",
    "em.run, on test_incomplete.txt: post[0, 0] (user 1, type 1) is 0.01269, it should be 0.01282",
    "em.run, on test_incomplete.txt: ll is -78.07, it should be -78.85",
    "test_solutions.txt, X_gold, row 1, column 1: 3.03, test_complete.txt has 3",
    "em.fill_matrix, on test_incomplete.txt: X_pred[0, 0] (user 1, movie 1) is 3, it should",
    "common.rmse, on test_incomplete.txt: rmse is 0.9308, it should be 0.9401",
]


class NoScipy:
    """Among sys.meta_path's finders: SciPy is not there."""

    def find_spec(self, name, *_):
        if name == "scipy":
            raise ModuleNotFoundError("No module named 'scipy'", name="scipy")


class Judging(Ours):
    """test.py in this process and as one of its own."""

    def judged(self, *words):
        """The exit status and what test.py prints, with modules imported anew, in this process."""
        printed = io.StringIO()
        with contextlib.ExitStack() as stack:
            stack.enter_context(mock.patch.dict(sys.modules))
            stack.enter_context(mock.patch.object(sys, "path", sys.path.copy()))
            stack.enter_context(mock.patch.object(sys, "dont_write_bytecode", True))
            stack.enter_context(contextlib.redirect_stdout(printed))
            stack.enter_context(contextlib.redirect_stderr(printed))
            for name in list(sys.modules):
                if name in ("kmeans", "naive_em", "common", "em") or name.startswith("scipy"):
                    del sys.modules[name]
            end = stack.enter_context(self.assertRaises(SystemExit))
            test.main([str(word) for word in words])
        return end.exception.code, printed.getvalue()


class CommandLine(Judging):
    """Names, and the reference outputs."""

    def test_an_old_python(self):
        self.assert_refuses_an_old_python("test.py")

    def test_unknown_names(self):
        for name in ("Emm", "Main", "em2.py"):
            words = f"there is no (test|file) {name!r}: expected .*Kmeans, NaiveEm, Common, Em, or "
            status, printed = self.judged(name)
            self.assertRegex(printed, f"^test.py: {words}Em.test_run\n$")
            self.assertEqual(status, 2)
        status, printed = self.judged("Em.test_it")
        self.assertRegex(
            printed, "^test.py: there is no test 'Em.test_it': Em has test_estep, .*\n$"
        )
        self.assertEqual(status, 2)

    def test_it_judges_and_tests_nothing_of_ours(self):
        """Without names it judges the four modules, and that is all."""
        done = self.process("test.py")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        judged = r"Judged: kmeans.py, naive_em.py, common.py, em.py in .*\n"
        self.assertRegex(
            done.stdout, rf"^{judged}[.s]+\nAll is well: .*\n\d+ passed, 0 failed, .*\n$"
        )

    def test_reference_outputs(self):
        """A changed number of any block of test_solutions.txt is told with its label and place."""
        folder = Path(self.enter(tempfile.TemporaryDirectory()))
        for name in ("test_incomplete.txt", "test_complete.txt"):
            shutil.copy(PROJECT / name, folder)
        text = (PROJECT / "test_solutions.txt").read_text(encoding="utf-8")
        starts = [found.end() for found in re.finditer(r":\s*\[*(?=-?\d)", text)]
        self.assertEqual(len(starts), len(REFERENCES))
        tests = ["--data", folder, "Common.test_reference_outputs", "Em.test_reference_outputs"]
        for start, words in zip(starts, REFERENCES):
            number = re.search(r"[\d.]+", text[start:])[0]
            changed = text[start:].replace(number, f"{float(number) * 1.01}", 1)
            (folder / "test_solutions.txt").write_text(text[:start] + changed, encoding="utf-8")
            status, printed = self.judged(*tests)
            self.assertIn(f"\nMend this first: {words}", printed)
            self.assertIn(", 1 failed", printed)
            self.assertEqual(status, 1)
        for old, new, words in [
            ("Var:", "Va:", "test_solutions.txt: expected the blocks X, K, Mu, Var, "),
            ("[0.25 0.25", "[0.25 O.25", "test_solutions.txt, line 30: expected numbers"),
            ("P: [0.5", "P: [0.1 0.5", "test_solutions.txt, P, em.mstep: expected 4 numbers, "),
        ]:
            changed = text.replace(old, new, 1)
            (folder / "test_solutions.txt").write_text(changed, encoding="utf-8")
            status, printed = self.judged(*tests)
            self.assertRegex(printed, rf"^test.py: {words}.*\n$")
            self.assertEqual(status, 2)


class Folders(Judging):
    """A student's modules where they lie: nothing else is run, and nothing written."""

    def setUp(self):
        super().setUp()
        self.parent = Path(self.enter(tempfile.TemporaryDirectory())).resolve()
        self.folder = self.parent / "src"

    def write(self, files):
        """Make the files, and no others in the student's folder; their names are relative to it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")

    def test_right_modules(self):
        """Whatever lies beside them."""
        ours = dict.fromkeys(["judge.py", "test.py", "main.py", "recommend.py", "exact.py"], STOP)
        standard = dict.fromkeys(["../random.py", "../logging.py", "../numpy.py"], STOP)
        data = EM + "\n\nX = np.loadtxt('data.txt')\n"
        helper = EM.replace("import GaussianMixture", "import GaussianMixture, helper")
        helping = COMMON + "\n\ndef helper():\n    pass\n"
        for folder, files in [
            ("src", {"em.py": EM, **ours, **standard}),
            ("src", {"em.py": PACKAGE, "common.py": COMMON}),
            ("src", {"em.py": PACKAGE, "common.py": COMMON, "__init__.py": ""}),
            ("a b", {"em.py": data, "data.txt": "1 2"}),
            ("мои", {"em.py": helper, "common.py": helping}),
            ("src", {"em.py": EM, "kmeans.py": STOP}),  # only a test of em.py is asked for
        ]:
            self.folder = self.parent / folder
            self.write(files)
            before = sorted(self.parent.rglob("*"))
            done = self.process("-c", ASCII, "test.py", self.folder, "Em.test_fill_matrix")
            shown = str(self.folder).encode("ascii", "backslashreplace").decode()
            self.assertEqual(done.stdout.splitlines()[:2], [f"Judged: em.py in {shown}", "."])
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertEqual(sorted(self.parent.rglob("*")), before)

    def test_wrong_modules(self):
        common = {"common.py": COMMON}
        for files, words in [
            ({"em.py": EM + "input()"}, "em.py, line .*: it waits for input: take it out"),
            ({"em.py": "breakpoint()\nA = 1"}, "em.py, line 1: it waits for input: take it out"),
            ({"em.py": "import pdb\npdb.set_trace()\nA = 1"}, "em.py, line 2: it waits for input"),
            ({"em.py": EM + "exit()"}, "em.py, line .* ends Python: take it out"),
            ({"em.py": EM + "import os; os._exit(0)"}, "em.py, line .* ends Python: take it out"),
            ({"em.py": EM, "common.py": "]"}, "common.py, line 1: SyntaxError"),
            ({"em.py": "import judge.common"}, "judge is a package of the judge here: write "),
            ({"em.py": "from tests.em import a"}, "tests is a package of the judge here: write "),
            ({"em.py": "from a.b.common import a"}, "packages in packages are not found here: "),
            ({"em.py": "from a.common import a"}, "there is no package a here, the modules lie "),
            ({"em.py": "from src.common import a", **common}, "your common.py has no a"),
        ]:
            self.write(files)
            status, printed = self.judged(self.folder / "em.py")
            self.assertRegex(printed, rf"^Judged: em.py in .*\nFs+\nFAIL [\s\S]*{words}")
            self.assertEqual(status, 1)

    def test_which_files_are_judged(self):
        self.folder = self.parent / "мои файлы"
        self.write({"em.py": EM, "common.py": COMMON})
        there = f"in {self.folder}\n"
        both = f"Judged: common.py, em.py {there}"
        lacking = f"not judged: no kmeans.py {there}not judged: no naive_em.py {there}"
        for words, begin in [
            (["."], both + lacking),
            ([self.folder], both + lacking),
            (["em.py"], f"Judged: em.py {there}"),
            (["em.py", "./common.py"], both),
            ([".", "Em.test_estep", "Common"], both),
            ([".", "Em.test_estep", "Kmeans"], f"Judged: em.py {there}not judged: no kmeans.py "),
        ]:
            with working_in(self.folder):
                status, printed = self.judged(*words)
            self.assertTrue(printed.startswith(begin), printed)
            self.assertEqual(status, 0)

    def test_paths_that_are_refused(self):
        self.write({"em.py": EM, "em2.py": EM, "../other/em.py": EM, "empty/notes.txt": ""})
        for words, refusal in [
            (["./absent"], "there is no file or folder ./absent"),
            (["em2.py"], "em2.py: a file has to be called kmeans.py, .* or em.py"),
            (["empty"], "empty: expected a folder with kmeans.py, .* or em.py, found none of them"),
            ([".", "../other"], "expected the files of one folder, got those of .*src, .*other"),
            ([".", "Kmeans"], "not judged: no kmeans.py in .*src"),
            (["em.py", "Kmeans"], "a test of kmeans.py is named: expected its path, too"),
            ([".", "Em.test_it"], "there is no test 'Em.test_it': Em has test_estep, .*"),
            (["kmeans.py"], "there is no file 'kmeans.py': expected a path, or one of .*"),
        ]:
            with working_in(self.folder):
                status, printed = self.judged(*words)
            self.assertRegex(printed, rf"^test.py: .*{refusal}\n$")
            self.assertEqual(status, 2)

    def test_without_scipy(self):
        """Nothing is judged wrong of what needs it; the rest is judged."""
        scipy = "from scipy.special import logsumexp\n"
        late = EM.replace("n, d = X.shape", "import scipy.stats; n, d = X.shape")
        wrong = COMMON.replace("K * d", "K")
        pip = f"needs scipy, as the course's starter does: {sys.executable} -m pip install scipy"
        for files, status, words in [
            ({"em.py": scipy + EM}, 2, r"s+\n0 passed, 0 failed, 10 not judged\ntest.py: em.py"),
            ({"em.py": late}, 2, r"\nAll is well in what could be judged.\n.*\ntest.py: em.py"),
            ({"common.py": scipy + COMMON, "em.py": EM}, 2, "test.py: common.py"),
            ({"em.py": scipy + EM, "common.py": wrong}, 1, r"FAIL Common[\s\S]*test.py: em.py"),
        ]:
            self.write(files)
            with mock.patch.object(sys, "meta_path", [NoScipy(), *sys.meta_path]):
                got, printed = self.judged(self.folder)
            self.assertRegex(printed, rf"{words} {pip}\n$")
            self.assertEqual(got, status)
