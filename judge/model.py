"""What is judged of K-means, naive EM and EM alike: the M-step, and where run ends."""

import math

from judge import mistakes
from judge.exact import exact_estep
from judge.judge import LIMIT, ROUNDING, Judge, off_by, parts_of, quiet
from judge.mistakes import Mixture
from judge.problems import start

PARTS = ["mu", "var", "p"]  # of a mixture


def mixture_of(parts):
    """The mixture among what an iteration gives."""
    return Mixture(parts["mu"], parts["var"], parts["p"])


class Model(Judge):
    """The rule by which a run ends is that of naive EM and EM; K-means has another.

    A model has next_mixture(X, post, mixture), what an M-step gives, from plain Python.
    """

    score = "ll"  # the number that run returns with the mixture and the post
    stops = "it should stop as soon as new - old <= 1e-6 * |new|, old and new being the "
    stops += "log-likelihoods of two E-steps"
    hasty = "is there no loop, the limit larger than 1e-6 * |new|, the sign wrong, or are old and "
    hasty += "new of the same mixture, as with an E-step before the loop?"
    why_endless = {"run": f": {stops} (|new|: 1e-6 * new is below 0, as ll is)"}

    def stop(self, new, old):
        """Whether the rule ends a run."""
        return new - old <= 1e-6 * abs(new)

    def iteration(self, X, mixture):
        """What one E-step and one M-step give, from plain Python: {part: array}."""
        expected = exact_estep(X, mixture)
        return {**expected, **self.next_mixture(X, expected["post"], mixture)._asdict()}

    def later_iteration(self, X, mixture):
        """The same from mistakes.py's right functions: exact enough here, and faster."""
        right = mistakes.made(self.name, {})
        parts = parts_of(self.functions["estep"][1], right["estep"](X, mixture))
        result = right["mstep"](X, parts["post"], mixture)
        return {**parts, **parts_of(self.functions["mstep"][1], result)}

    def iterations(self, X, mixture):
        """What the iterations of a run give, {1: parts, 2: parts, ...}, and two beyond its last."""
        steps = {1: self.iteration(X, mixture)}
        last = 1
        while last == 1 or not self.stop(steps[last][self.score], steps[last - 1][self.score]):
            steps[last + 1] = self.iteration(X, mixture_of(steps[last]))
            last += 1
        for number in (last, last + 1):
            steps[number + 1] = self.later_iteration(X, mixture_of(steps[number]))
        return steps, last

    def until_nothing_moves(self, X, steps):
        """Add what further iterations give, until they give the same."""
        for number in range(len(steps), 2000):
            steps[number + 1] = self.later_iteration(X, mixture_of(steps[number]))
            old = steps[number]
            new = steps[number + 1]
            if max(off_by(new[part], old[part]) for part in new) < 1e-13:
                return

    def found(self, got, steps, last):
        """The numbers of the iterations that gave the mixture, the post and the score; or None.

        Where several give the same, as K-means' last ones do, it is the last of the run.
        """
        numbers = []
        for parts in (PARTS, ["post"], [self.score]):
            errors = {}
            for number, step in steps.items():
                errors[number] = max(off_by(got[part], step[part]) for part in parts)
            nearest = min(errors, key=errors.get)
            if errors[last] <= errors[nearest] + 1e-12:
                nearest = last
            numbers.append(nearest if errors[nearest] <= LIMIT else None)
        return numbers

    def check_mstep(self, arguments, expected):
        """Where the means are off, variances and cost are, too: they are about the means."""
        got = self.call("mstep", *arguments)
        if off_by(got["mu"], expected["mu"]) > LIMIT:
            expected = {"mu": expected["mu"], "p": expected["p"]}
        self.compare("mstep", arguments, got, expected)

    def check_run(self, X, K, seed):
        """Whatever run returns is that of the last iteration by the course's rule."""
        self.wait_for(f"{self.name}.estep", f"{self.name}.mstep")
        arguments = [X, *start(X, K, seed)]
        got = self.call("run", *arguments)
        steps, last = self.iterations(X, arguments[1])
        expected = steps[last]
        if self.found(got, steps, last) == [last, last, last]:
            return
        with quiet():
            self.until_nothing_moves(X, steps)
        numbers = self.found(got, steps, last)
        known = None not in numbers
        if known:
            hint = self.which_iterations(numbers, self.is_exact(got, steps), last)
        else:
            hint = self.why_of_none(got, arguments)
        # Iterations next to each other may differ by less than the 1e-6 of other checks.
        self.compare("run", arguments, got, expected, hint, limit=ROUNDING, whole=known)

    def is_exact(self, got, steps):
        """Whether no two iterations give the score that run returned: late ones hardly differ."""
        scores = [step[self.score] for step in steps.values()]
        return sum(off_by(got[self.score], score) <= ROUNDING for score in scores) == 1

    def which_iterations(self, numbers, exact, last):
        """From which iterations the mixture, the post and the score are, and what that says."""
        m, p, s = numbers
        if min(numbers) > last and not exact:
            return f"it goes on after iteration {last}, where the rule ends it: {self.stops}"
        if not m == p == s:
            words = f"it returns the mixture of iteration {m}, the post of {p} and the "
            return f"{words}{self.score} of {s}: all three should be of iteration {last}, the last"
        if m > last:
            words = f"it goes on after iteration {last}, where the rule ends it, up to {m}"
        else:
            words = f"it stops after iteration {m}, it should after {last}"
        if m <= 2 < last:
            return f"{words}: {self.hasty}"
        if m % 5 == 0 and abs(m - last) > 2:
            words += ", so their number may be fixed"
        return f"{words}: {self.stops}"

    def why_of_none(self, got, arguments):
        """Why run may return what no iteration gives."""
        X, mixture, post = arguments
        if not math.isfinite(got[self.score]):
            words = "does it make an M-step before the first E-step?"
            return f"the {self.score} is {got[self.score]}: {words}"
        turned = mixture._replace(mu=mixture.mu[::-1])
        other = self.attempt("run", X, turned, post)
        if other and off_by(other["mu"], got["mu"]) < ROUNDING:
            return "it ignores the mixture that is passed: start from it, not from one of its own"
        words = "it returns what no iteration gives: look at what it passes to estep and to mstep "
        return f"{words}({self.functions['mstep'][0]})"

    def run_is_right(self):
        """Whether run, and what it calls, has not failed: only then notes on it make sense."""
        return not self.has_failed("estep", "mstep", "run")

    def note_if_cut_short(self, X, K, seed):
        """Note a run that another iteration would have taken further; it needs more than 200."""
        if not self.run_is_right():
            return
        got = self.attempt("run", X, *start(X, K, seed))
        if got and not self.stop(exact_estep(X, mixture_of(got))["ll"], got["ll"]):
            words = "a long run is cut short, by a limit on the number of iterations for example: "
            self.note("run", words + "let the rule alone stop it")
