"""Kubernetes YAML and compose files as text: who has which labels, and on which line. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

import yaml

_TEMPLATES = frozenset({"Deployment", "DaemonSet", "Job", "StatefulSet"})


@dataclass(frozen=True, slots=True)
class Labelled:
    """Something with labels."""

    kind: str
    """`pod` or `container`."""
    name: str
    labels: tuple[tuple[str, str, int], ...]
    """Key, value, number of the line."""


def read(text: str) -> tuple[Labelled, ...]:
    """Return what the documents of a YAML text label. Raises ValueError with the place."""
    try:
        documents = [node for node in yaml.compose_all(text, Loader=yaml.SafeLoader) if node]
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error
    found = tuple(one for node in documents for one in _document(node))
    if not documents or (not found and not any(_is_known(node) for node in documents)):
        raise ValueError("neither a compose file (services) nor Kubernetes YAML (kind)")
    return found


def _is_known(node: yaml.Node) -> bool:
    return _child(node, "services") is not None or _child(node, "kind") is not None


def _document(node: yaml.Node) -> Iterator[Labelled]:
    services = _child(node, "services")
    if services is not None:
        if not isinstance(services, yaml.MappingNode):
            raise ValueError("services is no mapping")
        for name, _, service in _pairs(services):
            own = _text(_child(service, "container_name")) or name
            yield Labelled("container", own, _labels(_child(service, "labels")))
        return
    kind = _text(_child(node, "kind"))
    metadata = _child(node, "metadata")
    name = _text(_child(metadata, "name"))
    if kind == "Pod":
        yield Labelled("pod", name, _labels(_child(metadata, "labels")))
    elif kind in _TEMPLATES:  # Podman calls the pod of a Deployment so
        template = _child(_child(node, "spec"), "template")
        labels = _child(_child(template, "metadata"), "labels")
        yield Labelled("pod", f"{name}-pod", _labels(labels))


def _pairs(node: yaml.Node | None) -> Iterator[tuple[str, int, yaml.Node]]:
    """Yield key, line and value of a mapping; merged mappings (`<<`) first."""
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        if key.value == "<<":
            merged = value.value if isinstance(value, yaml.SequenceNode) else [value]
            for one in merged:
                yield from _pairs(one)
    for key, value in node.value:
        if isinstance(key, yaml.ScalarNode) and key.value != "<<":
            yield key.value, key.start_mark.line + 1, value


def _child(node: yaml.Node | None, key: str) -> yaml.Node | None:
    return {name: value for name, _, value in _pairs(node)}.get(key)


def _text(node: yaml.Node | None) -> str:
    is_null = node is not None and node.tag.endswith(":null")
    return node.value if isinstance(node, yaml.ScalarNode) and not is_null else ""


def _labels(node: yaml.Node | None) -> tuple[tuple[str, str, int], ...]:
    """Return the labels of a mapping, or of compose's list of `key=value`."""
    if isinstance(node, yaml.SequenceNode):
        rows = []
        for item in node.value:
            key, _, value = _text(item).partition("=")
            rows.append((key, value, item.start_mark.line + 1))
        return tuple(rows)
    return tuple((key, _text(value), line) for key, line, value in _pairs(node))
