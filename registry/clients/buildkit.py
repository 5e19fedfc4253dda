"""BuildKit and buildx: `buildkitd.toml`. Pure."""

from registry.clients.edits import AddItem, Edit, SetValue
from registry.clients.mirror import Mirror
from registry.clients.plan import ClientPlan, FileEdits, Reader, Scope, install_ca


def plan_buildkit(mirror: Mirror, scope: Scope, read: Reader) -> ClientPlan:
    """Return what buildkitd needs, and how buildx makes a builder with it."""
    del read  # its one file is merged, whatever it has
    folder = scope.choose("/etc/buildkit", ".config/buildkit")
    path, ca = folder / "buildkitd.toml", folder / "entrepot-ca.crt"
    edits: list[Edit] = [
        AddItem(("registry", name, "mirrors"), mirror.host) for name in mirror.registries
    ]
    if mirror.is_plain:
        edits.append(SetValue(("registry", mirror.host, "http"), value=True))
    if mirror.ca:
        edits.append(AddItem(("registry", mirror.host, "ca"), str(ca)))
    network = " --driver-opt network=host" if mirror.is_local else ""
    create = f"docker buildx create --use{network} --buildkitd-config {path}"
    return ClientPlan(
        files=(*install_ca(mirror, ca), FileEdits(path, "toml", tuple(edits))),
        steps=(create,),
        checks=("docker buildx build --no-cache --pull .",),
        notes=tuple(_list_notes(mirror)),
    )


def _list_notes(mirror: Mirror) -> list[str]:
    exists = "A builder that exists keeps its configuration: remove it first (`docker buildx rm`)."
    built_in = (
        "`docker build` without such a builder uses what dockerd uses: `entrepot setup docker`"
    )
    notes = [exists, "A buildkitd of your own has to be restarted.", built_in]
    if mirror.token:
        notes.append(
            "BuildKit takes no token from this file, but after a login, if the host is one of"
            f" access.login_hosts: `docker login {mirror.host}`"
        )
    return notes
