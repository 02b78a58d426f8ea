"""Network policies let out what is configured, and what cannot be known is asked for."""

import ipaddress

import pytest

import helm
from helm import IMAGES, Values
from matrix import GATEWAY, KEYS

CALLERS = {"enabled": True, "callers": [{"podSelector": {}}]}
PEER = [{"podSelector": {"matchLabels": {"app": "peer"}}}]


def values(network: dict | None = None, **changes) -> Values:
    chosen = {**IMAGES, **KEYS, **GATEWAY, "store": {"url": "redis://store"}, "networkPolicy": {**CALLERS, **(network or {})}}
    for name, change in changes.items():
        chosen[name] = {**chosen.get(name, {}), **change} if isinstance(change, dict) else change
    return Values(changes=chosen)


def egress(network: dict | None = None, **changes) -> list[dict]:
    return helm.one(helm.render(values(network, **changes)), "NetworkPolicy")["spec"]["egress"]


def allowed(rules: list[dict], port: int, protocol: str = "TCP") -> list:
    """The peers that may be reached at a port; `anywhere` where a rule names none."""
    return [peer for rule in rules if {"port": port, "protocol": protocol} in rule["ports"]
            for peer in rule.get("to", ["anywhere"])]


def test_names_are_resolved_over_both_protocols():
    for protocol in ("UDP", "TCP"):
        assert len(allowed(egress(), 53, protocol)) == 1
    moved = egress({"dns": {"to": [], "ports": [5353]}})
    assert allowed(moved, 5353, "UDP") == allowed(moved, 5353) == ["anywhere"]
    assert allowed(moved, 53, "UDP") == []


def test_zentra_is_reached_over_both_families_and_no_private_address():
    blocks = [it["ipBlock"] for it in allowed(egress(), 443)]
    assert {it["cidr"] for it in blocks} == {"0.0.0.0/0", "::/0"}
    for address, is_allowed in (("203.0.113.9", True), ("2001:db8::9", True), ("10.1.2.3", False), ("192.168.0.9", False),
                                ("169.254.169.254", False), ("100.64.0.9", False), ("fd00::9", False), ("fe80::1", False)):
        assert any(reaches(block, address) for block in blocks) == is_allowed, address


def reaches(block: dict, text: str) -> bool:
    address = ipaddress.ip_address(text)
    return address in ipaddress.ip_network(block["cidr"]) and not any(
        address in ipaddress.ip_network(it) for it in block.get("except", []))


@pytest.mark.parametrize(("url", "ports"), [
    ("redis://store", {6379}), ("rediss://app@store:6380/2", {6380}), ("redis://[fd00::1]:7000", {7000}),
    ("redis://[fd00::1]", {6379}),
    ("redis+sentinel://app@a,b:26380,c:26380/main?db=1", {26379, 26380, 7001}), ("rediss+cluster://a:7000,b", {7000, 6379, 7001}),
])
def test_every_port_of_the_store_is_let_out(url, ports):
    rules = egress({"store": {"to": PEER, "ports": [7001] if "+" in url else []}}, store={"url": url})
    assert {port["port"] for rule in rules if rule.get("to") == PEER for port in rule["ports"]} == ports


def test_a_proxy_takes_zentras_place():
    rules = egress({"zentra": {"to": PEER}}, zentra={"proxy": "http://proxy.egress:3128"})
    assert allowed(rules, 3128) == PEER and allowed(rules, 443) == []
    by_address = egress(zentra={"proxy": "http://10.1.2.3"})
    assert allowed(by_address, 80) == [{"ipBlock": {"cidr": "10.1.2.3/32"}}]
    by_address = egress(zentra={"proxy": "https://[fd00::1]:3129"})
    assert allowed(by_address, 3129) == [{"ipBlock": {"cidr": "fd00::1/128"}}]


def test_every_collector_is_let_out():
    collectors = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector.monitoring:4318",
                  "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://10.1.2.3/v1/traces"}
    rules = egress({"telemetry": {"to": PEER}}, openTelemetry=collectors)
    assert allowed(rules, 4318) == PEER and PEER[0] in allowed(rules, 443)
    [only] = [it for it in egress(openTelemetry={"OTEL_EXPORTER_OTLP_ENDPOINT": "http://[fd00::1]:4317"}) if
              it["ports"] == [{"port": 4317, "protocol": "TCP"}]]
    assert only["to"] == [{"ipBlock": {"cidr": "fd00::1/128"}}]


