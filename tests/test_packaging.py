# -*- test-case-name: tests.test_packaging -*-
"""
What is installed works where it is installed.

A plugin that is not found is the commonest trouble with projects like this one,
and each way of packaging it wrongly looks right until somebody else installs it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
from email.parser import HeaderParser
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec
from pathlib import Path
from zipfile import ZipFile

from twisted.trial.unittest import SkipTest, SynchronousTestCase

import muxd
from tests import twins
from tests.running.processes import startsProcesses

PROJECT = Path(muxd.__file__).parent.parent

GENERATED = Path("build", "cython")
"""Where setup.py has C made, in the source tree."""

# What an installation must not depend on, and copying which would take long.
LEFT_OUT = shutil.ignore_patterns(
    ".*",
    "build",
    "dist",
    "run",
    "bench",
    "tests",
    "_trial_temp*",
    "*.egg-info",
    "*.so",
    "__pycache__",
    "dropin.cache",
)


def run(*words: object, directory: Path, **more: str) -> str:
    """
    Run a program to its end, in an environment that knows nothing of us.

    @param more: What else is in its environment.
    @return: what it wrote.
    """
    environment = {
        key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "MUXD_PURE")
    }
    # Compiled quickly, as nothing runs for long.
    environment |= {"CFLAGS": "-O0 -g0"} | more
    process = subprocess.run(
        [str(word) for word in words],
        check=False,
        cwd=directory,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    if process.returncode:
        raise AssertionError(f"{words} ended with {process.returncode}:\n{process.stdout}")
    return process.stdout


@startsProcesses
class PackagingTestCase(SynchronousTestCase):
    """
    What tests of packaging need: a copy of the project, and an environment that
    has what we depend on but not us.
    """

    def setUp(self) -> None:
        """
        Make the copy and the environment.  No network is needed: the packages
        that we depend on are those of the environment that runs this.
        """
        for package in ("build", "pip", "setuptools"):
            if find_spec(package) is None:
                raise SkipTest(f"the package {package} is not installed")
        if not (PROJECT / "setup.cfg").exists():
            raise SkipTest("these tests need the source tree")
        directory = Path(self.mktemp()).absolute()
        self.addCleanup(shutil.rmtree, directory, ignore_errors=True)
        self.project = directory / "project"
        shutil.copytree(PROJECT, self.project, ignore=LEFT_OUT)
        # The C that Cython has made of these sources, which takes it longer than all the rest.
        if (PROJECT / GENERATED).exists():
            shutil.copytree(PROJECT / GENERATED, self.project / GENERATED)
        self.elsewhere = directory / "elsewhere"
        self.elsewhere.mkdir()
        environment = directory / "environment"
        # Without pip, which takes long to install: ours can install elsewhere.
        venv.create(environment, with_pip=False, symlinks=os.name != "nt")
        paths = sysconfig.get_paths(vars={"base": str(environment), "platbase": str(environment)})
        self.python = Path(paths["scripts"], "python")
        self.packages = Path(paths["purelib"])
        # A path that a .pth file adds is used, but its own .pth files are not:
        # an editable installation of ours over there is not seen.
        (self.packages / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")

    def install(self, *words: object, **environment: str) -> None:
        """
        Install something into the environment.
        """
        run(
            *(sys.executable, "-m", "pip", "--python", self.python),
            *("install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"),
            *words,
            directory=self.elsewhere,
            **environment,
        )

    def wheel(self, **environment: str) -> Path:
        """
        Build the wheel.
        """
        self.built = run(
            *(sys.executable, "-m", "build", "--wheel", "--no-isolation"),
            *("--outdir", self.elsewhere, self.project),
            directory=self.elsewhere,
            **environment,
        )
        (wheel,) = self.elsewhere.glob("muxd-*.whl")
        return wheel

    def build(self, **environment: str) -> str:
        """
        What is installed says of itself: compiled or pure.
        """
        code = "from muxd.build import description; print(description())"
        said = run(self.python, "-c", code, directory=self.elsewhere, **environment)
        return said.strip()

    def assertInstalled(self, place: Path) -> None:
        """
        In the environment, C{muxd} comes from C{place}, and C{twistd} knows the
        command and the sources.
        """
        where = run(
            *(self.python, "-c", "import muxd; print(muxd.__file__)"), directory=self.elsewhere
        )
        self.assertEqual(Path(where.strip()).parent.parent.resolve(), place.resolve())
        twistd = (self.python, "-c", "from twisted.scripts.twistd import run; run()")
        commands = run(*twistd, "--help", directory=self.elsewhere)
        self.assertIn("\n    usbmuxd ", commands)
        self.assertIn("\n    tcprelay ", commands)
        self.assertIn("\n    iphone ", commands)
        text = run(*twistd, "usbmuxd", "--help", directory=self.elsewhere)
        self.assertIn("\n  simulated", text)
        self.assertIn("\n  usb", text)


class WheelTests(PackagingTestCase):
    """
    Tests of the wheel.
    """

    def test_wheel(self) -> None:
        """
        The wheel has the plugin, the marker of its types and the man pages, and
        neither tests nor anything that is Twisted's; installed, it works.
        """
        wheel = self.wheel()
        names = ZipFile(wheel).namelist()
        self.assertIn("muxd/py.typed", names)
        self.assertIn("twisted/plugins/muxd_plugin.py", names)
        self.assertIn("muxd/usb/source.py", names)
        data = [name for name in names if ".data/" in name]
        for page in (
            "man8/usbmuxd.8",
            "man8/muxhub.8",
            "man1/iphone.1",
            "man1/muxctl.1",
            "man1/tcprelay.1",
        ):
            self.assertTrue(any(name.endswith(f"share/man/{page}") for name in data), data)
        for script in ("bash-completion/completions/muxctl.bash", "zsh/site-functions/_muxctl"):
            self.assertIn(f"muxd/muxctl/shell/{script.rpartition('/')[2]}", names)
            self.assertTrue(any(name.endswith(f"share/{script}") for name in data), data)
        self.assertEqual([name for name in names if name.startswith("tests")], [])
        self.assertEqual(
            [name for name in names if name.startswith("twisted/")],
            ["twisted/plugins/muxd_plugin.py"],
        )
        (points,) = (name for name in names if name.endswith("/entry_points.txt"))
        self.assertIn(
            "[pytest11]\nmuxd = muxd.testing.pytestplugin\n",
            ZipFile(wheel).read(points).decode(),
        )
        self.install(wheel)
        self.assertInstalled(self.packages)

    def test_fixtures(self) -> None:
        """
        The fixtures for pytest are found where the wheel is installed, and work.
        """
        if find_spec("pytest") is None:
            raise SkipTest("the package pytest is not installed")
        self.install(self.wheel())
        example = self.elsewhere / "test_phone.py"
        shutil.copy(PROJECT / "docs" / "examples" / "test_phone.py", example)
        text = run(
            *(self.python, "-m", "pytest", "-p", "no:cacheprovider", "-q", example),
            directory=self.elsewhere,
        )
        self.assertIn("5 passed", text)

    def test_uninstall(self) -> None:
        """
        Uninstalling takes what is ours, and leaves Twisted intact.
        """
        self.install(self.wheel())
        run(
            *(sys.executable, "-m", "pip", "--python", self.python, "uninstall", "--yes", "muxd"),
            directory=self.elsewhere,
        )
        self.assertEqual(list(self.packages.rglob("*muxd*")), [])
        twistd = (self.python, "-c", "from twisted.scripts.twistd import run; run()")
        self.assertNotIn("usbmuxd", run(*twistd, "--help", directory=self.elsewhere))


class SdistTests(PackagingTestCase):
    """
    Tests of the source distribution.
    """

    def test_sdist(self) -> None:
        """
        It has what a packager needs: licence, documents, man pages, udev rule; its
        metadata are well-formed, and have the version of C{muxd.__version__}.
        """
        run(
            *(sys.executable, "-m", "build", "--sdist", "--no-isolation"),
            *("--outdir", self.elsewhere, self.project),
            directory=self.elsewhere,
        )
        (sdist,) = self.elsewhere.glob("muxd-*.tar.gz")
        top = f"muxd-{muxd.__version__}"
        self.assertEqual(sdist.name, f"{top}.tar.gz")
        with tarfile.open(sdist) as archive:
            names = archive.getnames()
            metadata = archive.extractfile(f"{top}/PKG-INFO")
            assert metadata is not None
            fields = HeaderParser().parsestr(metadata.read().decode())
        self.assertEqual(fields["Version"], muxd.__version__)
        self.assertEqual(fields["License"], "MIT")
        for name in (
            *("LICENSE", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "Makefile"),
            *("docs/api.md", "docs/examples/test_phone.py", "man/usbmuxd.8", "tac/usbmuxd.tac"),
            *("udev/39-muxd.rules", "changelog.d/README.md", "muxd/py.typed"),
            "twisted/plugins/muxd_plugin.py",
        ):
            self.assertIn(f"{top}/{name}", names)
        if find_spec("twine") is None:
            raise SkipTest("the package twine is not installed")
        run(sys.executable, "-m", "twine", "check", "--strict", sdist, directory=self.elsewhere)


class EditableTests(PackagingTestCase):
    """
    Tests of an editable installation, where plugins are lost most easily.
    """

    def test_editable(self) -> None:
        """
        The plugins of an editable installation are found.
        """
        self.install("--editable", self.project)
        self.assertInstalled(self.project)


def compiledNames(wheel: Path) -> set[str]:
    """
    The compiled modules in a wheel.
    """
    return {
        name.partition(".")[0].replace("/", ".")
        for name in ZipFile(wheel).namelist()
        if name.endswith(EXTENSION_SUFFIXES[0])
    }


class BuildTests(PackagingTestCase):
    """
    Tests of what is compiled, where it can be, and of doing without it.
    """

    def needCompiler(self) -> None:
        """
        There has to be what it takes.
        """
        if find_spec("Cython") is None or shutil.which("cc") is None or sys.platform != "linux":
            raise SkipTest("there is no Cython, or no C compiler")

    def test_compiled(self) -> None:
        """
        Where there is a compiler the wheel has compiled modules beside their twins, and
        no sources of them; it is one for this system.  Nothing else is needed for that.
        """
        self.needCompiler()
        shutil.rmtree(self.project / "build", ignore_errors=True)
        wheel = self.wheel()
        self.assertEqual(compiledNames(wheel), {*twins.EVERYTHING, *twins.CORE})
        self.assertNotIn("-none-any", wheel.name)
        names = ZipFile(wheel).namelist()
        for name in (*twins.EVERYTHING, *twins.CORE):
            self.assertIn(f"{name.replace('.', '/')}.py", names)
        for name in names:
            self.assertFalse(name.endswith((".pyx", ".pxd", ".c")), name)
        self.install(wheel)
        self.assertEqual(self.build(), "compiled")
        self.assertEqual(self.build(MUXD_PURE="1"), "pure")
        self.assertInstalled(self.packages)

    def test_pure(self) -> None:
        """
        C{MUXD_PURE=1} makes a wheel for every system.
        """
        wheel = self.wheel(MUXD_PURE="1")
        self.assertTrue(wheel.name.endswith("-py3-none-any.whl"), wheel.name)
        self.assertEqual(compiledNames(wheel), set())
        self.install(wheel)
        self.assertEqual(self.build(), "pure")
        self.assertInstalled(self.packages)

    def test_noCompiler(self) -> None:
        """
        Without a compiler it can be installed all the same, and says what it lacks.
        """
        wheel = self.wheel(CC="/bin/false")
        self.assertEqual(compiledNames(wheel), set())
        if find_spec("Cython") is not None and sys.platform == "linux":
            self.assertIn("muxd is installed without compiled code: no streams", self.built)
        self.install(wheel)
        self.assertEqual(self.build(), "pure")

    def test_halfCompiled(self) -> None:
        """
        If one module cannot be compiled, none is: half of them would not fit together.
        """
        self.needCompiler()
        compiler = self.elsewhere / "cc"
        compiler.write_text(
            "#!/bin/sh\n"
            'case "$*" in *polling*) echo "no" >&2; exit 1;; esac\n'
            f'exec {shutil.which("cc")} "$@"\n'
        )
        compiler.chmod(0o755)
        wheel = self.wheel(CC=str(compiler))
        self.assertIn("muxd is installed without compiled code: no polling", self.built)
        self.assertEqual(compiledNames(wheel), set())

    def test_noCython(self) -> None:
        """
        Nor is Cython needed.
        """
        hiding = self.elsewhere / "hiding" / "Cython"
        hiding.mkdir(parents=True)
        (hiding / "__init__.py").write_text("raise ImportError('hidden')")
        self.install(self.project, PYTHONPATH=str(hiding.parent))
        self.assertEqual(self.build(), "pure")
        self.assertInstalled(self.packages)

    def test_source(self) -> None:
        """
        The source distribution has what it takes to compile, and nothing compiled.
        """
        self.needCompiler()
        run(
            *(sys.executable, "-m", "build", "--sdist", "--no-isolation"),
            *("--outdir", self.elsewhere, self.project),
            directory=self.elsewhere,
        )
        (archive,) = self.elsewhere.glob("muxd-*.tar.gz")
        with tarfile.open(archive) as source:
            names = {name.partition("/")[2] for name in source.getnames()}
        for name in twins.EVERYTHING:
            path = name.replace(".", "/")
            self.assertLessEqual({f"{path}.py", f"{path}.pyx", f"{path}.pxd"}, names)
        for name in twins.CORE:
            path = name.replace(".", "/")
            self.assertLessEqual({f"{path}.py", f"{path}.pxd"}, names)
        self.assertIn("setup.py", names)
        self.assertEqual([name for name in names if name.endswith(".so")], [])
        self.install(archive)
        self.assertEqual(self.build(), "compiled")

    def test_editable(self) -> None:
        """
        An editable installation is compiled in its tree; without a compiler, what was
        compiled of older sources does not stay there.
        """
        self.needCompiler()
        self.install("--editable", self.project)
        self.assertEqual(self.build(), "compiled")
        self.assertEqual(self.build(MUXD_PURE="1"), "pure")
        self.assertInstalled(self.project)
        shutil.rmtree(self.project / "build")
        self.install("--editable", self.project, CC="/bin/false")
        self.assertEqual(self.build(), "pure")
        self.assertEqual(list(self.project.rglob("*.so")), [])
