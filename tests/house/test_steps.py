"""scripts/test counts what the tools say, and cannot end well where something failed."""

import pathlib
import subprocess

import pytest

LIB = pathlib.Path(__file__).parents[2] / "scripts" / "lib"

NEXTEST = "     Summary [   1.234s] 14 tests run: 12 passed (1 slow), 1 failed, 1 timed out, 2 skipped"
CARGO = """\
test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
test result: FAILED. 4 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.10s
"""
NODE = "ℹ tests 9\nℹ suites 1\nℹ pass 6\nℹ fail 1\nℹ cancelled 1\nℹ skipped 1\nℹ todo 0\n"

SAMPLES = [
    ("count_nextest", NEXTEST, "12 2 2"),
    ("count_nextest", "     Summary [   0.1s] 3 tests run: 3 passed, 0 skipped", "3 0 0"),
    ("count_nextest", "error: could not compile", "0 0 0"),
    ("count_cargo", CARGO, "7 2 1"),
    ("count_pytest", "==== 1 failed, 11 passed, 1 skipped, 2 errors in 2.31s ====", "11 3 1"),
    ("count_pytest", "14 passed in 0.40s", "14 0 0"),
    ("count_pytest", "1 failed in 62.10s (0:01:02)", "0 1 0"),
    ("count_pytest", "no tests ran in 0.01s", "0 0 0"),
    ("count_node", NODE, "6 2 1"),
]


def bash(script: str, text: str = "") -> subprocess.CompletedProcess:
    prologue = f"set -euo pipefail; source {LIB}/steps.sh; source {LIB}/count.sh\n"
    return subprocess.run(["bash", "-c", prologue + script], input=text, capture_output=True, text=True)


@pytest.mark.parametrize("counter, text, expected", SAMPLES)
def test_each_tools_summary_is_read(counter, text, expected):
    assert bash(counter, text).stdout.strip() == expected


def steps(*commands: tuple[str, str], only: str = "") -> subprocess.CompletedProcess:
    lines = []
    for number, (counter, command) in enumerate(commands):
        lines.append(f"run{number}() {{ {command}; }}; step s{number} {counter} Step run{number}")
    return bash("\n".join([*lines, f"run_steps {only}"]))


def closing_line(result: subprocess.CompletedProcess) -> str:
    return result.stdout.splitlines()[-1]


def test_all_good():
    result = steps(("check", "true"), ("count_pytest", "echo '4 passed in 0.1s'"))
    assert (result.returncode, closing_line(result)) == (0, "5 passed, 0 failed")


def test_a_failed_step_does_not_stop_the_later_ones():
    result = steps(("check", "false; true"), ("count_pytest", "echo '4 passed in 0.1s'"))
    assert (result.returncode, closing_line(result)) == (1, "4 passed, 1 failed")
    assert "failed: s0: Step" in result.stdout


@pytest.mark.parametrize(
    "command, closing",
    [
        ("echo '4 passed, 2 failed in 0.1s'; false", "4 passed, 2 failed"),
        ("echo 'error: could not compile'; exit 101", "0 passed, 1 failed"),
        ("echo '4 passed in 0.1s'; exit 3", "4 passed, 1 failed"),
        ("echo 'no tests ran in 0.1s'", "0 passed, 1 failed"),
        ("echo '4 passed, 1 skipped in 0.1s'", "4 passed, 1 failed"),
    ],
)
def test_a_suite_cannot_end_badly_unseen(command, closing):
    result = steps(("count_pytest", command))
    assert (result.returncode, closing_line(result)) == (1, closing)


def test_colours_do_not_hide_the_count():
    result = steps(("count_pytest", r"printf '\e[32m4 passed\e[0m in 0.1s\n'"))
    assert closing_line(result) == "4 passed, 0 failed"


def test_single_steps_can_be_chosen():
    result = steps(("check", "true"), ("check", "false"), only="s0")
    assert (result.returncode, closing_line(result)) == (0, "1 passed, 0 failed")
    assert steps(("check", "true"), only="s7").returncode == 1
