"""What an API server does with a pod under the chart's policies, as far as that is written in them."""

import copy
from dataclasses import dataclass

import helm
import stand_ins


@dataclass
class Outcome:
    """A pod after admission."""

    pod: dict
    denied: list[str]
    warned: list[str]


def admit(pod: dict, namespace: str, rendered: list[dict]) -> Outcome:
    """A pod is made: mutates, looks at the pod itself, then validates. Raises where an expression fails: the
    policies fail closed too."""
    pod = copy.deepcopy(pod)
    for policy in bound(rendered, "MutatingAdmissionPolicy", "CREATE", [pod], namespace):
        conditions = [it["expression"] for it in policy["spec"]["matchConditions"]]
        if all(values(conditions, pod)):
            for mutation in policy["spec"]["mutations"]:
                assert mutation["patchType"] == "JSONPatch"
                [operations] = values([mutation["jsonPatch"]["expression"]], pod)
                apply(operations, pod)
    # The API server's own rules come before the guards, which hear of no pod that breaks them.
    if twice := duplicates(pod["spec"]):
        return Outcome(pod, twice, [])
    return validate("CREATE", [pod], namespace, rendered)


def duplicates(spec: dict) -> list[str]:
    """What an API server says of names that stand twice."""
    names = {"containers": [it["name"] for it in helm.containers(spec)], "volumes": [it["name"] for it in spec.get("volumes", [])]}
    return [f"spec.{field}: Duplicate value: {name}" for field, its in names.items() for name in set(its) if its.count(name) > 1]


def change(before: dict, after: dict, namespace: str, rendered: list[dict]) -> Outcome:
    """A pod that is there is changed: a policy takes it in where either of the two is selected."""
    assert bound(rendered, "MutatingAdmissionPolicy", "UPDATE", [after, before], namespace) == []
    return validate("UPDATE", [after, before], namespace, rendered)


def validate(operation: str, pods: list[dict], namespace: str, rendered: list[dict]) -> Outcome:
    outcome = Outcome(pods[0], [], [])
    for policy in bound(rendered, "ValidatingAdmissionPolicy", operation, pods, namespace):
        [action] = binding_of(policy, rendered)["spec"]["validationActions"]
        told = {"Deny": outcome.denied, "Warn": outcome.warned}[action]
        validations = policy["spec"]["validations"]
        results = values([it["expression"] for it in validations], *pods)
        told += [it["message"] for it, good in zip(validations, results, strict=True) if not good]
    return outcome


def values(expressions: list[str], *pods: dict) -> list:
    results = stand_ins.evaluate([(expression, *pods) for expression in expressions])
    for expression, result in zip(expressions, results, strict=True):
        assert "fault" not in result, f"{result['fault']}: {expression}"
    return [result["value"] for result in results]


def bound(rendered: list[dict], kind: str, operation: str, pods: list[dict], namespace: str) -> list[dict]:
    """The policies of the kind whose rules, selectors and bindings take one of the pods in."""
    labels = [pod["metadata"].get("labels", {}) for pod in pods]
    return [it for it in rendered if it["kind"] == kind
            and any(operation in rule["operations"] for rule in it["spec"]["matchConstraints"]["resourceRules"])
            and any(selects(it["spec"]["matchConstraints"]["objectSelector"], its) for its in labels)
            and selects(binding_of(it, rendered)["spec"]["matchResources"]["namespaceSelector"],
                        {"kubernetes.io/metadata.name": namespace})]


def binding_of(policy: dict, rendered: list[dict]) -> dict:
    return next(it for it in rendered if it["kind"] == f"{policy['kind']}Binding"
                and it["spec"]["policyName"] == policy["metadata"]["name"])


def selects(selector: dict, labels: dict) -> bool:
    rules = {
        "Exists": lambda rule: rule["key"] in labels,
        "In": lambda rule: labels.get(rule["key"]) in rule["values"],
        "NotIn": lambda rule: labels.get(rule["key"]) not in rule["values"],
    }
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        rules[rule["operator"]](rule) for rule in selector.get("matchExpressions", []))


def apply(operations: list[dict], pod: dict) -> None:
    """RFC 6902, as far as the chart uses it: `add`, whose parent must be there."""
    for operation in operations:
        assert operation["op"] == "add"
        *path, last = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
        parent = pod
        for part in path:
            parent = parent[part]
        if isinstance(parent, dict):
            parent[last] = operation["value"]
        else:
            parent.insert(len(parent) if last == "-" else int(last), operation["value"])


def include(chart_values: helm.Values) -> dict:
    """The pod that includes the sidecar by the named templates: the trial's."""
    return dict(helm.pods(helm.render(chart_values)))["trial-zentra-sidecar-trial"]
