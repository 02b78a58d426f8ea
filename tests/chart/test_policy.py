"""The policy's ConfigMap: the program takes what the chart makes of the values, byte for byte."""

import os
import subprocess

import helm
from helm import Values


def check(folder) -> subprocess.CompletedProcess:
    return subprocess.run([os.environ["ZENTRA_SIDECAR_BIN"], "policy", "check", str(folder)], text=True, capture_output=True, timeout=60)


def test_the_examples_policy_is_one_that_the_program_takes(tmp_path):
    files = helm.one(helm.render(Values("gateway")), "ConfigMap", "trial-zentra-sidecar-policy")["data"]
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    done = check(tmp_path)
    assert done.returncode == 0, done.stderr
    for rule in ("checkout-charges", "checkout-reads", "customer-day"):
        assert rule in done.stdout
    # Whoever is not named may do nothing.
    assert "permit (principal, action, resource)" not in files["rules.cedar"]


def test_a_policys_text_stays_as_it_is(tmp_path):
    text = "// \"quotes\", 'others', {{ braces }}, # and: colons\n\n\tforbid (principal, action, resource);  \n// ä\\n\n"
    files = helm.one(helm.render(Values("gateway", {"policy": {"files": {"rules.cedar": text}}})), "ConfigMap", "trial-zentra-sidecar-policy")["data"]
    assert files["rules.cedar"] == text
    (tmp_path / "rules.cedar").write_text(files["rules.cedar"])
    assert check(tmp_path).returncode == 0
