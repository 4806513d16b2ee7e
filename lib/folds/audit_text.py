"""What the audit found, in tables that 01 prints."""

from typing import Any

from lib.folds.contradictions import TWIN_DICE


def inventory_text(found: dict[str, Any]) -> str:
    """The table that 01 ends with; `found` is the content of folds_audit.json."""
    data, twins, out = found["inventory"], found["near_duplicates"], found["quarantine"]
    ceiling = found["label_noise_ceiling"]["all"]
    rows = [
        ("images", f"{data['images']}, {data['with_mask']} with a mask{_drawn(found)}"),
        ("subjects", data["subjects"] or "not known"),
        ("test images", found["test_images"]),
        ("height x width", _listed(data["sizes"])),
        ("files", _listed(data["kinds"])),
        *((f"masks of {name}", _mask_text(masks)) for name, masks in data["classes"].items()),
        ("mask components", _listed(data["components"]) or "none"),
        (
            "near-duplicates",
            f"{twins['pairs']} pairs, {twins['identical']} of them identical files, "
            f"{twins['of_two_subjects']} of two subjects; "
            f"{found['test_twins']} with a test image",
        ),
        ("contradictions", f"{found['contradictions']} pairs (labels of Dice below {TWIN_DICE})"),
        ("quarantine", f"{out['train']} training images, {out['test']} test images"),
    ]
    if ceiling["images"]:
        text = f"IoU {ceiling['iou']:.3f}, Dice {ceiling['dice']:.3f}"
        rows.append(("copying twins", f"{text}, over the {ceiling['images']} images that have one"))
    return "\n".join(f"{name:16} {value}" for name, value in rows)


def _drawn(found: dict[str, Any]) -> str:
    return "; PHANTOM: drawn, not recorded" if found["phantom"] else ""


def _listed(counts: dict[str, int]) -> str:
    shown = [f"{value} ({count})" for value, count in list(counts.items())[:4]]
    return ", ".join([*shown, *(["..."] if len(counts) > 4 else [])])


def _mask_text(masks: dict[str, Any]) -> str:
    if masks["area_quantiles"] is None:
        return "none"
    low, middle, high = (f"{100 * value:.1f}" for value in masks["area_quantiles"])
    return (
        f"{masks['images']} images; {middle} % of the image in the middle, {low} to {high} for 90 %"
    )


def folds_text(shared: dict[str, Any]) -> str:
    """A row a fold."""
    lines = ["fold   images   with a mask   share   mask area   subjects   groups"]
    for row in shared["folds"]:
        name = "train" if row["fold"] < 0 else row["fold"]
        area = "-" if row["mask_area"] is None else f"{100 * row['mask_area']:.2f} %"
        lines.append(
            f"{name!s:5}  {row['images']:6}  {row['with_mask']:12}  {100 * row['share']:4.1f} %"
            f"  {area:>10}  {row['subjects'] or '-':>9}  {row['groups']:>7}"
        )
    return "\n".join(lines)
