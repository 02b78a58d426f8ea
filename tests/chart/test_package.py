"""The chart as a package, and what Helm prints after an installation."""

import yaml

import helm
from helm import CHART, IMAGES, Values

TRIAL = Values("trial", IMAGES)


def notes(values: Values) -> str:
    """What `helm install` would print; nothing is installed."""
    done = helm.run("install", values.release, str(CHART), "--namespace", "shop", "--dry-run=client",
                    "--values", str(helm.EXAMPLES / f"{values.example}.yaml"), "--values", "-",
                    given=yaml.safe_dump(values.changes))
    assert done.returncode == 0, done.stderr
    return done.stdout.split("NOTES:\n")[1]


def test_the_package_is_the_chart(tmp_path):
    done = helm.run("package", str(CHART), "--destination", str(tmp_path))
    assert done.returncode == 0, done.stderr
    [package] = tmp_path.glob("*.tgz")
    values = Values("gateway")
    _, _, *more = values.arguments()
    packed = helm.run("template", values.release, str(package), *more, given="{}")
    assert packed.returncode == 0, packed.stderr
    assert packed.stdout == helm.template(values).stdout


def test_the_notes_name_what_is_there():
    told = notes(TRIAL)
    rendered = helm.render(TRIAL)
    assert f"deploy/{helm.one(rendered, 'Deployment', 'trial-zentra-sidecar-trial')['metadata']['name']} " in told
    assert "forgets everything" in told
    assert "There is no policy" in told
    gateway = notes(Values("gateway"))
    service = helm.one(helm.render(Values("gateway")), "Service")
    address = f"{service['metadata']['name']}.{service['metadata']['namespace']}.svc:{service['spec']['ports'][0]['port']}"
    assert f"dns:///{address}" in gateway
    assert "There is no policy" not in gateway


def test_the_notes_warn_of_what_stays_unknown():
    assert "stay unknown" in notes(Values("gateway", {"reconciler": {"enabled": False}}))
    assert "stay unknown" not in notes(Values("gateway"))
