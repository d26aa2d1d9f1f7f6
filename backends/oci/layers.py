"""The files in a manifest's layers: which they are, as far as the manifest tells."""

from __future__ import annotations

from typing import Final, NamedTuple

from backends.oci import names
from backends.oci.manifest import Descriptor, Manifest

UNPACK: Final = "io.deis.oras.content.unpack"
_LONGEST_PATH: Final = 1024
_LONGEST_PART: Final = 255
_TARS: Final = ("tar", "tar+gzip", ".tar", ".tar.gz", ".tgz")


class LayerFile(NamedTuple):
    """A file, and the layer that holds it: alone in a tar of ours, or as the layer itself."""

    path: str
    bytes: int
    sha256: str
    """Empty where nobody said it."""
    layer: Descriptor
    plain: bool = False
    """The layer is the file."""


def files_in(found: Manifest) -> tuple[LayerFile, ...]:
    """Those that the manifest itself names, by path. What lies in archives of others' is known once they are here."""
    files: dict[str, LayerFile] = {}
    for layer in found.layers:
        said = layer.annotations
        path, digits = said.get(names.PATH, ""), said.get(names.BYTES, "")
        if path and digits.isascii() and digits.isdigit() and len(digits) < 16:
            sha256 = said.get(names.SHA256, "")
            if inner(path):
                files[path] = LayerFile(path, int(digits), sha256 if len(sha256) == 64 else "", layer)
        elif (title := said.get(names.TITLE, "")) and not archived(layer) and inner(title):
            files[title] = LayerFile(title, layer.size, layer.digest.removeprefix("sha256:"), layer, plain=True)
    return tuple(sorted(files.values()))


def whole_layers(found: Manifest) -> tuple[Descriptor, ...]:
    """Archives of which the manifest does not tell what is in them."""
    return tuple(each for each in found.layers if archived(each) and not each.annotations.get(names.PATH))


def archived(layer: Descriptor) -> bool:
    """Whether the layer is a tar archive, by its type."""
    if layer.annotations.get(UNPACK) == "true":
        return True
    kit = names.KIT_LAYER.fullmatch(layer.media_type)
    return kit is not None or layer.media_type.endswith(_TARS)


def inner(path: str) -> bool:
    """Whether a path stays within the folder it is unpacked in, and is one that an artifact may have."""
    parts = path.split("/")
    return (
        len(path.encode("utf-8", "surrogatepass")) <= _LONGEST_PATH
        and "\\" not in path
        and path.isprintable()
        and not any(
            part in ("", ".", "..") or len(part.encode("utf-8", "surrogatepass")) > _LONGEST_PART for part in parts
        )
    )
