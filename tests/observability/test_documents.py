"""docs/LOGGING.md and docs/TELEMETRY.md say what is written, and nothing else."""

import json
import re

from exposition import Exposition
from promtool import ROOT
from source import audit_fields, call_fields, messages

# What tracing's own JSON form adds to each line.
EVERY_LINE = {"timestamp", "level", "message", "target"}


def rows(document: str, heading: str) -> list[list[str]]:
    """The cells of the rows of the last table under a heading, up to the next heading."""
    text = (ROOT / "docs" / document).read_text()
    section = re.split(r"^#+ ", text.split(f"\n{heading}\n")[1], flags=re.MULTILINE)[0]
    table = section.strip().split("\n\n")
    table = [block for block in table if block.startswith("|")][-1]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table.splitlines()[2:]]


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_the_calls_line_is_documented_field_by_field():
    documented = [name for row in rows("LOGGING.md", "## The call's line") for name in names(row[0])]
    assert len(set(documented)) == len(documented)
    assert set(documented) == call_fields()


def test_calls_write_what_is_documented(watched):
    calls = [line for line in watched.log() if line["message"] == "call"]
    seen = set().union(*calls)
    assert seen == call_fields() | EVERY_LINE, seen ^ (call_fields() | EVERY_LINE)
    assert {line["level"] for line in calls} == {"INFO", "WARN"}


def test_every_other_line_is_documented_with_its_level_and_fields_and_no_other():
    documented = {
        names(message)[0]: (level, set(names(fields)))
        for message, level, fields, _ in rows("LOGGING.md", "## All lines")
    }
    written = messages()
    assert set(documented) == set(written), set(documented) ^ set(written)
    for message, told in written.items():
        assert documented[message] == told, message


def test_the_lines_of_real_traffic_are_among_them(watched):
    written = messages()
    for line in watched.log():
        if line["message"] != "call":
            level, fields = written[line["message"]]
            assert line["level"] == level and set(line) - EVERY_LINE <= fields, line


def test_the_audit_line_is_documented_field_by_field():
    documented = [name for row in rows("LOGGING.md", "## The audit log") for name in names(row[0])]
    assert documented == [name for name in audit_fields() if name in documented]
    assert set(documented) == set(audit_fields()), set(documented) ^ set(audit_fields())


def test_audit_lines_have_what_their_kind_has(watched):
    of_kind = {"payment": set(), "moved": set(), "operator": set()}
    for cell, kinds, _ in rows("LOGGING.md", "## The audit log"):
        for kind in of_kind:
            if kinds == "all" or kind in kinds:
                of_kind[kind] |= set(names(cell))
    lines = watched.audit()
    assert {line["audit"] for line in lines} == {"payment", "moved"}
    for line in lines:
        assert set(line) <= of_kind[line["audit"]], set(line) - of_kind[line["audit"]]


def test_the_examples_in_the_document_are_such_lines():
    text = (ROOT / "docs" / "LOGGING.md").read_text()
    examples = [json.loads(line) for line in text.splitlines() if line.startswith('{"time')]
    assert [line["audit"] for line in examples if "audit" in line] == ["payment", "moved", "operator"]
    for line in examples:
        if "audit" in line:
            assert [name for name in audit_fields() if name in line] == list(line)
        elif line["message"] == "call":
            assert set(line) <= call_fields() | EVERY_LINE
        else:
            assert set(line) <= messages()[line["message"]][1] | EVERY_LINE


def test_one_grep_tells_who_refunded_an_order(watched):
    refunds = [line for line in watched.audit() if line["operation"] == "refund"]
    for line in refunds:
        assert line["charge_reference"] in watched.references
        assert (line["caller"], line["actor"]) == ("local", "python tests")
        assert (line["decision"], line["money_moved"]) == ("allowed", "yes")
        assert (line["policy"], line["rule_id"]) == ("permitted", "the-shop")
        # The policy in force, as the metrics name it.
        assert re.search(rf'policy_info{{[^}}]*hash="{line["policy_hash"]}"[^}}]*role="active"', watched.texts[0])
    assert len(refunds) == 2
    text = (watched.folder / "audit.jsonl").read_text()
    assert len(re.findall(rf'"operation":"refund".*"charge_reference":"{refunds[0]["charge_reference"]}"', text)) == 1


def test_every_metric_is_documented_with_its_labels_and_no_other(watched):
    exposed = Exposition("\n".join(watched.texts))
    documented = {
        names(metric)[0]: (kind, set(names(labels)))
        for metric, kind, labels, *_ in rows("TELEMETRY.md", "## Metrics")
    }
    assert set(documented) == exposed.families, set(documented) ^ exposed.families
    for family in exposed.families:
        assert documented[family] == (exposed.kinds[family], exposed.of_family(family)), family


def test_every_attribute_of_a_span_is_documented_and_no_other():
    code = (ROOT / "src" / "telemetry" / "names.rs").read_text()
    body = code.split("pub mod attribute {")[1].split("\n}")[0]
    attributes = set(re.findall(r'"([^"]+)"', body))
    documented = [name for row in rows("TELEMETRY.md", "### Attributes") for name in names(row[0])]
    assert sorted(documented) == sorted(attributes)


def test_every_variable_of_opentelemetry_is_documented():
    folder = ROOT / "src" / "telemetry"
    code = "".join((folder / name).read_text() for name in ("settings/reader.rs", "resource.rs"))
    read = set(re.findall(r'"(OTEL_[A-Z_]+)"', code))
    whats = re.findall(r'(?:either|both)\(signal, "(\w+)"', code)
    assert {"ENDPOINT", "PROTOCOL", "TIMEOUT", "COMPRESSION", "HEADERS"} == set(whats)
    for signal in ("TRACES", "METRICS"):
        # Of the headers only the common one is listed: both forms have the same row.
        read |= {f"OTEL_EXPORTER_OTLP_{signal}_{what}" for what in whats if what != "HEADERS"}
        read.add(f"OTEL_{signal}_EXPORTER")
    text = (ROOT / "docs" / "TELEMETRY.md").read_text()
    documented = set(re.findall(r"`(OTEL_[A-Z_]+)`", text))
    assert read <= documented, read - documented
