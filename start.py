"""From a fresh checkout to a running tensoria: `python3 start.py tour`, `python3 start.py test`.

Needs Python 3.11 or newer with pip, and nothing else. Each command makes a virtual environment in `.venv` beside this
file if there is none, installs what the command needs at the versions of `constraints.txt`, and runs it there. When
nothing has changed since, nothing is installed. Arguments after the command are passed on to it.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PROGRAMS = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = PROGRAMS / ("python.exe" if os.name == "nt" else "python")
STATE = VENV / "tensoria.json"
"""What `.venv` was installed from; written last, and marked as unfinished before anything is touched."""
OLDEST = (3, 11)

EXTRAS = {"tour": "all,examples", "test": "all,examples,dev", "lint": "all,examples,dev"}
"""The extras of tensoria that each command needs."""
COMMANDS = {
    "tour": [["tensoria", "tour"]],
    # Neighbours stay in one process, which has made the models and compiled the functions that they share.
    "test": [["python", "-m", "pytest", "-n", "2", "--dist", "worksteal"]],
    "lint": [["ruff", "check", "."], ["mypy"]],
}
"""What each command runs, by the names of programs in the environment."""


class SetupError(Exception):
    """Something that the user has to know about, in one message."""


def main(arguments):
    """Run one command; returns the exit code."""
    if sys.version_info < OLDEST:
        raise SetupError(f"tensoria needs Python 3.11 or newer; this is {sys.version.split()[0]}.")
    if not arguments or arguments[0] not in COMMANDS:
        print(__doc__)
        print("Commands:")
        for name, lines in COMMANDS.items():
            print(f"  {name}: {' and '.join(' '.join(line) for line in lines)}")
        return 0 if arguments[:1] in (["-h"], ["--help"]) else 2
    command, *more = arguments
    prepare(EXTRAS[command])
    for line in COMMANDS[command]:
        shown = [*line, *more]
        print(f"start.py: {' '.join(shown)}", flush=True)
        program = shutil.which(shown[0], path=str(PROGRAMS))
        if program is None:
            raise SetupError(f"{shown[0]} is missing in {VENV}; delete that folder and try again.")
        code = subprocess.run([program, *shown[1:]], cwd=ROOT, env=environment(command), check=False).returncode
        if code:
            return code
    return 0


def environment(command):
    """The environment variables for one command (or for pip)."""
    variables = {**os.environ, "PYTHONNOUSERSITE": "1", "PIP_USER": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    variables.pop("PYTHONHOME", None)
    if command == "test":
        # Two processes share the machine; each with threads of its own they would stand in each other's way.
        variables.setdefault("OMP_NUM_THREADS", "1")
    return variables


# -- the virtual environment ------------------------------------------------------------------------------------------


def prepare(extras):
    """Make `.venv` hold tensoria with these extras, installing only if something has changed."""
    state = read_state()
    if state is None and VENV.exists() and any(VENV.iterdir()):
        raise SetupError(
            f"{VENV} was not made by start.py; move it away, or install there with pip as the README says."
        )
    source = fingerprint()
    if state is not None and (state.get("unfinished") or state.get("place") != str(VENV) or not PYTHON.exists()):
        print(f"start.py: the environment in {VENV} is incomplete or has been moved; making it anew", flush=True)
        shutil.rmtree(VENV)
        state = None
    if state is not None and state.get("source") == source and set(extras.split(",")) <= set(state["extras"]):
        return
    had = [] if state is None else state["extras"]
    VENV.mkdir(exist_ok=True)
    write_state({"unfinished": True})
    if state is None:
        print(f"start.py: making a virtual environment in {VENV}", flush=True)
        make_environment()
    wanted = sorted({*had, *extras.split(",")})
    print(f"start.py: installing tensoria[{','.join(wanted)}]; the first time this takes some minutes", flush=True)
    target = f"{ROOT}[{','.join(wanted)}]"
    quiet = [] if sys.stdout.isatty() else ["--quiet"]
    run([*pip(), "install", *quiet, "--constraint", str(ROOT / "constraints.txt"), "--editable", target])
    write_state({"place": str(VENV), "source": source, "extras": wanted})


def fingerprint():
    """A digest of everything that decides what is installed."""
    digest = hashlib.sha256(sys.version.encode())
    for name in ("pyproject.toml", "constraints.txt"):
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def read_state():
    """What the environment was made of; None if there is none, or if it is not ours."""
    try:
        state = json.loads(STATE.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return {"unfinished": True}
    return state if isinstance(state, dict) else {"unfinished": True}


def write_state(state):
    """Remember what the environment is made of."""
    STATE.write_text(json.dumps(state), encoding="utf-8")


def make_environment():
    """A virtual environment in the folder, with pip in it if Python brings one along."""
    made = [sys.executable, "-m", "venv"]
    if subprocess.run([*made, str(VENV)], env=environment("venv"), capture_output=True, check=False).returncode:
        # Some systems ship Python without the means to put pip there; then the pip outside installs into it.
        run([*made, "--without-pip", "--clear", str(VENV)])
        write_state({"unfinished": True})


def pip():
    """The command line of a pip that installs into the environment."""
    inside = [str(PYTHON), "-m", "pip"]
    if subprocess.run([*inside, "--version"], capture_output=True, check=False).returncode == 0:
        return inside
    outside = [sys.executable, "-m", "pip", "--python", str(PYTHON)]
    if subprocess.run([*outside, "--version"], capture_output=True, check=False).returncode == 0:
        return outside
    raise SetupError(
        "there is no pip (22.3 or newer) for this Python; install it, e.g. as python3-venv or python3-pip."
    )


def run(line):
    """Run a program that must succeed."""
    code = subprocess.run(line, cwd=ROOT, env=environment("install"), check=False).returncode
    if code:
        raise SetupError(f"this failed with exit code {code}: {' '.join(line)}")


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except SetupError as error:
        print(f"start.py: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("start.py: interrupted", file=sys.stderr)
        sys.exit(130)
