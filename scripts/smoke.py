"""Says whether the fiftyone-promerge of this environment works: photos in, masks out.

Run it with the Python of a fresh environment into which a wheel was installed, from any folder:

    python scripts/smoke.py
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("FIFTYONE_DO_NOT_TRACK", "true")
os.environ.setdefault("FIFTYONE_DATABASE_VALIDATION", "false")


def main() -> None:
    """Makes the masks of two photos from the shell and from Python, and counts them."""
    from fiftyone_promerge.mongod import ensure_mongod

    ensure_mongod()
    promerge = Path(sys.executable).with_name("promerge")
    version = subprocess.run([promerge, "--version"], check=True, capture_output=True, text=True)

    import fiftyone as fo

    import fiftyone_promerge as fop
    from fiftyone_promerge.demo import demo_photos

    if "site-packages" not in str(fop.__file__):
        sys.exit(f"this is no installed package: {fop.__file__}")
    photos = demo_photos()[:2]
    with tempfile.TemporaryDirectory() as folder:
        for photo in photos:
            (Path(folder) / photo.name).symlink_to(photo)
        output = Path(folder) / "masks.json"
        flags = ["--backbone", "embedded", "--image-size", "240", "--output", str(output)]
        subprocess.run([promerge, "generate", folder, *flags], check=True, capture_output=True)
        written = len(json.loads(output.read_text())["annotations"])

    dataset = fo.Dataset()
    dataset.add_samples([fo.Sample(filepath=str(photo)) for photo in photos], progress=False)
    model = fop.load_model("embedded", image_size=240)
    fop.generate_masks(dataset, model, "promerge", num_workers=0)
    counted = dataset.count("promerge.detections")
    dataset.delete()
    if not 0 < written == counted:
        sys.exit(f"{written} masks in the json, {counted} in the dataset")
    print(
        f"Python {sys.version.split()[0]}: {version.stdout.strip()}, {counted} masks, as expected"
    )


if __name__ == "__main__":
    main()
