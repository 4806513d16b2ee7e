"""What a person should hear of a set of DICOM files before their images are used."""

from collections import Counter
from collections.abc import Iterable

from lib.data.pictures.arrays import OWN_PERSON, PICTURE_SUFFIXES, ImageFile, dicom
from lib.data.pictures.volumes import suffix_of


def notes_on(files: Iterable[ImageFile]) -> list[str]:
    """Sentences for a person, each once; none where there is nothing to say."""
    files = set(files)
    return [note for note in (screen_note(files), person_note(files), burnt_in_note(files)) if note]


def burnt_in_note(files: Iterable[ImageFile]) -> str:
    """Of the files that tell that names stand in the pixels, where nothing takes them out."""
    paths = sorted({file.path for file in files if _is_dicom(file)})
    found = [path.name for path in paths if dicom.says_burnt_in(path)]
    if not found:
        return ""
    return (
        f"WARNING: {len(found)} DICOM files say that a name or a date is written in the picture "
        f"(BurnedInAnnotation), such as {found[0]}: pictures of the run will show it too"
    )


def screen_note(files: Iterable[ImageFile]) -> str:
    """Of the images that show all of a scanner's screen, by the region that their files tell."""
    images = Counter(file.path for file in set(files) if _is_dicom(file))
    regions = {path: region for path in images if (region := dicom.region_of(path))}
    if not regions:
        return ""
    count = sum(images[path] for path in regions)
    alike = Counter(regions.values()).most_common()
    top, bottom, left, right = alike[0][0]
    where = "" if len(alike) == 1 else f" (in most; {len(alike)} places in all)"
    return (
        f"{count} DICOM images show a scanner's screen: the picture is rows {top} to {bottom - 1}, "
        f"columns {left} to {right - 1}{where}; crop them before labelling, or the network sees "
        "the screen too"
    )


def person_note(files: Iterable[ImageFile]) -> str:
    """Of the DICOM files that name nobody where others do."""
    alone = sorted({file.path.name for file in files if file.subject.startswith(OWN_PERSON)})
    if not alone:
        return ""
    return (
        f"{len(alone)} DICOM files have no PatientID, where others have one: each is taken as a "
        f"person of its own, such as {alone[0]}"
    )


def _is_dicom(file: ImageFile) -> bool:
    return suffix_of(file.path) not in PICTURE_SUFFIXES and dicom.is_dicom(file.path)
