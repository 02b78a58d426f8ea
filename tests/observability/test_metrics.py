"""What a sidecar tells Prometheus after real traffic, and what the rules and the dashboard ask for."""

import json
import re

import pytest
import yaml

from exposition import Exposition
from fleet import until
from promtool import DASHBOARD, ROOT, SCRAPED, panels, plain, promtool, queries, rules, said, selectors, words


@pytest.fixture(scope="session")
def exposed(watched) -> Exposition:
    return Exposition("\n".join(watched.texts))


def asked() -> list[tuple[str, str]]:
    return [(rule["alert"], rule["expr"]) for rule in rules()] + queries()


def constants(module: str) -> dict[str, str]:
    """The names of one module of src/telemetry/names.rs."""
    code = (ROOT / "src" / "telemetry" / "names.rs").read_text()
    body = code.split(f"pub mod {module} {{")[1].split("\n}")[0]
    return dict(re.findall(r'pub const (\w+): &str =\s*"([^"]+)"', body))


def test_promtool_accepts_the_metrics(watched):
    for text in watched.texts:
        run = promtool("check", "metrics", given=text)
        assert run.returncode == 0, said(run)
        assert not said(run).strip()


def test_every_metric_of_the_code_is_seen_after_traffic_and_no_other(exposed):
    endings = ("", "_total", "_seconds")
    expected = {}
    for name in constants("metric").values():
        base = name.replace(".", "_")
        expected[name] = [base + ending for ending in endings if base + ending in exposed.families]
    unseen = [name for name, found in expected.items() if len(found) != 1]
    assert not unseen, unseen
    seen = {found for families in expected.values() for found in families}
    assert exposed.families - seen == {"target_info"}


def test_no_label_holds_what_a_caller_chose(watched, exposed):
    told = set(constants("attribute").values()) | set(constants("label").values())
    names = {name.replace(".", "_") for name in told}
    about_the_process = {"service_name", "service_version", "service_instance_id"}
    sdk = {name for name in exposed.labels["target_info"] if name.startswith("telemetry_sdk_")}
    assert exposed.all_labels() - names - about_the_process - sdk == {"le"}
    text = "\n".join(watched.texts)
    chosen = [*watched.references, watched.wallet.customer_id, watched.wallet.token.id]
    assert not [name for name in chosen if name in text]


def test_the_process_goes_by_its_name(exposed):
    assert exposed.values["target_info", "service_name"] == {"zentra-sidecar"}


@pytest.mark.parametrize("title, expression", asked(), ids=lambda text: text[:60])
def test_every_name_that_is_asked_for_is_there(exposed, title, expression):
    known = set(exposed.labels) | exposed.all_labels() | SCRAPED
    assert words(expression) <= known, words(expression) - known
    assert selectors(expression)
    for metric, matchers in selectors(expression):
        assert metric in exposed.labels, metric
        for label, operator, value in matchers:
            assert label in exposed.labels[metric] | SCRAPED, f"{metric} has no label {label}"
            if operator == "=" and value:
                known = exposed.values[metric, label] | possible(label)
                assert value in known, f"{metric} is never {label}={value}"


def possible(label: str) -> set[str]:
    """Values that this traffic need not bring about."""
    if label == "reason":
        return set(re.findall(r'Self::\w+ => "([A-Z_]+)"', (ROOT / "src" / "error" / "reason.rs").read_text()))
    if label == "effect":
        return set(re.findall(r'Self::\w+ => "([a-z_]+)"', (ROOT / "src" / "policy" / "decision.rs").read_text()))
    return {"401"} if label == "http_response_status_code" else set()


def test_promtool_can_read_every_query(tmp_path):
    recorded = [{"record": f"query_{number}", "expr": query} for number, (_, query) in enumerate(queries())]
    file = tmp_path / "queries.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": recorded}]}))
    run = promtool("check", "rules", str(file))
    assert run.returncode == 0, said(run)
    assert f"{len(recorded)} rules found" in said(run)


