"""The alert rules: each fires when it should, is silent when it should be, and leads to a runbook."""

import pathlib
import re

import pytest
import yaml

from promtool import ROOT, RULES, promtool, rules, said

STORIES = yaml.safe_load(pathlib.Path(__file__).with_name("alert_stories.yaml").read_text())["stories"]
RULE = {rule["alert"]: rule for rule in rules()}
ACCOUNT = 'account="shop",environment="live"'
SIDECARS = {
    f'zentra_sidecar_account_info{{job="shop",instance="{instance}",{ACCOUNT}}}': "1x200" for instance in "ab"
}


def as_promtool_reads_it(story: dict) -> dict:
    rule = RULE[story["alert"]]
    own = any(name.startswith("zentra_sidecar_account_info") for name in story["series"])
    series = story["series"] if own else SIDECARS | story["series"]
    # YAML reads 0x20 as a number where nobody quotes it.
    assert all(isinstance(values, str) for values in series.values()), "samples have to be quoted"
    fires = [
        {
            "exp_labels": alert["labels"] | rule["labels"],
            "exp_annotations": rule["annotations"] | {"description": alert["description"]},
        }
        for alert in story["fires"]
    ]
    return {
        "interval": "30s",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": [{"eval_time": story["at"], "alertname": story["alert"], "exp_alerts": fires}],
    }


@pytest.mark.parametrize("story", STORIES, ids=lambda story: f"{story['alert']}: {story['name']}")
def test_an_alert_fires_when_it_should(story, tmp_path):
    file = tmp_path / "story.yaml"
    test = as_promtool_reads_it(story)
    file.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "30s", "tests": [test]}))
    run = promtool("test", "rules", str(file))
    assert run.returncode == 0, said(run)


def test_every_alert_has_stories_of_both_kinds():
    fires = {story["alert"] for story in STORIES if story["fires"]}
    silent = {story["alert"] for story in STORIES if not story["fires"]}
    assert fires == silent == set(RULE)


def test_a_silent_story_is_about_what_its_alert_looks_at():
    for story in STORIES:
        names = {name.split("{")[0] for name in story["series"]}
        assert any(name in RULE[story["alert"]]["expr"] for name in names), story["name"]


def test_promtool_accepts_the_rules():
    run = promtool("check", "rules", "--lint=all", "--lint-fatal", str(RULES))
    assert run.returncode == 0, said(run)


def test_every_alert_says_how_bad_it_is_and_leads_to_a_section_of_its_own():
    sections = re.findall(r"^### (\w+)$", (ROOT / "docs" / "ON_CALL.md").read_text(), re.MULTILINE)
    for rule in rules():
        assert rule["labels"]["severity"] in ("critical", "warning"), rule["alert"]
        assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}, rule["alert"]
        assert rule["annotations"]["runbook_url"] == f"docs/ON_CALL.md#{rule['alert'].lower()}"
    assert [section for section in sections if section.startswith("Zentra")] == list(RULE)


def test_helm_takes_nothing_in_the_rules_for_its_own():
    """The chart loads the file as it is; were it ever rendered, only these would have to be kept."""
    braces = set(re.findall(r"\{\{.*?\}\}", RULES.read_text()))
    assert all(re.fullmatch(r"\{\{ \$(labels\.\w+|value)( \| humanize\w*)? \}\}", text) for text in braces), braces
