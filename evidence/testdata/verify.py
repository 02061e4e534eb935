#!/usr/bin/env python3
"""Verifies evidence streams: python3 verify.py KEYS.json STREAM.jsonl...

KEYS.json maps key ids to public keys in PEM (Ed25519, or ECDSA on P-256). Prints {"verdict": ..., "why": [...]}, a line for each
stream, and exits 0 if all are good. Written from docs/evidence-format.md alone; needs only the standard library and `cryptography`.
"""
import base64, hashlib, json, re, sys
from datetime import datetime, timezone
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils

TYPE = "https://cloudevents.io/verifiability/dsse/v0.1"
CORE = ("id", "source", "specversion", "type", "datacontenttype", "dataschema", "subject")
TEXTS = CORE + ("time", "sequence", "cellosrun", "cellosprev")
sha = lambda b: hashlib.sha256(b).digest()
Number = type("Number", (str,), {})  # a JSON number as it was written
Bad = type("Bad", (Exception,), {})  # an event that is not authentic


def read(text):
    """Strict JSON: UTF-8, no member twice, no NaN; numbers keep their spelling."""
    def members(pairs):
        if len({k for k, _ in pairs}) != len(pairs):
            raise ValueError("a member occurs twice")
        return dict(pairs)
    v = json.loads(text.decode("utf-8"), object_pairs_hook=members, parse_int=Number, parse_float=Number, parse_constant=lambda c: 1 / 0)
    return write(v).encode("utf-8") and v  # lone surrogates cannot be encoded


def write(v):
    """The canonical spelling: compact, members ascending by the bytes of their names, few escapes."""
    if isinstance(v, dict):
        names = sorted(v, key=lambda n: n.encode("utf-8"))
        return "{" + ",".join(write(n) + ":" + write(v[n]) for n in names) + "}"
    if isinstance(v, list):
        return "[" + ",".join(map(write, v)) + "]"
    if isinstance(v, Number):
        return str(v)
    if isinstance(v, str):
        short = {"\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\"}
        return '"' + re.sub(r'[\x00-\x1f"\\]', lambda m: short.get(m[0]) or "\\u%04x" % ord(m[0]), v) + '"'
    return {True: "true", False: "false", None: "null"}[v]


def instant(text):
    """RFC 3339 to (whole seconds in UTC, fraction)."""
    m = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)", text)
    if not m:
        raise ValueError("not a time")
    t = datetime.fromisoformat(m[1] + ("+00:00" if m[3] == "Z" else m[3])).astimezone(timezone.utc)
    return t.strftime("%Y-%m-%dT%H:%M:%SZ"), (m[2] or "").rstrip("0")


def value(v):
    """An attribute as bytes: strings as they are, integers and booleans as JSON writes them."""
    if v is None:
        return b""
    if isinstance(v, (dict, list)) or isinstance(v, Number) and not re.fullmatch(r"-?\d+", v):
        raise ValueError("not a scalar")
    return (v if isinstance(v, str) else write(v)).encode("utf-8")


def signature_holds(key, message, sig):
    edwards = isinstance(key, ed25519.Ed25519PublicKey)
    if not edwards and len(sig) == 64:  # r and s
        sig = utils.encode_dss_signature(int.from_bytes(sig[:32], "big"), int.from_bytes(sig[32:], "big"))
    try:
        key.verify(sig, message, *([] if edwards else [ec.ECDSA(hashes.SHA256())]))
        return True
    except (InvalidSignature, ValueError):
        return False


def check(e, keys):
    """Returns the digest of the event's signed payload and whether its key is known; raises Bad."""
    try:
        env = read(base64.b64decode(e["dssematerial"], validate=True))
        payload = base64.b64decode(env["payload"], validate=True)
        known = [s for s in env["signatures"] if s.get("keyid") in keys]
        if not env["signatures"]:
            raise Bad("no signature")
        if env["payloadType"] != TYPE:
            raise Bad("payload type")
        pae = b"DSSEv1 %d %s %d %s" % (len(TYPE), TYPE.encode(), len(payload), payload)
        if known and not any(signature_holds(keys[s["keyid"]], pae, base64.b64decode(s["sig"], validate=True)) for s in known):
            raise Bad("signature")
        p = read(payload)
        data = b"" if e.get("data") is None else write(e["data"]).encode("utf-8")
        second, fraction = instant(e["time"]) if e.get("time") else ("", "")
        if sha(b"".join(map(sha, [value(e.get(n)) for n in CORE] + [second.encode(), data]))) != base64.b64decode(p["core"]):
            raise Bad("event altered")
        if "time" in p and instant(p["time"]) != (second, fraction):
            raise Bad("time altered")
        signed = p.get("signedextattrs", [])
        if sha(b"".join(sha(value(e.get(n))) for n in signed)) != base64.b64decode(p["ext"]):
            raise Bad("attributes altered")
        others = {n for n in e if e[n] is not None} - set(CORE) - {"time", "data", "dssematerial"}
        if not {"sequence", "cellosrun", "cellosprev"} <= others or others - set(signed):
            raise Bad("attributes not signed: %s" % others)
    except (KeyError, TypeError, ValueError, AttributeError) as err:
        raise Bad("%s: %s" % (type(err).__name__, err))
    return "sha256:" + sha(payload).hex(), bool(known)


def verify(lines, keys):
    found, why, run, due, prev, count = set(), [], None, 1, None, None
    for n, line in enumerate(lines, 1):
        try:
            if len(line.rstrip(b"\n")) > 1 << 20:
                raise ValueError("too long")
            e = read(line)
            known = e["specversion"] == "1.0" and e["id"] and e["type"] and type(e.get("celloscount")) in (Number, type(None))
            texts_only = known and all(type(e.get(n)) in (str, type(None)) for n in TEXTS)
            if not texts_only or not re.fullmatch(r"\d{10,}", e.get("sequence") or "0" * 10):
                raise ValueError("no CloudEvent")
            [value(e[n]) for n in e if n != "data"], e.get("time") and instant(e["time"])
        except (ValueError, KeyError, TypeError, RecursionError, ZeroDivisionError) as err:
            found.add("open" if not line.endswith(b"\n") and count is None else "unreadable")  # torn, or bad
            why.append("line %d: %s" % (n, err))
            continue
        try:
            digest, known = check(e, keys)
        except Bad as err:
            found.add("bad")
            why.append("line %d: %s" % (n, err))
            continue
        if not known:
            found.add("unknownKey")
        run = run or e["cellosrun"]
        if e["cellosrun"] != run or int(e["sequence"]) != due or count is not None or prev and e["cellosprev"] != prev:
            found.add("incomplete")
            why.append("line %d: number %s of %s where %d of %s is due" % (n, e["sequence"], e["cellosrun"], due, run))
        due, prev = due + 1, digest
        count = int(e["celloscount"]) if e.get("celloscount") is not None else count
        if count is not None and count != int(e["sequence"]):
            found.add("incomplete")
    if count is None:
        found.add("open")
    verdict = next((v for v in ("bad", "unreadable", "incomplete", "unknownKey", "open") if v in found), "good")
    return {"verdict": verdict, "why": why[:20]}


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as f:
        trusted = {k: serialization.load_pem_public_key(v.encode()) for k, v in json.load(f).items()}
    results = [verify(open(name, "rb"), trusted) for name in sys.argv[2:]]
    print(*map(json.dumps, results), sep="\n")
    sys.exit(any(r["verdict"] != "good" for r in results))
