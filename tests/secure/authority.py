"""An authority of our own that issues the servers' certificates, as PEM files. Its certificates name localhost, and not 127.0.0.1."""

from __future__ import annotations

from pathlib import Path

import trustme
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from keepline.jobs.stack.security import HOST, NODE


class Authority:
    """One authority and the files it wrote to `folder`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._authority = trustme.CA()
        self.file = folder / "ca.pem"
        self._authority.cert_pem.write_to_path(self.file)

    def certificate(self, name: str = NODE, host: str = HOST) -> Path:
        """A file with a private key (PKCS#8, as Kafka wants it) and behind it the certificate."""
        made = self._authority.issue_cert(host, common_name=name)
        key = load_pem_private_key(made.private_key_pem.bytes(), None)
        path = self.folder / f"{name}.pem"
        path.touch(0o600)
        parts = [key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())]
        path.write_bytes(b"".join([*parts, *(each.bytes() for each in made.cert_chain_pems)]))
        return path
