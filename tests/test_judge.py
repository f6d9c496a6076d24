"""test.py's command line, which judge.check does not see."""

from tests.base import Ours


class CommandLine(Ours):
    """test.py as a process of its own."""

    def test_an_old_python(self):
        self.assert_refuses_an_old_python("test.py")

    def test_unknown_names(self):
        for name in ("Emm", "Em.test_it", "Main"):
            done = self.process("test.py", name)
            self.assertEqual((done.returncode, done.stdout), (2, ""))
            words = f"there is no test {name!r}: expected one of Kmeans, NaiveEm, Common, Em, or "
            self.assertEqual(done.stderr, f"test.py: {words}Em.test_run\n")

    def test_it_judges_and_tests_nothing_of_ours(self):
        """Without names it judges the four modules, and that is all."""
        done = self.process("test.py")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertRegex(done.stdout, r"^[.s]+\nAll is well: .*\n\d+ passed, 0 failed, .*\n$")
