"""The process that does algebra: started by pool.py by its path, imports math-verify, imports nothing of lcpo.

A keeper imports math-verify once and forks a server; the server reads one job after the other from a pipe. When a job
passes its deadline the kernel ends the server (a timer of CPU time without a handler, which no computation can hold
up) and the keeper forks the next one in milliseconds. Both end when the other side of the pipe is gone.
"""

import contextlib
import json
import os
import re
import resource
import signal
import sys
from functools import lru_cache
from multiprocessing.connection import Connection
from typing import Any


def keep(paths: list[str], memory: int, descriptor: int) -> None:
    """Imports math-verify, then forks servers one after the other until one ends in peace (end of input)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.path[:] = paths
    for gold, answer in (("\\frac{1}{2}", "2^{-1}"), ("x+1", "1+x"), ("(x+1)^2", "x^2+2x+2"), ("x=1", "y<2")):
        equal((gold, "", ()), (answer, "", ()))  # imports, and builds the parser's tables, before the first fork
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    pipe, ended = Connection(descriptor), 0
    while True:
        child = os.fork()
        if child == 0:
            with contextlib.suppress(EOFError, OSError):
                serve(pipe, ended)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            return
        ended = os.WTERMSIG(status)


def serve(pipe: Connection, ended: int) -> None:
    """Says that it is ready (and which signal ended the one before), then answers jobs; EOFError at their end."""
    pipe.send({"ready": os.getpid(), "ended": ended})
    while True:
        job = pipe.recv()
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_PROF, job["deadline"])
        try:
            reply: dict[str, Any] = {"right": any(equal(gold, answer) for gold, answer in job["pairs"])}
        except Exception as error:  # whatever a parser does with a hostile answer, it is not a right one
            reply = {"right": False, "error": type(error).__name__}
        signal.setitimer(signal.ITIMER_PROF, 0)
        pipe.send({"id": job["id"], **reply})


Form = tuple[str, str, tuple[Any, ...]]
"""See pool.Form."""
ORDERED = ("()", "(]", "[)", "[]")
POINTS = ("0.8132", "2.7391", "-1.3847", "5.1903", "-0.4179", "1.2613", "-3.6421", "0.2957")
"""Where expressions are compared: no special values, of both signs, around one."""
_RELATION = re.compile(r"<|>|\\(?:le|ge|ne)(?![A-Za-z])")
_DECIMAL = re.compile(r"-?\d*\.(\d+)")


def equal(gold: Form, answer: Form) -> bool:
    """Whether two forms are one: lists member by member, anything else as a whole."""
    (latex, kind, members), (other, other_kind, others) = gold, answer
    if members and others and not (_relations(gold) or _relations(answer)):
        if kind in ORDERED:
            return len(members) == len(others) and all(map(equal, members, others))
        return _matched(members, others, once="{}" in (kind, other_kind))
    if not (latex and other):
        return False
    keep_case = _both_cases(latex) or _both_cases(other)
    wanted, given = _object(gold, keep_case), _object(answer, keep_case)
    for decimal, value in ((latex, given), (other, wanted)):
        if _DECIMAL.fullmatch(decimal) and not value.free_symbols:
            return _rounds(decimal, value)
    rough = 1e-6 if re.search(r"\.\d{6}", latex + other) else 1e-60
    same = _same_at_points(wanted, given, rough)
    return _verified(wanted, given) if same is None else same


def _relations(form: Form) -> bool:
    """Whether a form is a union or an intersection of conditions: x<2 or x>3."""
    return form[1] in ("or", "and", ",") and all(_RELATION.search(member[0]) for member in form[2])


def _both_cases(latex: str) -> bool:
    """Whether a letter stands there as a capital and small, so that case tells two variables apart."""
    letters = set(re.findall(r"[A-Za-z]", re.sub(r"\\[A-Za-z]+", "", latex)))
    return any(letter.swapcase() in letters for letter in letters)


def _object(form: Form, keep_case: bool) -> Any:
    """What a form stands for."""
    import sympy

    if _relations(form):
        sets = [_parsed(member[0], keep_case).as_set() for member in form[2]]
        return sympy.Union(*sets) if form[1] == "or" else sympy.Intersection(*sets)
    return _parsed(form[0], keep_case)


@lru_cache(maxsize=4096)
def _parsed(latex: str, keep_case: bool) -> Any:
    """LaTeX as math-verify's parser reads all of it; raises where it cannot."""
    from latex2sympy2_extended import latex2sympy
    from latex2sympy2_extended.latex2sympy2 import ConversionConfig

    config = ConversionConfig(interpret_as_mixed_fractions=False, lowercase_symbols=not keep_case)
    return latex2sympy(latex, is_real=True, normalization_config=None, conversion_config=config)


