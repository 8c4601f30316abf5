"""The phones' host of the KoboToolbox dialect: form list, manifest, media, submissions (037-072, 113-137)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from kobo_dialect_answers import Reply, parts_of
from kobo_dialect_assets import Asset

from forms.instance import envelope, parse_xml
from forms.problems import InstanceProblem

if TYPE_CHECKING:
    from kobo_dialect import KoboDialect

__all__ = ["answer_phone"]

XML = "text/xml; charset=utf-8"
ROSA = {"X-OpenRosa-Version": "1.0", "X-OpenRosa-Accept-Content-Length": "10000000"}
REFUSED = (
    "<?xml version='1.0' encoding='UTF-8' ?>\n"
    '<OpenRosaResponse xmlns="http://openrosa.org/http/response">\n'
    '        <message nature="">{}</message>\n</OpenRosaResponse>'
)
STORED = """<OpenRosaResponse xmlns="http://openrosa.org/http/response">
    <message>Successful submission.</message>
    <submissionMetadata xmlns="http://www.opendatakit.org/xforms" id="{}"  instanceID="{}"/>
</OpenRosaResponse>
"""


def xml(text: str, status: int = 200) -> Reply:
    return Reply(status, text.encode(), XML, ROSA)


def answer_phone(
    kobo: KoboDialect,
    method: str,
    path: str,
    query: Mapping[str, str],
    headers: Mapping[str, str],
    body: bytes,
) -> Reply:
    """Answer one request of a phone; without credentials Digest is asked for (037)."""
    user = kobo.tokens.get(headers.get("Authorization", "").removeprefix("Token ").strip(), "")
    if not user:
        words = "<root><detail>Authentication credentials were not provided.</detail></root>"
        digest = {"WWW-Authenticate": 'Digest realm="DJANGO", qop="auth"'}
        return Reply(401, words.encode(), XML, digest)
    match path.strip("/").split("/"):
        case ["formList"]:
            listed = [
                form_entry(asset)
                for asset in kobo.assets.values()
                if asset.active and query.get("formID", asset.uid) == asset.uid
            ]
            space = "http://openrosa.org/xforms/xformsList"
            return xml(f'{HEAD}<xforms xmlns="{space}">{"".join(listed)}</xforms>')
        case ["forms", pk, "form.xml"] if asset := by_pk(kobo, pk):
            return xml(asset.xform)
        case ["xformsManifest", pk] if asset := by_pk(kobo, pk):
            asset.polled()
            space = "http://openrosa.org/xforms/xformsManifest"
            files = "".join(media_entries(kobo, asset))
            return xml(f'{HEAD}<manifest xmlns="{space}">{files}</manifest>')
        case ["xformsMedia", pk, name] if asset := by_pk(kobo, pk):
            names = sorted(asset.offered.media)
            digest = asset.offered.media[names[int(name.partition(".")[0]) - 1]]
            return Reply(200, asset.contents[digest.removeprefix("md5:")], "text/csv", ROSA)
        case ["submission"] if method == "HEAD":
            return Reply(204, None, XML, {**ROSA, "Location": f"{kobo.phones_url}/submission"})
        case ["submission"] if method == "POST":
            fields, files = parts_of(body, headers.get("Content-Type", ""))
            return submitted(kobo, fields.get("xml", "").encode(), files, user)
    return xml(REFUSED.format("Not found"), 404)


HEAD = '<?xml version="1.0" encoding="utf-8"?>\n'


def by_pk(kobo: KoboDialect, pk: str) -> Asset | None:
    return next((asset for asset in kobo.assets.values() if str(asset.pk) == pk), None)


def form_entry(asset: Asset) -> str:
    digest = hashlib.md5(asset.xform.encode(), usedforsecurity=False).hexdigest()
    name, version, host = escape(asset.name), asset.offered.version, asset.kobo.phones_url
    return (
        f"<xform><formID>{asset.uid}</formID><name>{name}</name>"
        f"<majorMinorVersion>{version}</majorMinorVersion><version>{version}</version>"
        f"<hash>md5:{digest}</hash><descriptionText>{name}</descriptionText>"
        f"<downloadUrl>{host}/forms/{asset.pk}/form.xml</downloadUrl>"
        f"<manifestUrl>{host}/xformsManifest/{asset.pk}</manifestUrl></xform>"
    )


def media_entries(kobo: KoboDialect, asset: Asset) -> list[str]:
    """Pushed media, and at once what other projects offer (246)."""
    entry = (
        "<mediaFile><filename>{}</filename><hash>{}</hash>"
        "<downloadUrl>{}/xformsMedia/{}/{}</downloadUrl></mediaFile>"
    )
    offered = asset.offered.media
    listed = [
        entry.format(escape(name), offered[name], kobo.phones_url, asset.pk, f"{n}.csv")
        for n, name in enumerate(sorted(offered), start=1)
    ]
    return listed + [
        entry.format(pair["filename"], "md5:" + "0" * 32, kobo.phones_url, asset.pk, "0.xml")
        for pair in asset.pairs.values()
    ]


def submitted(
    kobo: KoboDialect, document: bytes, files: list[tuple[str, bytes, str]], user: str
) -> Reply:
    """A submission: new, again, with further files, as an edit, or refused."""
    try:
        said = envelope(parse_xml(document))
    except InstanceProblem:
        return xml(REFUSED.format("Received empty submission"), 400)
    asset = kobo.assets.get(said.form_id)
    if asset is None or not asset.deployed:
        return xml(REFUSED.format("Form does not exist on this account"), 404)
    if not asset.active:
        return xml(REFUSED.format("Form is not active"), 405)
    if not said.instance_id:
        return xml(REFUSED.format("Instance ID is required"), 400)
    if user == "outsider":
        return xml(REFUSED.format("Forbidden"), 403)
    instance_id = f"uuid:{said.instance_id}"
    brought: list[tuple[str, dict[str, object] | bytes]] = [(n, c) for n, c, _ in files]
    row_id = asset.find_row(instance_id)
    if row_id:
        if asset.documents.get(row_id, [document])[-1] != document:
            words = "Submission with this instance ID already exists"
            return xml(REFUSED.format(words), 409)
        if row_id not in asset.documents:  # a phantom: the retry adds a second row (275)
            row_id = asset.keep(document, 0, user)
        elif not asset.attach(row_id, brought):
            return xml(REFUSED.format("Duplicate Instance"), 202)
    elif said.deprecated_id and user != "me_office":  # 112
        return xml(REFUSED.format("Forbidden"), 403)
    elif said.deprecated_id:
        row_id = asset.find_row(f"uuid:{said.deprecated_id}")
        if not row_id:
            known = re.compile(rb"<instanceID>uuid:%s<" % said.deprecated_id.encode())
            old = any(known.search(d) for ds in asset.documents.values() for d in ds)
            words = "Submission has been edited meanwhile" if old else "Not found"
            return xml(REFUSED.format(words), 410 if old else 404)
        asset.keep(document, row_id, user)
        asset.attach(row_id, brought)
    else:
        row_id = asset.keep(document, 0, user)
        asset.attach(row_id, brought)
    return xml(STORED.format(asset.uid, instance_id), 201)
