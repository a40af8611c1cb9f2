"""The built wheel works outside the checkout: installed into a fresh environment, imported, and used there."""

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "build", "--wheel", "--outdir", str(out), str(ROOT)], check=True, timeout=300)
    return next(out.glob("*.whl"))


@pytest.mark.slow
def test_the_wheel_carries_its_data(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    files = [path for path in (ROOT / "src" / "lcpo").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert {str(path.relative_to(ROOT / "src")) for path in files} <= set(names)
    assert wheel.stat().st_size < 80e6  # three adapters of smollm2 are 59 MB of it


@pytest.mark.slow
def test_the_wheel_is_used_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    # the environment sees this one's third-party packages, but lcpo comes from the wheel alone
    venv.create(tmp_path / "venv", with_pip=True, system_site_packages=False)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", str(wheel)], check=True, timeout=300)
    site = next(Path(path) for path in sys.path if path.endswith("site-packages"))
    (next((tmp_path / "venv").glob("lib/*/site-packages")) / "outer.pth").write_text(f"{site}\n")
    code = (
        "import lcpo, sys; from lcpo import Budget, Exact, grade, prompt\n"
        "assert 'site-packages' in lcpo.__file__ and 'torch' not in sys.modules, lcpo.__file__\n"
        "print(prompt('1+1?', Budget('max', 5)), grade('so \\\\boxed{2}', '2').correct)"
    )
    bare = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=120, env=bare)
    assert done.stdout.strip().endswith("Think for maximum 5 tokens. True"), done.stderr
    recipes = [python, "-m", "lcpo", "recipes"]
    listed = subprocess.run(recipes, capture_output=True, text=True, cwd=tmp_path, timeout=60, env=bare)
    assert "tiny-exact" in listed.stdout, listed.stderr
