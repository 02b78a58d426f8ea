"""Prometheus' text form, as far as these tests ask about it."""

import collections
import re

SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? \S+$")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class Exposition:
    """Which metrics there are, with which labels, and which values these have."""

    def __init__(self, text: str):
        self.kinds = dict(re.findall(r"^# TYPE (\S+) (\w+)$", text, re.MULTILINE))
        self.families = set(self.kinds)
        self.labels: dict[str, set[str]] = collections.defaultdict(set)
        self.values: dict[tuple[str, str], set[str]] = collections.defaultdict(set)
        for line in text.splitlines():
            if not line or line.startswith("#"):
                continue
            name, labels = SAMPLE.match(line).groups()
            # A metric without labels is there too.
            self.labels[name] |= set()
            for label, value in LABEL.findall(labels or ""):
                self.labels[name].add(label)
                self.values[name, label].add(value)
        # Whoever asks for a metric that is not there is wrong; a label may have no such value.
        self.labels.default_factory = None

    def all_labels(self) -> set[str]:
        return set().union(*self.labels.values())

    def of_family(self, family: str) -> set[str]:
        """The labels of a metric, wherever its samples stand; without a histogram's own."""
        names = [family, *(family + ending for ending in ("_bucket", "_sum", "_count"))]
        return set().union(*(self.labels.get(name, set()) for name in names)) - {"le"}
