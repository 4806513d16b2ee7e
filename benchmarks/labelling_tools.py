"""What the labelling tools' own libraries draw -> tests/data/formats/drawn.json.

    python -m venv /tmp/tools && /tmp/tools/bin/pip install TOOL
    /tmp/tools/bin/python benchmarks/labelling_tools.py TOOL

TOOL is labelme, label-studio-sdk, datumaro or supervision: each wants other versions of numpy or
OpenCV than this project, and up to 1 GB. The file has, for each tool, its version, the labels as
the tool writes them (texts by the name of a file) and the masks that it draws of them, as bits.
"""

import base64
import json
import os
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

FILE = Path(__file__).parents[1] / "tests" / "data" / "formats" / "drawn.json"
HEIGHT, WIDTH, COUNT = 48, 64, 12
PAINTED = 3  # images of Label Studio, whose texts are long
RANDOM = np.random.default_rng(7)
Found = tuple[dict[str, str], dict[str, Any]]  # texts, and masks by image


def packed(mask: Any) -> str:
    """Its bits, row by row."""
    return base64.b64encode(np.packbits(np.asarray(mask) > 0).tobytes()).decode()


def outline() -> list[list[float]]:
    """A star of any size: its corners seen from its centre, one behind the other."""
    angles = np.sort(RANDOM.uniform(0, 2 * np.pi, RANDOM.integers(5, 12)))
    away = RANDOM.uniform(12, 20, len(angles))
    points = np.stack([32 + away * np.cos(angles), 24 + away * np.sin(angles)], axis=1)
    return points.round(2).tolist()


def blob() -> Any:
    noise = Image.fromarray(RANDOM.integers(0, 256, (6, 8), dtype=np.uint8))
    return np.asarray(noise.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)) > 140


def of_labelme() -> Found:
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    from labelme import utils

    texts, masks = {}, {}
    for number in range(COUNT):
        kind = ("polygon", "circle", "mask")[number % 3]
        points = outline() if kind == "polygon" else [[32.5, 24.5], [32.5, 30.0 + number]]
        shape = {"label": "nerve", "points": points, "shape_type": kind, "group_id": None}
        drawn = dict(shape)
        if kind == "mask":
            part = blob()[3:40, 5:50]
            shape["points"] = drawn["points"] = [[5, 3], [49, 39]]
            drawn["mask"], shape["mask"] = part, utils.img_arr_to_b64(part.astype(np.uint8))
        name = f"{kind}{number}"
        about = {"imagePath": f"{name}.png", "imageHeight": HEIGHT, "imageWidth": WIDTH}
        content = {"version": version("labelme"), "flags": {}, "imageData": None, **about}
        texts[f"{name}.json"] = json.dumps({**content, "shapes": [shape]})
        masks[name] = utils.shapes_to_label((HEIGHT, WIDTH), [drawn], {"nerve": 1})[0]
    return texts, masks


PAGE = """<View><Image name="image" value="$image"/><BrushLabels name="tag" toName="image">
<Label value="nerve"/></BrushLabels></View>"""


def of_label_studio() -> Found:
    from label_studio_sdk.converter import Converter
    from label_studio_sdk.converter.brush import decode_rle, mask2rle

    tasks, masks = [], {}
    for number in range(PAINTED):
        rle = mask2rle(blob().astype(np.uint8) * 255)
        size = {"original_width": WIDTH, "original_height": HEIGHT, "image_rotation": 0}
        value = {"format": "rle", "rle": rle, "brushlabels": ["nerve"]}
        result = {"id": "x", "type": "brushlabels", "from_name": "tag", "to_name": "image", **size}
        marks = {"id": number, "result": [{**result, "value": value}], "was_cancelled": False}
        data = {"image": f"/data/upload/1/0123abcd-brush{number}.png"}
        tasks.append({"id": number, "data": data, "annotations": [marks]})
        masks[f"brush{number}"] = decode_rle(rle).reshape(HEIGHT, WIDTH, 4)[..., 3]
    texts = {"project.json": json.dumps(tasks)}
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "project.json"
        source.write_text(texts["project.json"])
        converter = Converter(PAGE, project_dir=None, download_resources=False)
        for kind, name in (("JSON_MIN", "result.json"), ("CSV", "result.csv")):
            converter.convert(str(source), str(Path(folder) / kind), kind, is_dir=False)
            text = (Path(folder) / kind / name).read_text()
            texts[name] = json.dumps(json.loads(text)) if kind == "JSON_MIN" else text
    return texts, masks


def of_datumaro() -> Found:
    """Its own CVAT files: the masks that it writes and reads again."""
    import datumaro as dm

    items = []
    picture = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
    for number in range(COUNT):
        kind = ("mask", "polygon")[number % 2]
        if kind == "polygon":
            mark: Any = dm.Polygon([value for point in outline() for value in point], label=0)
        else:
            mark = dm.Mask(blob().astype(np.uint8), label=0)
        media = dm.Image.from_numpy(data=picture)
        about = {"frame": number}
        name = f"{kind}{number}"
        items.append(dm.DatasetItem(name, media=media, annotations=[mark], attributes=about))
    with tempfile.TemporaryDirectory() as folder:
        dm.Dataset.from_iterable(items, categories=["nerve"]).export(
            folder, "cvat", save_media=True
        )
        (file,) = Path(folder).glob("*.xml")
        read = dm.Dataset.import_from(str(file), "cvat")
        masks = {item.id: drawn_by_datumaro(item.annotations) for item in read}
        return {"annotations.xml": file.read_text()}, masks


def drawn_by_datumaro(annotations: Any) -> Any:
    from datumaro.util import mask_tools

    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    for one in annotations:
        if hasattr(one, "image"):
            mask |= one.image > 0
        else:
            mask |= mask_tools.rles_to_mask([one.points], WIDTH, HEIGHT) > 0
    return mask


def of_supervision() -> Found:
    import supervision as sv

    texts, masks = {"data.yaml": "names: [nerve]\n"}, {}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "images").mkdir()
        (root / "labels").mkdir()
        (root / "data.yaml").write_text(texts["data.yaml"])
        for number in range(COUNT):
            shares = np.array(outline()) / (WIDTH, HEIGHT)
            line = " ".join(["0", *(f"{value:.6f}" for value in shares.ravel())]) + "\n"
            texts[f"labels/polygon{number}.txt"] = line
            (root / "labels" / f"polygon{number}.txt").write_text(line)
            Image.new("RGB", (WIDTH, HEIGHT)).save(root / "images" / f"polygon{number}.png")
        paths = [str(root / name) for name in ("images", "labels", "data.yaml")]
        for path, _, found in sv.DetectionDataset.from_yolo(*paths, force_masks=True):
            masks[Path(path).stem] = found.mask[0]
    return texts, masks


TOOLS = {
    "labelme": of_labelme,
    "label-studio-sdk": of_label_studio,
    "datumaro": of_datumaro,
    "supervision": of_supervision,
}


def main(tool: str) -> None:
    texts, masks = TOOLS[tool]()
    found = json.loads(FILE.read_text()) if FILE.is_file() else {}
    drawn = {name: packed(mask) for name, mask in sorted(masks.items())}
    found[tool] = {"version": version(tool), "texts": texts, "masks": drawn}
    FILE.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    print(f"{FILE}: {len(masks)} masks of {tool} {version(tool)}")


if __name__ == "__main__":
    main(sys.argv[1])
