// For the tests only: a root and a device CA made with openssl, a WireGuard server key, and the claim's answer built
// from them, in the shape that the room gives. Nothing of this is served outside the tests.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const SLOT = "18-0042";
export const PLACE = { slot: SLOT, realm: "ふくい <みまもり> & ネット", host: "claim.mimamori.example.jp" };
export const NUMBER = "4976052383";
export const PASSWORD = "7K3MQ2ZD9RTB4XWV";

export function run(command, args, options = {}) {
  return execFileSync(command, args, { stdio: ["pipe", "pipe", "pipe"], ...options }).toString();
}

export class Authority {
  constructor() {
    this.folder = mkdtempSync(join(tmpdir(), "mmt-claim-"));
    const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-sha256", "-days", "30"];
    run("openssl", ["req", "-x509", ...key, "-subj", "/CN=test root", "-keyout", this.at("root.key"), "-out", this.at("root.crt")]);
    run("openssl", ["req", ...key.slice(0, 6), "-subj", "/CN=test device CA", "-keyout", this.at("ca.key"), "-out", this.at("ca.csr")]);
    this.sign("ca.csr", "ca.crt", "root", "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign\n");
    this.serverKey = run("wg", ["genkey"]).trim();
    this.serverPublic = run("wg", ["pubkey"], { input: this.serverKey }).trim();
  }

  at(name) {
    return join(this.folder, name);
  }

  sign(request, certificate, issuer, extensions) {
    writeFileSync(this.at("ext"), extensions);
    run("openssl", ["x509", "-req", "-in", this.at(request), "-CA", this.at(`${issuer}.crt`), "-CAkey", this.at(`${issuer}.key`),
      "-CAcreateserial", "-days", "20", "-sha256", "-extfile", this.at("ext"), "-out", this.at(certificate)]);
  }

  /** What `POST /claim` answers; throws when the request does not prove its key. */
  answer(body) {
    writeFileSync(this.at("device.der"), Buffer.from(body.certificate_request, "base64"));
    run("openssl", ["req", "-inform", "DER", "-in", this.at("device.der"), "-out", this.at("device.csr"), "-verify"]);
    this.sign("device.csr", "device.crt", "ca", `extendedKeyUsage=clientAuth\nsubjectAltName=DNS:${SLOT}.dev.mimamori.example.jp\n`);
    return { ...this.tunnel(), certificate_chain: this.text("device.crt") + this.text("ca.crt") };
  }

  /** What `POST /claim/apple` answers. */
  passed(zone) {
    const directory = `https://claim.${zone}/acme/directory`;
    return { ...this.tunnel(), directory, client_identifier: `${NUMBER}-${"a2".repeat(16)}`, valid_until: "2027-01-15T08:15:00Z" };
  }

  text(name) {
    return readFileSync(this.at(name), "utf8");
  }

  /** The final tunnel's half, as in every answer. */
  tunnel() {
    return {
      slot: SLOT,
      interface: { address: "10.18.0.142/32", mtu: 1280 },
      peer: {
        public_key: this.serverPublic,
        preshared_key: run("wg", ["genpsk"]).trim(),
        endpoint: "vpn.mimamori.example.jp:51820",
        allowed_ips: ["10.18.255.1/32", "10.18.255.2/32"],
      },
      root: this.text("root.crt"),
      friendly_name: `みまもり ${SLOT}`,
      login: "hanako.yamada@clinic.example.jp",
      claims_left: 2,
    };
  }

  close() {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Four readers of a .p12: OpenSSL, GnuTLS, NSS, Java. Each throws when it cannot read it. */
export function readByAll(authority, file, password, friendlyName) {
  const said = {};
  const openssl = ["pkcs12", "-in", file, "-passin", `pass:${password}`];
  said.openssl = run("openssl", [...openssl, "-nodes"], { encoding: "latin1" });
  said.info = runBoth("openssl", [...openssl, "-info", "-noout"]);
  said.gnutls = run("certtool", ["--p12-info", "--inder", "--infile", file, "--password", password]);
  const store = authority.at(`nss-${Math.random().toString(36).slice(2)}`);
  run("mkdir", [store]);
  run("certutil", ["-N", "-d", `sql:${store}`, "--empty-password"]);
  run("pk12util", ["-i", file, "-d", `sql:${store}`, "-W", password]);
  said.nss = run("certutil", ["-L", "-d", `sql:${store}`]);
  said.nssKeys = run("certutil", ["-K", "-d", `sql:${store}`]);
  const java = ["-list", "-v", "-storetype", "PKCS12", "-keystore", file, "-storepass", password];
  said.java = run("keytool", ["-J-Dfile.encoding=UTF-8", "-J-Dsun.stdout.encoding=UTF-8", "-J-Dstdout.encoding=UTF-8", "-J-Duser.language=en", ...java]);
  if (!said.java.includes("Entry type: PrivateKeyEntry")) throw new Error(`keytool finds no key:\n${said.java}`);
  for (const reader of ["gnutls", "nss", "nssKeys", "java"]) {
    if (!said[reader].includes(friendlyName)) throw new Error(`${reader} does not say ${friendlyName}:\n${said[reader]}`);
  }
  // openssl prints of a BMPString the lower octet of each unit.
  const low = Array.from(friendlyName, (sign) => String.fromCharCode(sign.charCodeAt(0) & 0xff)).join("");
  if (!said.openssl.includes(`friendlyName: ${low}\n`)) throw new Error("openssl does not say the friendly name");
  return said;
}

function runBoth(command, args) {
  return run("sh", ["-c", '"$@" 2>&1', "sh", command, ...args]);
}
