"""values.schema.json: each of its rules refuses, says what is wrong, and repeats no value."""

import pytest

import helm
import schemas
from helm import IMAGES, Values
from matrix import GATEWAY, STORE
from schema_rules import BREACHES, SCHEMA, SECRET, batches, values_of, without_rule


def test_every_rule_refuses_and_names_the_value():
    wrong = []
    for batch in batches(BREACHES):
        told = helm.refusal(Values(changes=values_of(batch)))
        wrong += [(path, value, said, told) for path, value, said in batch if said not in told]
        # What somebody has put in the wrong place may be a secret.
        assert SECRET.split()[-1] not in told, told
    assert wrong == []
    assert len(BREACHES) > 600


def test_no_value_is_without_a_rule():
    # Other charts may have values there.
    assert list(without_rule(SCHEMA)) == ["/global"]


@pytest.mark.parametrize(("peer", "told"), [
    # Kubernetes would drop what it does not know, and everybody might call.
    ({"podSelector": {"matchLabel": {"app": "shop"}}}, "additional properties 'matchLabel' not allowed"),
    ({"namespaceSelector": {"matchExpressions": [{"key": "team", "operator": "Is", "values": ["shop"]}]}}, "value must be one of 'In'"),
    ({"namespaceSelector": {"matchExpressions": [{"key": "team"}]}}, "missing property 'operator'"),
    ({"podSelector": {"matchLabels": {"app": 1}}}, "got number, want string"),
    ({"ipBlock": {"except": ["10.0.0.0/8"]}}, "missing property 'cidr'"),
    ({"ipBlock": {"cidr": "10.0.0.1"}}, "/ipBlock/cidr"), ({"ipBlock": {"cidr": "10.0.0.0/33"}}, "/ipBlock/cidr"),
    ({"ipBlock": {"cidr": "256.0.0.0/8"}}, "/ipBlock/cidr"), ({"ipBlock": {"cidr": "010.0.0.0/8"}}, "/ipBlock/cidr"),
    ({"ipBlock": {"cidr": "1:2:3/64"}}, "/ipBlock/cidr"), ({"ipBlock": {"cidr": "fd00::1::/64"}}, "/ipBlock/cidr"), ({"ipBlock": {"cidr": ":/0"}}, "/ipBlock/cidr"),
    ({"ipBlock": {"cidr": "10.0.0.0/8"}, "podSelector": {}}, "/podSelector': value must be 'left out beside ipBlock'"),
    ({"podSelector": {"matchLabels": {"a b": "c"}}}, "/podSelector/matchLabels/a b': value must be 'left out"),
    ({"podSelector": {"matchLabels": {"app": "a b"}}}, "/podSelector/matchLabels/app': value must be 'the value of a label"),
    ({"namespaceSelector": {"matchExpressions": [{"key": "team", "operator": "In"}]}}, "missing property 'values'"),
    ({"namespaceSelector": {"matchExpressions": [{"key": "team", "operator": "Exists", "values": ["a"]}]}}, "maxItems: got 1, want 0"),
    ({"ipBlock": {"cidr": "fd00::/129"}}, "/ipBlock/cidr"), ({"ipBlock": {"cidr": "::/0", "except": ["fd00"]}}, "/ipBlock/except/0"),
    ({"pods": {}}, "additional properties 'pods' not allowed"),
])
@pytest.mark.parametrize("where", ["callers", "monitoring"])
def test_a_peer_that_would_let_in_others_than_meant_is_refused(where, peer, told):
    assert told in helm.refusal(Values("gateway", {"networkPolicy": {where: [peer]}}))


def test_every_form_of_a_peer_is_taken():
    peers = [{"podSelector": {}}, {"podSelector": {"matchLabels": {"app": "shop"}}, "namespaceSelector": {}},
             {"namespaceSelector": {"matchExpressions": [{"key": "team", "operator": "In", "values": ["shop"]}, {"key": "pays", "operator": "Exists"}]}},
             {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}, 
             *({"ipBlock": {"cidr": block}} for block in ("fd00::/8", "::/0", "2001:db8::1/128", "1:2:3:4:5:6:7:8/64", "1:2:3:4:5:6:7::/112", "0.0.0.0/0"))]
    for thing in helm.render(Values("gateway", {"networkPolicy": {"callers": peers}})):
        schemas.validate(thing, "1.37.0")


def test_a_message_says_what_is_allowed():
    assert "value must be one of 'include', 'gateway', 'inject'" in helm.refusal(Values(changes={"mode": "sidecar"}))
    assert "additional properties 'replica' not allowed" in helm.refusal(Values(changes={"gateway": {"replica": 3}}))
    assert "maximum: got 70,000, want 65,536" in helm.refusal(Values(changes={"settings": {"callsInFlight": 70000}}))


def test_a_password_in_an_address_is_refused():
    for address in ("redis://user:word@host", "redis://:word@host"):
        assert "/store/url" in helm.refusal(Values(changes={"store": {"url": address}}))


@pytest.mark.parametrize("address", [
    "redis://host:6379", "rediss://user@host:6379/2", "redis+sentinel://a:26379,b/main?db=1",
    "rediss+cluster://a,b,c",
])
def test_every_form_of_a_store_is_taken(address):
    helm.render(Values(changes={**IMAGES, **STORE, **GATEWAY, "store": {"url": address}}))


def test_what_belongs_together_is_asked_for_all_at_once():
    told = helm.refusal(Values(changes={"mode": "gateway", "networkPolicy": {"enabled": True},
                                        "gateway": {"adminPort": 50051, "autoscaling": {"enabled": True, "minReplicas": 20}},
                                        "sidecar": {"adminPort": 50051},
                                        "policy": {"files": {"a.cedar": "x"}, "existingConfigMap": "other",
                                                   "candidate": {"files": {"a.cedar": "x"},
                                                                 "existingConfigMap": "other"}}}))
    for name in ("image.repository is", "zentra.keySecret.name is", "store.url is", "fingerprint.secret.name is",
                 "policy.files and", "policy.candidate.files and", "gateway.tls.secretName is", "gateway.tls.trustDomain is", "sidecar.port and",
                 "gateway.tls.allowedIds is", "gateway.port and", "minReplicas must", "networkPolicy.callers is"):
        assert name in told, name
    assert "13 values are wrong" in told


def test_a_policy_on_trial_stands_beside_a_policy():
    told = helm.refusal(Values(changes={**IMAGES, **STORE, **GATEWAY, "policy": {"candidate": {"existingConfigMap": "other"}}}))
    assert "policy.candidate stands beside a policy" in told


def test_injection_asks_for_what_each_profile_lacks():
    told = helm.refusal(Values(changes={"mode": "inject", **IMAGES, "inject": {"profiles": {
        "live": {"store": {"url": "redis://live"}}, "sandbox": {}}}}))
    assert "inject.namespaces is required" in told
    assert "inject.profiles.live: zentra.keySecret.name is required" in told
    assert "inject.profiles.live: store.url" not in told
    assert "inject.profiles.sandbox: store.url is required" in told
    assert "inject.profiles is required" in helm.refusal(Values(changes={"mode": "inject"}))


def test_the_trial_is_for_the_simulator_alone():
    told = helm.refusal(Values("trial", {"zentra": {"url": "https://api.usezentra.com"}, "mode": "gateway"}))
    for name in ("trial.enabled belongs to mode include", "trial.image.repository is required", "zentra.url must be"):
        assert name in told, name
