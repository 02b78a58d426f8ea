"""Types for the admission expressions, made from Kubernetes' schemas.

An API server names a type by the path of its field: `Object.spec.initContainers.env`.
"""

import functools
import json
import pathlib
import subprocess

import schemas

HERE = pathlib.Path(__file__).parent
POD = "io.k8s.api.core.v1.Pod"
# What the chart's expressions make objects of; the rest of a pod is only read.
MADE = ("Object.spec.initContainers", "Object.spec.volumes", "Object.spec.imagePullSecrets")
PATCH = {"op": {"kind": "string"}, "path": {"kind": "string"}, "from": {"kind": "string"}, "value": {"kind": "any"}}


@functools.cache
def types(version: str) -> dict:
    found = {"JSONPatch": PATCH}
    spec = schemas.definitions(version)[POD]["properties"]["spec"]
    for path in MADE:
        field = resolve(spec, version)["properties"][path.split(".")[-1]]
        add(found, path, resolve(field["items"], version), version)
    return found


def add(found: dict, path: str, schema: dict, version: str) -> None:
    found[path] = {}
    for name, field in schema["properties"].items():
        field = resolve(field, version)
        repeated = "array" in kinds(field)
        item = resolve(field["items"], version) if repeated else field
        kind = kind_of(item)
        found[path][name] = {"kind": kind, "repeated": repeated, "of": f"{path}.{name}"}
        if kind == "message":
            add(found, f"{path}.{name}", item, version)


def kind_of(schema: dict) -> str:
    if "properties" in schema:
        return "message"
    if "additionalProperties" in schema and "object" in kinds(schema):
        return "map"
    if "oneOf" in schema:
        # A quantity is written as a text here; a port may be a number or a name.
        is_port = any("integer" in kinds(it) for it in schema["oneOf"])
        return "dyn" if is_port else "string"
    return {"integer": "int", "boolean": "bool", "string": "string"}.get(kinds(schema)[0], "dyn")


def kinds(schema: dict) -> list[str]:
    kind = schema.get("type", [])
    return [it for it in (kind if isinstance(kind, list) else [kind]) if it != "null"] or [""]


def resolve(schema: dict, version: str) -> dict:
    reference = schema.get("$ref")
    return schemas.definitions(version)[reference.rsplit("/", 1)[1]] if reference else schema


@functools.cache
def evaluator(version: str) -> subprocess.Popen:
    """One process for all questions; it ends with its standard input, so with this process."""
    process = subprocess.Popen(["node", str(HERE / "evaluate.mjs")], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    process.stdin.write(json.dumps({"types": types(version)}) + "\n")
    return process


def evaluate(cases: list[tuple], version: str = "1.37.0") -> list[dict]:
    """Each expression over its object and, where it is changed, the one before: {"value"}, or {"fault"}
    where the expression does not compile or run."""
    process = evaluator(version)
    question = {"cases": [{"expression": expression, "object": thing, "oldObject": before[0] if before else {}}
                          for expression, thing, *before in cases]}
    process.stdin.write(json.dumps(question) + "\n")
    process.stdin.flush()
    answer = process.stdout.readline()
    assert answer, "the evaluator has ended, see what it wrote"
    return json.loads(answer)
