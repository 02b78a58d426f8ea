"""Kubernetes' own schemas, and those of the two foreign kinds that the chart makes."""

import functools
import json
import pathlib

import jsonschema
import kubernetes_validate

CUSTOM = pathlib.Path(__file__).parent / "custom_resources"


def validate(thing: dict, version: str) -> None:
    """Raises where the object does not fit its schema, or where there is none for its kind."""
    own = CUSTOM / f"{thing['kind'].lower()}-{thing['apiVersion'].replace('/', '-')}.json"
    if own.exists():
        jsonschema.Draft202012Validator(json.loads(own.read_text())).validate(thing)
        return
    used = kubernetes_validate.validate(thing, version, strict=True)
    # The library falls back to an older version in silence where it lacks one.
    assert version.startswith(used), f"checked against {used} in place of {version}"


@functools.cache
def definitions(version: str) -> dict:
    folder = pathlib.Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"
    return json.loads((folder / f"v{version}-local-strict" / "_definitions.json").read_text())["$defs"]
