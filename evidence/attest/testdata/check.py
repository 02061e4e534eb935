"""Checks attestations with the tools of others: python3 check.py KEYID KEY.pem ENVELOPE.json...

securesystemslib verifies the DSSE envelope, in-toto-attestation reads the Statement, and the SLSA provenance against its protocol buffer.
Prints one JSON object a line: {"subjects": {name: sha256}, "predicateType": ...}, or {"error": ...}.
"""
import json, sys
import google.protobuf.json_format as pb_json
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey


def check(path, key):
    with open(path, encoding="utf-8") as f:
        envelope = Envelope.from_dict(json.load(f))
    envelope.verify([key], 1)
    if envelope.payload_type != "application/vnd.in-toto+json":
        raise ValueError("payload type " + envelope.payload_type)
    statement = Statement.copy_from_pb(pb_json.Parse(envelope.payload, statement_pb2.Statement()))
    statement.validate()
    kind = statement.pb.predicate_type
    if kind == "https://slsa.dev/provenance/v1":  # unknown members are an error
        pb_json.Parse(pb_json.MessageToJson(statement.pb.predicate), provenance_pb2.Provenance())
    return {"subjects": {s.name: s.digest["sha256"] for s in statement.pb.subject}, "predicateType": kind}


with open(sys.argv[2], "rb") as f:
    key = SSlibKey.from_crypto(load_pem_public_key(f.read()), keyid=sys.argv[1])
for name in sys.argv[3:]:
    try:
        result = check(name, key)
    except Exception as e:
        result = {"error": "%s: %s" % (type(e).__name__, e)}
    print(json.dumps(result))
