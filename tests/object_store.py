"""An S3 server of the tests' own, as a process on a loopback port; what it holds is in its memory."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import boto3
import requests

__all__ = ["ObjectStore", "object_store"]

BUCKET = "watphon"
KEYS = {
    "AWS_ACCESS_KEY_ID": "AKIATESTTESTTESTTEST",
    "AWS_SECRET_ACCESS_KEY": "only-for-these-tests",
    "AWS_REGION": "us-east-1",
}


@dataclass
class ObjectStore:
    """A running store: `address` is what the server is told, `environment` how it gets in."""

    url: str
    process: subprocess.Popen[bytes]

    @property
    def address(self) -> str:
        return f"s3://{BUCKET}/photos"

    @property
    def environment(self) -> dict[str, str]:
        return {**KEYS, "AWS_ENDPOINT_URL": self.url}

    @property
    def client(self) -> Any:
        """Another client than the server's own."""
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name=KEYS["AWS_REGION"],
            aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
        )

    def objects(self) -> dict[str, bytes]:
        """What it holds, by its hash."""
        client = self.client
        listed = client.list_objects_v2(Bucket=BUCKET).get("Contents", [])
        return {
            one["Key"].removeprefix("photos/"): client.get_object(Bucket=BUCKET, Key=one["Key"])[
                "Body"
            ].read()
            for one in listed
        }

    def put(self, digest: str, content: bytes) -> None:
        """Change an object behind the server's back."""
        self.client.put_object(Bucket=BUCKET, Key=f"photos/{digest}", Body=content)

    def delete(self, digest: str) -> None:
        """Lose an object."""
        self.client.delete_object(Bucket=BUCKET, Key=f"photos/{digest}")


@contextmanager
def object_store() -> Iterator[ObjectStore]:
    """Start one with an empty bucket; ended with the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **KEYS},
    )
    store = ObjectStore(f"http://127.0.0.1:{port}", process)
    try:
        deadline = time.monotonic() + 60
        while True:
            with suppress(requests.RequestException):
                if requests.put(f"{store.url}/{BUCKET}", timeout=5).ok:
                    break
            assert time.monotonic() < deadline, "the object store did not start"
            time.sleep(0.1)
        yield store
    finally:
        process.kill()
        process.wait(30)
