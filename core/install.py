"""Make ``.venv`` and install the pinned requirements, only when they changed: ``python3 -m core.install [dev]``.

Runs on whatever Python the person has, before anything is installed: standard library only, old syntax. Whatever goes
wrong ends in one sentence and what to do, with pip's own words above it.
"""

import hashlib
import os
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
MINIMUM = (3, 11)
DISK_NEEDED = 5 * 10**9  # bytes: the CPU build of torch and the rest, and room to unpack them

UNREACHABLE = (
    "The package index cannot be reached.",
    "Check the network or the proxy, or set PIP_INDEX_URL to a mirror.",
)
PROBLEMS = [  # what pip says, what it means and what to do; the first that fits
    ("No space left on device", ("The disk is full.", "Free about 5 GB here and in the temporary folder.")),
    ("Permission denied", ("A file could not be written.", "Check who owns this folder and .venv.")),
    ("Read timed out", ("The package index answers too slowly.", "Try again, or use a mirror (PIP_INDEX_URL).")),
    ("Failed to establish", UNREACHABLE),
    ("Max retries exceeded", UNREACHABLE),
    ("ConnectionError", UNREACHABLE),
    ("Temporary failure in name", UNREACHABLE),
    (
        "found for torch",
        ("This torch is not to be had for this Python here.", "Use Python 3.11 to 3.13, or another index."),
    ),
    (
        "Could not find a version",
        ("A pinned package is not in the index.", "Check the index pip uses (PIP_INDEX_URL)."),
    ),
]


def fail(message, hint):
    print("\nerror: %s\nhint: %s" % (message, hint), file=sys.stderr)
    sys.exit(2)


def python():
    return os.path.join(VENV, "Scripts" if os.name == "nt" else "bin", "python")


def wanted(names):
    """A fingerprint of the requirement files and of the Python that reads them."""
    digest = hashlib.sha256(("%s.%s" % sys.version_info[:2]).encode())
    for name in names:
        with open(os.path.join(ROOT, name), "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()


def make_venv():
    if os.path.exists(python()):
        return
    free = shutil.disk_usage(ROOT).free
    if free < DISK_NEEDED:
        fail("Only %.1f GB are free here; about 5 GB are needed." % (free / 1e9), "Free some space and try again.")
    print("Creating .venv with Python %d.%d" % sys.version_info[:2], flush=True)
    made = subprocess.run([sys.executable, "-m", "venv", VENV], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if made.returncode != 0:
        shutil.rmtree(VENV, ignore_errors=True)
        print(made.stdout.decode("utf-8", "replace"))
        fail("Python could not make a virtual environment.", "On Debian and Ubuntu: apt-get install python3-venv")


def pip_install(names):
    command = [python(), "-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
    for name in names:
        command += ["-r", os.path.join(ROOT, name)]
    print("Installing the pinned requirements (a few minutes the first time)", flush=True)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    lines = []
    for raw in process.stdout or ():
        line = raw.decode("utf-8", "replace").rstrip()
        lines.append(line)
        if line.strip().startswith(("Collecting", "Downloading", "Using cached", "Installing", "Building", "ERROR")):
            print("  " + line.strip()[:110], flush=True)
    if process.wait() == 0:
        return
    output = "\n".join(lines[-60:])
    for sign, words in PROBLEMS:
        if sign in output:
            fail(*words)
    print(output)
    fail(
        "pip could not install the requirements.", "Its last words are above; mend that and run the same command again."
    )


def main():
    if sys.version_info < MINIMUM:
        have = "%d.%d" % sys.version_info[:2]
        fail("Python %s is too old: 3.11 or newer is needed." % have, "Install one, then: make run PYTHON=python3.12")
    names = ["requirements.txt"] + (["requirements-dev.txt"] if "dev" in sys.argv[1:] else [])
    stamp = os.path.join(VENV, "installed-%s.txt" % ("dev" if len(names) > 1 else "app"))
    mark = wanted(names)
    if os.path.exists(python()) and os.path.exists(stamp):
        with open(stamp) as file:
            if file.read() == mark:
                return
    make_venv()
    pip_install(names)
    with open(stamp, "w") as file:
        file.write(mark)


if __name__ == "__main__":
    main()
