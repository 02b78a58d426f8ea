"""What the tests of the alert rules and the dashboard read, and promtool, which judges it."""

import json
import pathlib
import re
import shutil
import subprocess

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
FILES = ROOT / "helm" / "zentra-sidecar" / "files"
RULES = FILES / "alerts.yaml"
DASHBOARD = FILES / "dashboard.json"
TIMEOUT_SECONDS = 60


def program(name: str) -> str:
    found = shutil.which(name)
    if not found:
        raise RuntimeError(f"{name} is missing: scripts/test installs it, and puts it on PATH")
    return found


def promtool(*words: str, given: str = "") -> subprocess.CompletedProcess:
    return subprocess.run([program("promtool"), *words], input=given, text=True, capture_output=True,
                          timeout=TIMEOUT_SECONDS)


def said(run: subprocess.CompletedProcess) -> str:
    return run.stdout + run.stderr


def rules() -> list[dict]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[dict]:
    """All panels that show something, those within rows too."""
    found = []
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        found += [panel] if panel["type"] != "row" else []
        found += panel.get("panels", [])
    return found


def queries() -> list[tuple[str, str]]:
    """Each panel's title with each of its expressions, as Grafana sends them where all is chosen."""
    return [(panel["title"], plain(target["expr"])) for panel in panels() for target in panel["targets"]]


def plain(expression: str) -> str:
    expression = expression.replace("$__rate_interval", "1m").replace("$__range", "1h")
    return re.sub(r'"\$\w+"', '".+"', expression)


# What stands in expressions beside the names of metrics and labels.
WORDS = {
    "and", "or", "unless", "on", "ignoring", "group_left", "group_right", "by", "without", "offset", "bool",
    "sum", "min", "max", "avg", "count", "group", "topk", "histogram_quantile", "increase", "rate",
    "last_over_time", "max_over_time", "min_over_time", "time", "vector", "clamp_min", "absent", "le",
}
# Labels that the scrape adds.
SCRAPED = {"job", "instance"}
SELECTOR = re.compile(r"([a-zA-Z_:][\w:]*)(?:\s*\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')


def selectors(expression: str) -> list[tuple[str, list[tuple[str, str, str]]]]:
    """Each metric of an expression with its matchers: label, operator, value."""
    return [
        (name, MATCHER.findall(matchers))
        for name, matchers in SELECTOR.findall(without_durations(expression))
        if name not in WORDS and (matchers or is_metric(expression, name))
    ]


def words(expression: str) -> set[str]:
    """Every name of an expression that is neither a function nor an operator: metrics and labels."""
    bare = re.sub(r'"[^"]*"', "", without_durations(expression))
    return set(re.findall(r"[a-zA-Z_:][\w:]*", bare)) - WORDS


def without_durations(expression: str) -> str:
    expression = re.sub(r"\[[^\]]*\]", "", expression)
    return re.sub(r"\boffset\s+\w+", "", expression)


def is_metric(expression: str, name: str) -> bool:
    """Outside of braces, and not in the list of labels after by, on and the like."""
    bare = re.sub(r"\{[^}]*\}", "", without_durations(expression))
    bare = re.sub(r"\b(by|on|ignoring|without|group_left|group_right)\s*\([^)]*\)", "", bare)
    return re.search(rf"(?<![\w:]){re.escape(name)}(?![\w:])", bare) is not None