@pytest.mark.parametrize(("changes", "told"), [
    ({"zentra": {"proxy": "http://proxy:3128"}}, "networkPolicy.zentra.to is required with this zentra.proxy"),
    ({"zentra": {"url": "https://zentra.internal"}}, "networkPolicy.zentra.to is required with this zentra.url"),
    ({"openTelemetry": {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://collector:4318"}}, "networkPolicy.telemetry.to is required"),
    ({"store": {"url": "redis+sentinel://a,b/main"}}, "networkPolicy.store.ports is required"),
    ({"store": {"url": "rediss+cluster://a,b"}}, "networkPolicy.store.ports is required"),
])
def test_what_cannot_be_known_is_asked_for(changes, told):
    assert told in helm.refusal(values(**changes))
    # Without network policies nothing has to be known.
    helm.render(values({"enabled": False}, **changes))


@pytest.mark.parametrize("mode", [{}, {"mode": "include", "reconciler": {"enabled": True}}])
def test_a_monitor_that_no_scrape_would_get_through_to_is_refused(mode):
    watched = {"podMonitor": {"enabled": True}, **mode}
    assert "networkPolicy.monitoring is required with podMonitor.enabled" in helm.refusal(values(**watched))
    helm.render(values({"monitoring": PEER}, **watched))
    helm.render(values({"enabled": False}, **watched))


def test_policies_for_pods_that_are_not_there_are_refused():
    for mode in ("trial", "inject"):
        told = helm.refusal(Values(mode, {**IMAGES, "networkPolicy": {"enabled": True}}))
        assert "networkPolicy.enabled restricts the chart's own pods, and there are none" in told


def test_nothing_is_asked_for_that_stays_in_the_pod():
    helm.render(values(openTelemetry={"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}))
    helm.render(values(openTelemetry={"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_SDK_DISABLED": "true"}))
    helm.render(values(openTelemetry={"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_SDK_DISABLED": "TRUE"}))
    helm.render(values(zentra={"url": "https://sandbox.api.usezentra.com"}))


def test_a_profile_of_injection_is_asked_by_its_name():
    told = helm.refusal(Values("inject", {"reconciler": {"enabled": True}, "networkPolicy": {"enabled": True},
                                          "inject": {"profiles": {"live": {"zentra": {"proxy": "http://proxy:3128"}}}}}))
    assert "inject.profiles.live: networkPolicy.zentra.to is required" in told
    assert "sandbox" not in told


@pytest.mark.parametrize(("cidr", "part"), [
    ("10.0.0.0/8", "10.1.0.0/16"), ("10.0.0.0/8", "10.0.0.0/8"), ("10.0.0.0/8", "10.0.0.0/7"), ("10.0.0.0/8", "11.0.0.0/16"),
    ("0.0.0.0/0", "192.168.0.0/16"), ("10.1.2.129/25", "10.1.2.200/32"), ("10.1.2.129/25", "10.1.2.100/32"), ("10.0.0.0/8", "fd00::/16"),
    ("::/0", "fd00::/8"), ("fd00::/8", "fdff:1::/32"), ("fd00::/8", "fc00::/16"), ("2001:db8::/32", "2001:db8:0:1::/64"),
    ("2001:db8::/32", "2001:db9::/64"), ("1:2:3:4:5:6:7:0/112", "1:2:3:4:5:6:7:8/128"), ("1:2:3:4:5:6::/112", "::1:2:3:4:5:6/128"),
    ("::1/127", "::0/128"), ("::2/127", "::1/128"),
])
def test_an_exception_is_a_part_of_its_block(cidr, part):
    block, other = (ipaddress.ip_network(it, strict=False) for it in (cidr, part))
    good = block.version == other.version and block != other and other.subnet_of(block)
    for where in ("callers", "monitoring"):
        chosen = values({where: [{"ipBlock": {"cidr": cidr, "except": [part]}}]})
        if good:
            helm.render(chosen)
        else:
            told = helm.refusal(chosen)
            assert f"networkPolicy.{where}[0].ipBlock.except[0] is no part of its cidr that could be excepted" in told
            assert part not in told and cidr not in told
