"""Documents that other programs make Kubernetes objects of; their images are known after that."""

from collections.abc import Mapping
from pathlib import PurePath
from types import MappingProxyType

from registry.image_lists.yaml_tree import Node

_HELM, _KUSTOMIZE = "helm template ...", "kustomize build ..."
_BY_KIND: Mapping[str, str] = MappingProxyType(
    {
        "Kustomization": _KUSTOMIZE,
        "Component": _KUSTOMIZE,
        "HelmRelease": _HELM,
        "HelmChart": _HELM,
        "HelmChartConfig": _HELM,
        "Application": "argocd app manifests ...",
        "ApplicationSet": "argocd app manifests ...",
    }
)
# Only of these groups; the words mean other things elsewhere.
_GROUPS: Mapping[str, str] = MappingProxyType(
    {
        "Component": "kustomize.config.k8s.io",
        "Application": "argoproj.io",
        "ApplicationSet": "argoproj.io",
    }
)
# The kind of a kustomization may be left out, so its file has always one of these names.
_BY_FILE: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(("kustomization.yaml", "kustomization.yml", "kustomization"), _KUSTOMIZE)
    | {"chart.yaml": _HELM}
)


def find_render_command(node: Node, api: str, kind: str, source: str) -> str:
    """Return the command that makes objects of a document of `source`; "" if it is one itself."""
    group = api.partition("/")[0]
    if kind in _BY_KIND and group == _GROUPS.get(kind, group):
        return _BY_KIND[kind]
    if kind:
        return "skaffold render" if kind == "Config" and group == "skaffold" else ""
    if any("chart" in each.fields for each in node.find("releases").items):
        return "helmfile template"
    return _BY_FILE.get(PurePath(source).name.lower(), "")
