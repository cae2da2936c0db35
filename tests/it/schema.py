"""Says of each *.toml in a folder whether the schema beside it (apis.json, settings.json) takes it: NAME, a tab, and the fault or ok."""

import json
import pathlib
import sys
import tomllib

from jsonschema import Draft7Validator

for sort in ("apis", "settings"):
    folder = pathlib.Path(sys.argv[1])
    schema = json.loads((folder / f"{sort}.json").read_text())
    Draft7Validator.check_schema(schema)
    validator = Draft7Validator(schema)
    for path in sorted(folder.glob(f"{sort}-*.toml")):
        fault = next(iter(validator.iter_errors(tomllib.loads(path.read_text()))), None)
        print(path.stem, "ok" if fault is None else f"{fault.json_path}: {fault.message}".replace("\n", " "), sep="\t")
