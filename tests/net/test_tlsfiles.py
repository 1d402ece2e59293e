# -*- test-case-name: tests.net.test_tlsfiles -*-
"""
Tests of L{muxd.net.tlsfiles}.
"""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from muxd.net.tlsfiles import LONGEST_PEM, Renewing, TLSFiles, certificatesIn, contentOf


class FilesTests(SynchronousTestCase):
    """
    Tests of L{TLSFiles}.
    """

    def test_directory(self) -> None:
        """
        A directory has all of them, and each may be another file.
        """
        files = TLSFiles.fromOptions({"files": "/d", "key": "/k"})
        self.assertEqual(files, TLSFiles("/d/cert.pem", "/k", "/d/ca.pem", "/d/crl.pem"))

    def test_single(self) -> None:
        """
        Without a directory each is named, but for the list of those that were revoked.
        """
        given = {"cert": "/c", "key": "/k", "ca": "/a"}
        self.assertEqual(TLSFiles.fromOptions(given), TLSFiles("/c", "/k", "/a", ""))
        for name in given:
            rest = {key: path for key, path in given.items() if key != name}
            error = self.assertRaises(ValueError, TLSFiles.fromOptions, rest)
            self.assertIn(f"{name}: expected a file", str(error))

    def test_content(self) -> None:
        """
        No more is read of a file than any certificate has, and one without any is an error.
        """
        path = Path(self.mktemp())
        path.write_bytes(bytes(LONGEST_PEM + 1))
        self.assertEqual(len(contentOf(str(path))), LONGEST_PEM)
        error = self.assertRaises(ValueError, certificatesIn, str(path))
        self.assertIn("there is no certificate in it", str(error))


class RenewingTests(SynchronousTestCase):
    """
    Tests of L{Renewing}.
    """

    def setUp(self) -> None:
        """
        Three files, and what is made of them: the text in one.
        """
        directory = Path(self.mktemp())
        directory.mkdir()
        for name in ("cert", "key", "ca", "crl"):
            (directory / f"{name}.pem").write_text("1")
        self.path = directory / "cert.pem"
        self.told: list[str | None] = []
        self.made = 0
        files = TLSFiles.fromOptions({"files": str(directory)})
        self.renewing = Renewing(
            files, self.make, lambda error: self.told.append(None if error is None else str(error))
        )

    def make(self, files: TLSFiles) -> int:
        """
        The number in a file.
        """
        self.made += 1
        return int(Path(files.cert).read_text())

    def test_renewed(self) -> None:
        """
        It is made once, and again when a file has changed.
        """
        self.assertEqual([self.renewing.current() for _ in range(3)], [1, 1, 1])
        self.path.write_text("22")
        self.assertEqual([self.renewing.current() for _ in range(3)], [22, 22, 22])
        self.assertEqual((self.made, self.told), (2, [None]))

    def test_unusable(self) -> None:
        """
        What cannot be used leaves what there was, is told once, and looked at again when it
        changes once more.
        """
        self.renewing.current()
        self.path.write_text("none")
        self.assertEqual([self.renewing.current() for _ in range(3)], [1, 1, 1])
        self.assertEqual(len(self.told), 1)
        self.path.unlink()
        self.assertEqual([self.renewing.current() for _ in range(3)], [1, 1, 1])
        self.assertEqual(len(self.told), 2)
        self.path.write_text("333")
        self.assertEqual(self.renewing.current(), 333)
        self.assertEqual(self.told[2:], [None])

    def test_never(self) -> None:
        """
        What never could be used is an error, each time.
        """
        self.path.write_text("none")
        for _ in range(2):
            self.assertRaises(ValueError, self.renewing.current)
        self.path.write_text("4444")
        self.assertEqual(self.renewing.current(), 4444)