def test_what_is_open_adds_up_over_accounts_and_the_oldest_of_all_is_shown(tmp_path):
    counts = ("zentra_sidecar_payments_unknown", "zentra_sidecar_payments_open", "zentra_sidecar_payments_conflict")
    age = "zentra_sidecar_payments_unknown_oldest_age_seconds"
    # Two accounts' sidecars. Of each account only the reconciler that leads shows these, and for a while
    # the one that led before it.
    values = {name: (2, 1, 3) for name in counts} | {age: (20, 25, 30)}
    sidecars = (("shop", "a"), ("shop", "b"), ("club", "a"))
    series = [
        {"series": f'{name}{{job="{job}",instance="{instance}"}}', "values": str(value)}
        for name, all_values in values.items() for (job, instance), value in zip(sidecars, all_values)
    ] + [
        {"series": f'zentra_sidecar_account_info{{job="{job}",instance="{instance}",account="{job}",environment="live"}}',
         "values": "1"} for job, instance in sidecars
    ]
    wanted = {name: 5 for name in counts} | {age: 30}
    tests = [
        {"expr": query, "eval_time": "0", "exp_samples": [{"labels": "{}", "value": wanted[metric]}]}
        for _, query in queries() for metric, _ in selectors(query) if metric in wanted
    ]
    assert len(tests) >= len(wanted)
    file = tmp_path / "sums.yaml"
    file.write_text(yaml.safe_dump({"tests": [{"interval": "30s", "input_series": series, "promql_expr_test": tests}]}))
    run = promtool("test", "rules", str(file))
    assert run.returncode == 0, said(run)


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel["title"])
def test_every_panel_shows_something_and_names_it(watched, panel):
    for target in panel["targets"]:
        until(lambda: watched.history(plain(target["expr"])), f"{panel['title']} shows something")
        shown = watched.history(plain(target["expr"]))
        for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
            assert any(label in series["metric"] for series in shown), f"no series has {label}"


def test_every_query_heeds_what_was_chosen():
    for title, expression in [(p["title"], t["expr"]) for p in panels() for t in p["targets"]]:
        for metric, matchers in selectors(expression):
            chosen = [(label, operator, value) for label, operator, value in matchers if label in SCRAPED]
            assert chosen == [("job", "=~", "$job"), ("instance", "=~", "$instance")], f"{title}: {metric}"


def test_the_choices_come_from_what_is_there(exposed):
    variables = json.loads(DASHBOARD.read_text())["templating"]["list"]
    names = [variable["name"] for variable in variables]
    assert names == ["datasource", "account", "environment", "job", "instance"]
    for variable in variables[1:]:
        metric, label = re.fullmatch(r"label_values\((\w+)(?:\{.*\})?, (\w+)\)", variable["definition"]).groups()
        assert metric in exposed.labels
        assert label in exposed.labels[metric] | SCRAPED


def test_every_panel_says_what_it_shows_and_has_an_id_and_a_place_of_its_own():
    board = json.loads(DASHBOARD.read_text())
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    assert len({panel["title"] for panel in panels()}) == len(panels())
    taken = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        assert panel["type"] == "row" or (panel["description"] and panel["datasource"]["uid"] == "${datasource}")
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                 for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken and place["x"] + place["w"] <= 24, panel["title"]
        taken |= cells


def test_no_payment_of_a_minute_ago_is_told_to_be_older(watched):
    shown = watched.history("zentra_sidecar_payments_unknown_oldest_age_seconds")
    ages = [float(value) for series in shown for _, value in series["values"]]
    assert max(ages) > 0, "a charge was under way while the reconciler counted"
    assert max(ages) < 120


def test_the_rules_fire_at_a_real_prometheus_when_an_outcome_is_not_stored(watched):
    def firing():
        return {(alert["labels"]["alertname"], alert["labels"].get("account")): alert["labels"]
                for alert in watched.ask("alerts")["alerts"] if alert["state"] == "firing"}

    name = ("ZentraOutcomesNotStored", "default")
    until(lambda: name in firing(), "the alert fires")
    assert firing()[name]["operation"] == "charge"
    # The store is gone since a moment ago, and nothing else is wrong.
    assert {alert for alert, _ in firing()} <= {name[0], "ZentraStoreUnreachable", "ZentraSidecarNotReady"}
    health = [rule for group in watched.ask("rules")["groups"] for rule in group["rules"]]
    assert {rule["name"] for rule in health} == {rule["alert"] for rule in rules()}
    assert {rule["health"] for rule in health} == {"ok"}, health
