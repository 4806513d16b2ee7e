"""What 04 says of readers."""

from typing import Any

from lib.artifacts.run import Run
from lib.decision.results import Results
from lib.metric import Metric
from lib.readers.rows import TWIN
from lib.runtime.files import save_table


def save_readers(results: Results) -> None:
    """Writes readers.csv and says what is in it; no such file where nobody labelled twice."""
    path = Run.of(results.config).readers
    if results.readers is None:
        path.unlink(missing_ok=True)
        return
    save_table(path, results.readers)
    print(readers_text(results.decision["readers"]))


def readers_text(found: dict[str, Any] | None) -> str:
    """Of the key "readers" of decision.json; "" where nobody read twice."""
    if found is None:
        return ""
    lines = [_head(found), *_table(found), presence_text(found["all"]["presence"], found["names"])]
    lines += [area_text(areas) for areas in found["all"]["areas"]]
    lines += [answer_text(answer, found) for answer in found["all"]["as_good_as_a_reader"]]
    return "\n".join([*filter(None, lines), *filter(None, [found["caution"]])])


def _head(found: dict[str, Any]) -> str:
    whole, unit = found["all"], unit_of(found)
    over = f"{whole['images']} images, {whole['subjects']} {unit}"
    if found["kind"] == TWIN:
        return f"readers: of {over}, each label beside that of its nearest twin"
    return f"readers: {over} with two people's labels; the network learnt from those of reader 1"


def unit_of(found: dict[str, Any]) -> str:
    return "subjects" if found["subjects_known"] else "images (subjects unknown: too narrow)"


def _table(found: dict[str, Any]) -> list[str]:
    pairs, column = found["all"]["pairs"], Metric(found["metric"]).column
    names = [pair_name(pair) for pair in pairs]
    wide = max(map(len, names)) + 2
    first = pairs[0]
    heads = [f"{found['metric']}, all {first['all']['masks']}"]
    parts = ["all"]
    if first["marked"]["masks"] < first["all"]["masks"]:
        heads.append(f"marked by either, {first['marked']['masks']}")
        parts.append("marked")
    heads += ["HD95, px", "ASSD, px"]
    lines = ["".ljust(wide) + "  ".join(f"{head:<23}" for head in heads).rstrip()]
    for name, pair in zip(names, pairs, strict=True):
        cells = [value_text(pair[of][column], 3) for of in parts]
        both = pair["neither_empty"]
        cells += [value_text(both[key], 1) for key in ("hd95", "assd") if key in both]
        line = name.ljust(wide) + "  ".join(f"{cell:<23}" for cell in cells)
        lines.append(line.rstrip())
    return lines


def pair_name(pair: dict[str, Any]) -> str:
    return f"{pair['mask']}, {pair['against']}"


def value_text(value: dict[str, Any], digits: int) -> str:
    """0.713  0.680 to 0.745; - without a value."""
    if value["mean"] is None:
        return "-"
    between = "" if value["interval"] is None else f"  {between_text(value['interval'], digits)}"
    return f"{value['mean']:.{digits}f}{between}"


def between_text(ends: tuple[float, float], digits: int) -> str:
    return " to ".join(f"{end:.{digits}f}" for end in ends)


def presence_text(found: dict[str, Any], names: tuple[str, str]) -> str:
    """Who marks anything, and kappa."""
    first, second = names
    kappa = "-" if found["kappa"] is None else f"{found['kappa']:.2f}"
    if found["kappa_interval"] is not None:
        kappa += f", 95 % {between_text(found['kappa_interval'], 2)}"
    return (
        f"presence: both mark {found['both']}, {first} alone {found['only_first']}, {second} alone "
        f"{found['only_second']}, neither {found['neither']}; kappa {kappa}"
    )


def area_text(areas: dict[str, Any]) -> str:
    """In mm² where they are known, else in pixels; "" for fewer than two masks."""
    unit, found, digits = "mm²", areas["mm2"], 1
    if found is None:
        unit, found, digits = "px", areas["pixels"], 0
    if found is None:
        return ""
    mean = f"{round(found['mean'], digits) + 0.0:+.{digits}f} {unit}"  # -0 is 0
    if found["mean_interval"] is not None:
        mean += f" (95 % {between_text(found['mean_interval'], digits)})"
    limits = between_text((found["low"], found["high"]), digits)
    return (
        f"area, {areas['mask']} less {areas['against']}: {mean}; limits of agreement {limits} "
        f"{unit}, {found['masks']} masks"
    )


def answer_text(answer: dict[str, Any], found: dict[str, Any]) -> str:
    """Whether the network agrees with a reader as well as the other one does."""
    which = " marked by either" if answer["of"] == "marked" else ""
    between = ""
    if answer["interval"] is not None:
        between = f", 95 % {between_text(answer['interval'], 3)}"
    return (
        f"as good as {answer['other']}? {found['metric']} against {answer['against']}, "
        f"{answer['masks']} masks{which}: network {answer['network']:.3f}, {answer['other']} "
        f"{answer['reader']:.3f}; difference {answer['difference']:+.3f}{between}; margin "
        f"{answer['margin']:g}: {answer['verdict'].upper()}{flattery(answer, found)}"
    )


def flattery(answer: dict[str, Any], found: dict[str, Any]) -> str:
    """The network learnt one reader's habits, and is held against that one."""
    learnt = found["kind"] != TWIN and answer["against"] == found["names"][0]
    return " (it learnt from these labels: flatters)" if learnt else ""
