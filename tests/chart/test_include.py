"""A service's own chart that depends on this one, as a developer would write it."""

import shutil

import yaml

import admission
import helm
import schemas
from helm import EXAMPLES
from test_pod_security import breaches


def render(chart, *arguments: str, given: str = "") -> list[dict]:
    done = helm.run("template", "shop", str(chart), "--kube-version", "1.33.0", *arguments, "--values", "-", given=given or "{}")
    assert done.returncode == 0, done.stderr
    return helm.objects(done.stdout)


def test_the_example_service_gets_its_sidecar(charts):
    rendered = render(charts)
    for version in helm.VERSIONS:
        for thing in rendered:
            schemas.validate(thing, version)
    deployment = helm.one(rendered, "Deployment")
    pod = deployment["spec"]["template"]["spec"]
    first = pod["initContainers"][0]
    assert first["name"] == "zentra-sidecar" and first["restartPolicy"] == "Always"
    assert "readinessProbe" not in first
    assert first["image"] == "registry.example.com/zentra-sidecar:0.1.0"
    environment = {it["name"]: it.get("value") for it in first["env"]}
    assert environment["SIDECAR_STORE"] == "redis://payments-redis:6379"
    assert environment["SIDECAR_CARD_DATA"] == "refuse"
    volumes = {it["name"] for it in pod["volumes"]}
    assert {it["name"] for it in first["volumeMounts"]} == volumes
    # The service's own container too: what is copied from here is to start under the restricted profile.
    assert breaches(pod) == [] and pod["automountServiceAccountToken"] is False
    assert deployment["spec"]["template"]["metadata"]["labels"]["zentra.io/sidecar"] == "shop-zentra-sidecar"


def test_the_caller_is_the_pods_namespace_and_service_account(charts):
    pod = helm.one(render(charts), "Deployment")["spec"]["template"]["spec"]
    environment = {it["name"]: it for it in helm.sidecar(pod)["env"]}
    names = list(environment)
    for name, field in (("POD_NAMESPACE", "metadata.namespace"), ("POD_SERVICE_ACCOUNT", "spec.serviceAccountName")):
        assert environment[name]["valueFrom"]["fieldRef"]["fieldPath"] == field
        # Kubernetes puts in only what stands before.
        assert names.index(name) < names.index("SIDECAR_CALLER")
    assert environment["SIDECAR_CALLER"]["value"] == "$(POD_NAMESPACE)/$(POD_SERVICE_ACCOUNT)"


def test_a_service_can_leave_the_sidecar_out(charts):
    rendered = render(charts, given="zentra-sidecar: {enabled: false, policy: {files: {a.cedar: x}}}")
    assert {it["kind"] for it in rendered} == {"Deployment", "ServiceAccount"}
    pod = helm.one(rendered, "Deployment")["spec"]["template"]
    assert "initContainers" not in pod["spec"] and "volumes" not in pod["spec"]
    assert pod["metadata"]["labels"] == {"app": "checkout"}


def test_a_chart_that_forgets_the_condition_is_told(charts, tmp_path):
    forgetful = tmp_path / "zentra-sidecar"
    shutil.copytree(charts.parents[1], forgetful)
    file = forgetful / "examples/service/Chart.yaml"
    chart = yaml.safe_load(file.read_text())
    del chart["dependencies"][0]["condition"]
    file.write_text(yaml.safe_dump(chart))
    done = helm.run("template", "shop", str(file.parent), "--set", "zentra-sidecar.enabled=false")
    assert done.returncode != 0 and "enabled is for the condition" in done.stderr


def test_the_registrys_secrets_are_the_pods(charts):
    pods = [helm.one(render(charts, given=given), "Deployment")["spec"]["template"]["spec"]
            for given in ("zentra-sidecar: {image: {pullSecrets: [registry, '123']}}", "{}")]
    assert pods[0]["imagePullSecrets"] == [{"name": "registry"}, {"name": "123"}]
    assert "imagePullSecrets" not in pods[1]


