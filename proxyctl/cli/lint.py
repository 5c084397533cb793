"""Labels in files, checked before anything is created from them."""

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from proxyctl.cli import manifests, quadlet
from proxyctl.files.static import entries
from proxyctl.problems import Problem, Severity
from proxyctl.routes.claims import Claim, claims_of
from proxyctl.routes.conflicts import resolve
from proxyctl.routes.dialects.native import PREFIX
from proxyctl.routes.workload import Kind, Member, Phase, Workload
from proxyctl.settings import Settings
from proxyctl.textfile import Unreadable, listed, read_text

_SOME_PORT = (8080,)
"""Stands for the ports of an image, which is not looked at."""

_LABEL_IN_POD = (5, 6)
"""The first Podman whose Quadlet knows `Label=` in a .pod (podman#25961)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A workload as a file describes it."""

    workload: Workload
    file: str
    places: Mapping[str, str] = field(default_factory=dict)
    """Label -> file and line."""
    label_key: str = ""
    """Place of the first `Label=` in a .pod, "" if there is none."""
    is_part: bool = False
    """Its pod is described elsewhere, and may have the labels that publish it."""


@dataclass(frozen=True, slots=True)
class Found:
    """What was found in some files."""

    problems: tuple[Problem, ...]
    workloads: int
    files: str


Parsed = tuple[list[Draft], list[Problem]]


def lint(
    files: Iterable[Path], settings: Settings, podman: tuple[int, ...] | None = None
) -> Found:
    """Return what is wrong with the labels in *files*, one by one and among each other.

    `podman` is the version that is to read them; None: any.
    """
    drafts: list[Draft] = []
    problems: list[Problem] = []
    names = [str(file) for file in files]
    for name in names:
        more, wrong = _read(Path(name))
        # A .kube and its YAML may both be named.
        drafts += [draft for draft in more if draft not in drafts]
        problems += [problem for problem in wrong if problem not in problems]
    claims: list[Claim] = []
    for draft in drafts:
        made, mistakes = claims_of(draft.workload, settings)
        claims += made
        problems += [_placed(p, draft) for p in mistakes if not _is_elsewhere(p, draft)]
        if draft.label_key and podman and podman < _LABEL_IN_POD:
            problems.append(_vanishes(draft, podman))
    problems += resolve(claims, {}).problems
    listing = names[0] if len(names) == 1 else f"{len(names)} files"
    return Found(tuple(problems), len(drafts), listing)


def _is_elsewhere(problem: Problem, draft: Draft) -> bool:
    return problem.id == "PX104" and draft.is_part


def _placed(problem: Problem, draft: Draft) -> Problem:
    """Return *problem* with the file, and the line if its label has one."""
    label = re.split(r"[=,]", problem.where, maxsplit=1)[0]
    place = draft.places.get(label, draft.file)
    return replace(problem, where=f"{problem.where}      {place}")


def _read(file: Path) -> Parsed:
    parser = _PARSERS.get(file.suffix)
    if parser is None:
        known = " ".join(sorted(_PARSERS))
        return [], [_unreadable(file, f"not one of the kinds that are known: {known}")]
    try:
        return parser(file, read_text(file))
    except Unreadable as error:
        # A drop-in may be at fault, or the YAML of a .kube.
        return [], [_unreadable(file, error.why if error.path == file else str(error))]
    except RecursionError:
        return [], [_unreadable(file, "nested too deep, or in itself")]
    except ValueError as error:
        return [], [_unreadable(file, str(error))]


def _unreadable(file: Path, why: str) -> Problem:
    return Problem(
        id="PX501",
        subject=f'file "{file}"',
        summary="cannot be checked",
        where=why,
        effect="its labels are not known",
        fix="mend the file, or leave it out",
    )


# ---- Quadlet --------------------------------------------------------------------------------


def _quadlet(file: Path, text: str) -> Parsed:
    kind = Kind.POD if file.suffix == ".pod" else Kind.CONTAINER
    section = "Pod" if kind is Kind.POD else "Container"
    found = _with_dropins(file, text)
    given = quadlet.labels(found, section)
    name = quadlet.last(found, section, f"{section}Name") or file.stem
    pod = quadlet.last(found, "Container", "Pod")
    pairs = {one.label: one.value for one in given}
    draft = Draft(
        workload=_in_pod(name, pod, pairs) if pod else _workload(kind, name, pairs),
        file=str(file),
        places=quadlet.places_of(given),
        label_key=next((s.place for s in found if (s.section, s.key) == ("Pod", "Label")), ""),
        is_part=bool(pod),
    )
    surprises = [
        _surprise(draft, one)
        for one in given
        if one.surprise and one.label.startswith(PREFIX.removesuffix("."))
    ]
    return [draft], surprises


