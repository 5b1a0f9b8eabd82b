"""A client of ACME (RFC 8555) that shares nothing with the server: openssl makes keys, signs and writes the request, curl
asks, and this puts JSON and base64url round them. Arguments: folder, root certificate, the claim host's URL, number,
password, an admin's own password or nothing. Leaves device.key, device.crt (with its chain) and tunnel.conf there."""

import base64, json, os, subprocess, sys

folder, root, base, number, password, own = sys.argv[1:7]
os.umask(0o077)
os.chdir(folder)


def run(*command, stdin=b""):
    return subprocess.run(command, input=stdin, stdout=subprocess.PIPE, check=True).stdout


def b64(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def ask(method, url, body=None, media=None, origin=False):
    command = ["curl", "--silent", "--show-error", "--cacert", root, "--dump-header", "head", "--output", "answer"]
    command += ["--head"] if method == "HEAD" else ["--request", method]
    if media:
        command += ["--header", f"Content-Type: {media}", "--data-binary", "@-"]
    if origin:
        command += ["--header", f"Origin: {base}"]
    run(*command, url, stdin=(body or "").encode())
    lines = open("head", encoding="ascii", newline="").read().split("\r\n\r\n")[-2].splitlines()
    status = int(lines[0].split()[1])
    head = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        head.setdefault(name.strip().lower(), value.strip())
    return status, head, open("answer", "rb").read() if method != "HEAD" else b""


def good(answer, *wanted):
    status, _, body = answer
    if status not in wanted:
        sys.exit(f"{status}: {body.decode(errors='replace')}")
    return answer


# The page's half: number and password, and the tunnel's key.
tunnel = run("wg", "genkey").strip()
public = run("wg", "pubkey", stdin=tunnel).strip().decode()
entry = {"number": number, "password": password, "wireguard_public_key": public}
if own:
    entry["admin_password"] = own
_, _, body = good(ask("POST", f"{base}/claim/apple", json.dumps(entry), "application/json", True), 201)
passed = json.loads(body)

# The device's: an account, an order, a challenge, a request.
run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "account.key")
point = run("openssl", "ec", "-in", "account.key", "-pubout", "-outform", "DER")[-65:]
jwk = {"kty": "EC", "crv": "P-256", "x": b64(point[1:33]), "y": b64(point[33:])}
nonces, kid = [], None


def signature(message):
    der = run("openssl", "dgst", "-sha256", "-sign", "account.key", stdin=message)
    numbers, at = b"", 2
    for _ in range(2):
        length = der[at + 1]
        numbers += der[at + 2:at + 2 + length].lstrip(b"\0").rjust(32, b"\0")
        at += 2 + length
    return numbers


def signed(url, payload, nonce):
    header = {"alg": "ES256", "nonce": nonce, "url": url}
    header.update({"kid": kid} if kid else {"jwk": jwk})
    protected = b64(json.dumps(header).encode())
    payload = b64(json.dumps(payload).encode()) if payload is not None else ""
    return json.dumps({
        "protected": protected, "payload": payload, "signature": b64(signature(f"{protected}.{payload}".encode())),
    })


def post(url, payload):
    body = signed(url, payload, nonces.pop() if nonces else fresh())
    answer = ask("POST", url, body, "application/jose+json")
    nonces.append(answer[1]["replay-nonce"])
    return answer, body


def fresh():
    return good(ask("HEAD", directory["newNonce"]), 200)[1]["replay-nonce"]


directory = json.loads(good(ask("GET", passed["directory"]), 200)[2])
answer, replay = post(directory["newAccount"], {"termsOfServiceAgreed": True})
kid = good(answer, 200, 201)[1]["location"]
again = ask("POST", directory["newAccount"], replay, "application/jose+json")
refused = json.loads(good(again, 400)[2])
if not refused["type"].endswith(":badNonce"):
    sys.exit(f"a replayed request was told {refused}")
nonces.append(again[1]["replay-nonce"])
name = {"type": "permanent-identifier", "value": passed["client_identifier"]}
answer, _ = post(directory["newOrder"], {"identifiers": [name]})
_, head, body = good(answer, 201)
place, order = head["location"], json.loads(body)
authorization = json.loads(good(post(order["authorizations"][0], None)[0], 200)[2])
[challenge] = [one for one in authorization["challenges"] if one["type"] == "device-attest-01"]
good(post(challenge["url"], {"attObj": b64(b"{}")})[0], 200)
run("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "device.key")
request = run("openssl", "req", "-new", "-key", "device.key", "-subj", "/CN=18-9999", "-addext", "subjectAltName=DNS:18-9999.dev.example.jp,DNS:office.example.jp", "-addext", "basicConstraints=critical,CA:TRUE", "-outform", "DER")
order = json.loads(good(post(order["finalize"], {"csr": b64(request)})[0], 200)[2])
if order["status"] != "valid":
    sys.exit(f"the order is {order}")
chain = good(post(order["certificate"], None)[0], 200)[2].decode()
open("device.crt", "w").write(chain)
end = "-----END CERTIFICATE-----\n"
leaf, ca = [part + end for part in chain.split(end)[:2]]
open("leaf.crt", "w").write(leaf)
open("ca.crt", "w").write(ca)
run("openssl", "verify", "-CAfile", root, "-untrusted", "ca.crt", "-purpose", "sslclient", "leaf.crt")
# Only the public key is taken from a request.
text = run("openssl", "x509", "-in", "leaf.crt", "-noout", "-text").decode()
if passed["slot"] not in text or any(own in text for own in ("18-9999", "office.", "CA:TRUE")):
    sys.exit(f"the request's own words are in {text}")
if place != f"{base}/acme/order/{place.rsplit('/', 1)[1]}":
    sys.exit(f"the order is at {place}")
interface, peer = passed["interface"], passed["peer"]
open("tunnel.conf", "w").write("\n".join([
    "[Interface]", f"PrivateKey = {tunnel.decode()}", f"Address = {interface['address']}", f"MTU = {interface['mtu']}", "",
    "[Peer]", f"PublicKey = {peer['public_key']}", f"PresharedKey = {peer['preshared_key']}",
    f"AllowedIPs = {', '.join(peer['allowed_ips'])}", f"Endpoint = {peer['endpoint']}", "",
]))
# Used once, it is of no more use, even to the account that used it.
refused = json.loads(good(post(directory["newOrder"], {"identifiers": [name]})[0], 410)[2])
print(refused["code"])
for file in ("head", "answer", "leaf.crt", "ca.crt", "account.key"):
    os.remove(file)
