"""The rules of values.schema.json, and for each a value that it refuses, with what it has to say."""

import json
import re

from helm import CHART

SCHEMA = json.loads((CHART / "values.schema.json").read_text())
# What stands for a secret that somebody has put where none belongs; no rule takes it.
SECRET = "== \\ hunter2"
# A name for each rule about names: the first one that fits stands for it.
NAMES = ["rules.cedar", "live", "team", "zentra.io/inject", "OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES",
         "OTEL_SPAN_LINK_COUNT_LIMIT", "OTEL_SDK_DISABLED", "OTEL_PROPAGATORS",
         "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_CERTIFICATE", "OTEL_EXPORTER_OTLP_PROTOCOL",
         "OTEL_EXPORTER_OTLP_COMPRESSION", "OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER",
         "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG", "OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
         "OTEL_BSP_SCHEDULE_DELAY", "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
         "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION"]
# A name that none of them takes.
UNKNOWN = "-noSuchValue-"


def resolve(schema: dict) -> dict:
    while True:
        if "$ref" in schema:
            found = SCHEMA
            for part in schema["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            schema = found
        elif schema.get("if") is True:
            # A rule that stands elsewhere too, beside what is required here alone.
            schema = schema["then"]
        else:
            return schema


def place(path: tuple) -> str:
    return "at '" + "".join("/" + str(step).replace("/", "~1") for step in path) + "'"


def breaches(schema: dict, path: tuple = ()):
    """For each rule of the schema: a path, a value that this rule refuses, and what must be told."""
    schema = resolve(schema)
    if schema.get("if") == {"const": ""}:
        yield from breaches(schema["else"], path)
    elif schema.get("if") == {"type": "string"}:
        # A number, or a text of some form.
        yield path, True, f"{place(path)}: got boolean"
        yield path, SECRET, f"{place(path)}: value must be '{schema['then']['else']['const']}'"
        yield from numbers(schema["else"], path)
    elif "enum" in schema or "const" in schema:
        yield path, SECRET, f"{place(path)}: value must be "
    else:
        kind = schema["type"]
        yield path, 7 if kind == "string" else "a text", f"{place(path)}: got "
        yield from OF_TYPE[kind](schema, path)


def texts(schema: dict, path: tuple):
    if "if" in schema:
        assert not re.search(schema["if"]["pattern"], SECRET), path
        yield path, SECRET, f"{place(path)}: value must be '{schema['else']['const']}'"
    if "minLength" in schema:
        yield path, "", f"{place(path)}: minLength"
    if "maxLength" in schema:
        yield path, "a" * (schema["maxLength"] + 1), f"{place(path)}: maxLength"


def numbers(schema: dict, path: tuple):
    if "minimum" in schema:
        yield path, schema["minimum"] - 1, f"{place(path)}: minimum"
    if "maximum" in schema:
        yield path, schema["maximum"] + 1, f"{place(path)}: maximum"
    if schema["type"] == "integer":
        yield path, 1.5, f"{place(path)}: got number, want integer"


def lists(schema: dict, path: tuple):
    yield from breaches(schema["items"], (*path, 0))
    if "minItems" in schema:
        yield path, [], f"{place(path)}: minItems"
    if "maxItems" in schema:
        yield path, [item(schema, number) for number in range(schema["maxItems"] + 1)], f"{place(path)}: maxItems"
    if schema.get("uniqueItems"):
        yield path, [item(schema, 0)] * 2, f"{place(path)}: items at 0 and 1 are equal"


def item(schema: dict, number: int):
    """One that the list would take."""
    rule = resolve(schema["items"])
    if rule["type"] == "integer":
        return 443 + number
    return f"spiffe://example.org/{number}" if "spiffe" in rule["if"]["pattern"] else f"name-{number}"


def maps(schema: dict, path: tuple):
    # What has a default is there in any case, unless it is null: see test_nulls.py.
    if "required" in schema and {0, "affinity"} & set(path):
        yield path, {}, "missing propert"
    if schema.get("minProperties"):
        yield path, {}, f"{place(path)}: minProperties"
    closed = schema.get("additionalProperties")
    if closed is False:
        yield (*path, UNKNOWN), SECRET, f"additional properties '{UNKNOWN}' not allowed"
    elif closed:
        yield (*path, UNKNOWN), SECRET, f"{place((*path, UNKNOWN))}: value must be '{closed['const']}'"
    for name, rule in schema.get("properties", {}).items():
        yield from breaches(rule, (*path, name))
    for written, rule in schema.get("patternProperties", {}).items():
        yield from breaches(rule, (*path, next(name for name in NAMES if re.search(written, name))))


OF_TYPE = {"string": texts, "integer": numbers, "number": numbers, "array": lists, "object": maps, "boolean": lambda *_: ()}
BREACHES = list({json.dumps(it): it for it in breaches(SCHEMA) if it[0] and it[0] != ("global",)}.values())


def batches(cases: list[tuple]) -> list[list[tuple]]:
    """Cases that begin with a path in few sets of values, in each of which no two are in each other's way."""
    made: list[list[tuple]] = []
    for case in cases:
        batch = next((it for it in made if not any(overlap(case[0], other[0]) for other in it)), None)
        if batch is None:
            made.append(batch := [])
        batch.append(case)
    return made


def overlap(one: tuple, other: tuple) -> bool:
    return other[:len(one)] == one[:len(other)]


def values_of(cases: list[tuple]) -> dict:
    """The values that have these paths; a step 0 is the first item of a list."""
    values: dict = {}
    for path, value, *_ in cases:
        inner = values
        for step in path[:-1]:
            inner = inner.setdefault(step, {})
        inner[path[-1]] = value
    return listed(values)


def listed(tree):
    if not isinstance(tree, dict):
        return tree
    if 0 in tree:
        return [listed(tree[0])]
    return {name: listed(inner) for name, inner in tree.items()}


def without_rule(schema: dict, path: str = ""):
    """The places where any value of a type would pass."""
    schema = resolve(schema)
    kind = schema.get("type")
    if kind == "object":
        closed = schema.get("additionalProperties", True)
        if closed is True or (closed and "const" not in closed):
            yield path
        for name, rule in (schema.get("properties", {}) | schema.get("patternProperties", {})).items():
            yield from without_rule(rule, f"{path}/{name}")
    elif kind == "array":
        yield from without_rule(schema["items"], f"{path}/*")
    elif kind == "integer" and not {"minimum", "maximum"} <= schema.keys():
        yield path
    elif kind == "string" and not {"if", "minLength", "maxLength"} & schema.keys():
        yield path
    elif kind is None and not {"enum", "const", "if"} & schema.keys():
        yield path
    elif kind == "string" and "pattern" in schema:
        # Its message would repeat the value.
        yield path