def _with_dropins(file: Path, text: str) -> list[quadlet.Setting]:
    """Return the settings of a unit file, and of its drop-ins in the order of their names."""
    dropins: dict[str, Path] = {}
    for folder in quadlet.dropin_folders(file.name):
        for one in listed(file.parent / folder, ".conf"):
            dropins.setdefault(one.name, one)
    found = list(quadlet.settings(text, str(file)))
    for _, one in sorted(dropins.items()):
        found += quadlet.settings(read_text(one), str(one))
    return found


def _surprise(draft: Draft, given: quadlet.Given) -> Problem:
    return Problem(
        id="PX502",
        subject=draft.workload.subject,
        summary="has a label that Quadlet reads in another way than it looks",
        where=f"{given.label}={given.value}      {given.place}",
        effect="the label gets another value, or none",
        fix=given.surprise,
        severity=Severity.WARNING,
        workload=draft.workload.uid,
    )


def _vanishes(draft: Draft, podman: tuple[int, ...]) -> Problem:
    return Problem(
        id="PX503",
        subject=draft.workload.subject,
        summary="has Label= in its .pod file, which Quadlet knows since Podman 5.6",
        where=f"{draft.label_key}      Podman here: {'.'.join(map(str, podman))}",
        effect="Quadlet makes no unit of the file, and the pod is not started",
        fix="write PodmanArgs=--label=KEY=VALUE instead of Label=KEY=VALUE",
        severity=Severity.WARNING,
        workload=draft.workload.uid,
    )


def _kube_unit(file: Path, text: str) -> Parsed:
    yaml = quadlet.last(_with_dropins(file, text), "Kube", "Yaml")
    if not yaml:
        raise ValueError("no Yaml= in section [Kube]")
    if Path(yaml).suffix not in {".yaml", ".yml"}:
        raise ValueError(f"Yaml={yaml} is no .yaml or .yml")
    return _read(file.parent / yaml)


# ---- others ---------------------------------------------------------------------------------


def _yaml(file: Path, text: str) -> Parsed:
    drafts = [
        Draft(
            workload=_workload(Kind(one.kind), one.name, {k: v for k, v, _ in one.labels}),
            file=str(file),
            places={key: f"{file}:{line}" for key, _, line in one.labels},
        )
        for one in manifests.read(text)
    ]
    return drafts, []


def _toml(file: Path, text: str) -> Parsed:
    workloads, problems = entries(tomllib.loads(text), str(file))
    drafts = [
        Draft(
            workload=replace(workload, origin=""),
            file=str(file),
            places={
                label: f"{file}:{line}"
                for label, line in _toml_lines(text, workload.name, workload.labels).items()
            },
        )
        for workload in workloads
    ]
    return drafts, list(problems)


def _toml_lines(text: str, table: str, labels: Iterable[tuple[str, str]]) -> dict[str, int]:
    """Return the lines of labels, as far as they are written in the plain way."""
    lines: dict[str, int] = {}
    prefix: str | None = None
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[\s*([^]]+?)\s*\]", line)
        if header:
            first, _, rest = header[1].replace('"', "").partition(".")
            prefix = PREFIX + (f"{rest}." if rest else "") if first == table else None
        elif prefix is not None and "=" in line:
            key = line.partition("=")[0].strip().replace('"', "")
            lines.setdefault(prefix + key, number)
    known = {label for label, _ in labels}
    return {label: number for label, number in lines.items() if label in known}


def _workload(kind: Kind, name: str, labels: Mapping[str, str]) -> Workload:
    return Workload(
        kind=kind,
        id=name,
        name=name,
        labels=tuple(sorted(labels.items())),
        members=(Member(id=name, name=name, exposed=_SOME_PORT),),
        phase=Phase.STOPPED,
    )


def _in_pod(name: str, pod: str, labels: Mapping[str, str]) -> Workload:
    """Return the pod of a .container that names one, as far as this container tells of it."""
    member = Member(id=name, name=name, labels=tuple(sorted(labels.items())), exposed=_SOME_PORT)
    own = pod.removesuffix(".pod")
    return Workload(kind=Kind.POD, id=own, name=own, members=(member,), phase=Phase.STOPPED)


_PARSERS: Mapping[str, Callable[[Path, str], Parsed]] = {
    ".container": _quadlet,
    ".pod": _quadlet,
    ".kube": _kube_unit,
    ".yaml": _yaml,
    ".yml": _yaml,
    ".toml": _toml,
}