def _matched(golds: tuple[Form, ...], answers: tuple[Form, ...], once: bool) -> bool:
    """Whether two lists hold the same members in some order; once: however often each stands there."""
    rest = list(answers)
    for gold in golds:
        place = next((i for i, answer in enumerate(rest) if equal(gold, answer)), None)
        if place is None and not (once and any(equal(gold, answer) for answer in answers)):
            return False
        if place is not None:
            del rest[place]
    return not rest or (once and all(any(equal(gold, answer) for gold in golds) for answer in rest))


def _rounds(decimal: str, value: Any) -> bool:
    """Whether a decimal is a value rounded, as numbers.rounds has it: six digits, and all that it has."""
    import sympy

    exact, written = sympy.N(value.doit(), 30), sympy.Rational(decimal)
    if not exact.is_real or exact.is_infinite:
        return False
    size, off = abs(exact), abs(exact - written)
    enough = max(size * 1e-6, 5e-7 if size >= 0.01 else 0)
    return bool(off <= enough and off <= max(sympy.Rational(1, 10 ** len(decimal.partition(".")[2])), size * 1e-12))


def _same_at_points(gold: Any, answer: Any, rough: float) -> bool | None:
    """Whether two expressions have the same values at POINTS; None where that says nothing.

    rough: how far two values may be apart, as a share of them. Points where neither is real do not count.
    """
    import sympy
    from sympy.core.function import AppliedUndef

    if not (isinstance(gold, sympy.Expr) and isinstance(answer, sympy.Expr)):
        return None
    gold, answer = (sympy.nsimplify(side.doit(), rational=True) for side in (gold, answer))
    endless = (sympy.Sum, sympy.Product, sympy.Integral, sympy.Limit, sympy.Derivative, sympy.nan, sympy.zoo, sympy.oo)
    if gold.has(AppliedUndef, *endless) or answer.has(AppliedUndef, *endless):
        return None
    imaginary = [symbol for symbol in gold.free_symbols | answer.free_symbols if symbol.name == "i"]
    if imaginary:
        as_unit = [side.xreplace({imaginary[0]: sympy.I}) for side in (gold, answer)]
        if _agree(as_unit[0], as_unit[1], rough):
            return True
    return _agree(gold, answer, rough)


def _agree(gold: Any, answer: Any, rough: float) -> bool | None:
    """The same, after the imaginary unit is settled."""
    import sympy

    symbols: list[Any] = sorted(gold.free_symbols | answer.free_symbols, key=lambda symbol: symbol.name)
    if not symbols and gold.is_Rational and answer.is_Rational:
        return bool(gold == answer)
    alike, apart = 0, False
    for shift in range(len(POINTS) if symbols else 1):
        at = {s: sympy.Rational(POINTS[(shift + 3 * i) % 8]) * (i // 8 + 1) for i, s in enumerate(symbols)}
        left, right = gold.xreplace(at), answer.xreplace(at)
        values = [sympy.N(value, 15) for value in (left, right, left - right)]
        if not all(value.is_number and value.is_finite for value in values):
            continue
        real = [abs(sympy.im(value)) <= 1e-12 * abs(value) for value in values[:2]]
        if symbols and real[0] != real[1]:
            apart = True
        elif all(real) or not symbols:
            if abs(values[2]) > rough * max(abs(values[0]), abs(values[1]), 1e-300):
                return False
            alike += 1
    return True if alike >= (3 if symbols else 1) and not apart else None


def _verified(gold: Any, answer: Any) -> bool:
    """What math-verify says, but for equations without a solution, all of which it takes for one."""
    import math_verify
    import sympy

    if isinstance(gold, sympy.Eq) and isinstance(answer, sympy.Eq):
        left, right = gold.lhs - gold.rhs, answer.lhs - answer.rhs
        if sympy.simplify(left / right).is_number if right != 0 else left == 0:
            return True
        if not sympy.solve(gold, gold.free_symbols) or not sympy.solve(answer, answer.free_symbols):
            return False
    inequalities = (sympy.core.relational.Relational, sympy.And)
    if isinstance(gold, inequalities) and isinstance(answer, inequalities) and len(gold.free_symbols) == 1:
        return bool(gold.free_symbols == answer.free_symbols and gold.as_set() == answer.as_set())
    return bool(math_verify.verify([gold], [answer], allow_set_relation_comp=True, timeout_seconds=None))


if __name__ == "__main__":
    keep(json.loads(sys.argv[1]), *map(int, sys.argv[2:]))