def test_what_is_missing_is_told_by_name(charts):
    done = helm.run("template", "shop", str(charts), "--set", "zentra-sidecar.store.url=,zentra-sidecar.image.repository=")
    assert done.returncode != 0
    assert "2 values are wrong" in done.stderr and "store.url is required" in done.stderr


def test_the_dependency_can_have_an_alias(charts, tmp_path):
    renamed = tmp_path / "zentra-sidecar"
    shutil.copytree(charts.parents[1], renamed)
    service = renamed / "examples/service"
    chart = yaml.safe_load((service / "Chart.yaml").read_text())
    chart["dependencies"][0]["alias"] = "payments"
    (service / "Chart.yaml").write_text(yaml.safe_dump(chart))
    template = service / "templates/deployment.yaml"
    template.write_text(template.read_text().replace('(index .Values "zentra-sidecar")', ".Values.payments"))
    chart["dependencies"][0]["condition"] = "payments.enabled"
    (service / "Chart.yaml").write_text(yaml.safe_dump(chart))
    values = yaml.safe_load((EXAMPLES / "include.yaml").read_text())
    (service / "values.yaml").write_text(yaml.safe_dump({"payments": values["zentra-sidecar"]}))
    (service / "Chart.lock").unlink(missing_ok=True)
    done = helm.run("dependency", "build", str(service))
    assert done.returncode == 0, done.stderr
    forgotten = helm.run("template", "shop", str(service))
    assert forgotten.returncode != 0 and '(index .Subcharts "alias")' in forgotten.stderr
    for name in ("container", "volumes", "imagePullSecrets", "podLabels"):
        text = template.read_text().replace(f'"zentra-sidecar.{name}" .', f'"zentra-sidecar.{name}" (index .Subcharts "payments")')
        template.write_text(text)
    pod = helm.one(render(service), "Deployment")["spec"]["template"]["spec"]
    assert helm.sidecar(pod)["image"] == "registry.example.com/zentra-sidecar:0.1.0"


def test_a_policy_of_the_service_becomes_a_config_map_that_the_sidecar_mounts(charts):
    rendered = render(charts, given=yaml.safe_dump({"zentra-sidecar": {"policy": {"files": {"a.cedar": "permit (principal, action, resource);"}}}}))
    made = helm.one(rendered, "ConfigMap")["metadata"]["name"]
    pod = helm.one(rendered, "Deployment")["spec"]["template"]["spec"]
    assert {"name": made, "defaultMode": 0o444} in [it.get("configMap") for it in pod["volumes"]]
    assert "/etc/zentra-sidecar/policy" in [it["mountPath"] for it in helm.sidecar(pod)["volumeMounts"]]


def test_each_of_two_accounts_has_a_monitor_of_its_own_pods(charts, tmp_path):
    accounts = ("live", "sandbox")
    (tmp_path / "templates").mkdir()
    dependency = {"name": "zentra-sidecar", "version": "0.1.0", "repository": f"file://{charts.parents[1]}"}
    (tmp_path / "Chart.yaml").write_text(yaml.safe_dump({
        "apiVersion": "v2", "name": "shop", "version": "0.1.0", "dependencies": [{**dependency, "alias": it} for it in accounts]}))
    (tmp_path / "templates/pods.yaml").write_text("""
{{- range $alias, $_ := .Subcharts }}
---
kind: Pod
metadata:
  name: {{ $alias }}
  labels:
    {{- include "zentra-sidecar.podLabels" . | nindent 4 }}
{{- end }}
""")
    done = helm.run("dependency", "build", str(tmp_path))
    assert done.returncode == 0, done.stderr
    rendered = render(tmp_path, given=yaml.safe_dump({it: {"podMonitor": {"enabled": True}} for it in accounts}))
    labels = {it["metadata"]["name"]: it["metadata"]["labels"] for it in rendered if it["kind"] == "Pod"}
    selected = {it["metadata"]["name"]: [name for name in accounts if admission.selects(it["spec"]["selector"], labels[name])]
                for it in rendered if it["kind"] == "PodMonitor"}
    assert selected == {f"shop-{it}": [it] for it in accounts}
