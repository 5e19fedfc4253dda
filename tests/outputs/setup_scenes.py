"""What is recorded of `entrepot setup` and `entrepot doctor`: clients of a mirror, and mistakes."""

from tests.outputs.scenes import Stage

_MIRROR = "--mirror http://10.0.0.5:5000 --root /srv/machine"


def point_clients(stage: Stage) -> None:
    """Show, write and undo what clients need, below a folder."""
    stage.begin("Pointing clients at the mirror")
    daemon = stage.folder / "machine" / "etc" / "docker" / "daemon.json"
    daemon.parent.mkdir(parents=True)
    daemon.write_text('{\n  "log-driver": "journald"\n}\n')
    for command, again in (
        ("setup", True),
        ("setup dockr", True),
        (f"setup docker {_MIRROR}", True),
        (f"setup docker {_MIRROR} --write", False),
        (f"setup docker {_MIRROR} --write", True),
        (f"setup docker {_MIRROR}", False),
        ("setup docker --undo --root /srv/machine", False),
        ("setup docker --undo --root /srv/machine", True),
        (f"setup containerd {_MIRROR}", False),
        (f"setup podman {_MIRROR} --registries docker.io", False),
        (f"setup podman {_MIRROR} --registries docker.io --write", False),
        (f"setup kind {_MIRROR}", False),
        ("setup kind --mirror http://127.0.0.1:5000", True),
        ("setup docker --mirror 10.0.0.5:5000", True),
        ("setup docker --mirror https://10.0.0.5:5000 --ca /srv/none.crt", True),
    ):
        stage.run(command, again=again)
    daemon.write_text('{\n  "log-driver": "journald", // of the site\n}\n')
    stage.run(f"setup docker {_MIRROR} --write")


def examine_clients(stage: Stage) -> None:
    """Ask why clients below a folder do not use a mirror, beside no server."""
    stage.begin("Whether clients use the mirror")
    (stage.folder / "nothing.toml").write_text(f'storage.path = "{stage.folder}/nothing"\n')
    words = "--root /srv/machine --config /srv/nothing.toml"
    for command in (
        f"doctor --mirror http://127.0.0.1:9 --client skopeo,k3s {words}",
        f"doctor --mirror http://127.0.0.1:9 --client skopeo --json {words}",
        "doctor --client dockr",
        "doctor --mirror 10.0.0.5:5000",
        "doctor --mirror http://127.0.0.1:9 --probe UPPER",
    ):
        stage.run(command)
