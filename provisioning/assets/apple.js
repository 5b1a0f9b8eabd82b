// Apple's configuration profile (.mobileconfig), put together in the page: root, device CA, the certificate with its
// key, and the tunnel as WireGuard's own apps read it. Its identifiers come from zone and slot alone, so that the next
// profile replaces the last one. Nobody signs it: signing here would mean that the authority signs what it has not
// seen, and a device calls it 未署名 until a person says yes. Pure: text out.

import { toBase64 } from "./base64.js";

const ZONE = /^(?=.{1,200}$)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$/;
const SLOT = /^[0-9]{2}[A-Z]{0,2}-[0-9]{4}$/;
/** WireGuard's two apps look for their own name. */
export const SYSTEMS = Object.freeze({ "apple-mobile": "com.wireguard.ios", mac: "com.wireguard.macos" });
/** The sheet's number and 160 random bits, as the room writes them. */
const IDENTIFIER = /^[0-9]{10}-[a-z2-7]{32}$/;
const CLIENT_AUTHENTICATION = "1.3.6.1.5.5.7.3.2";

/** `mimamori-18-0042-iphone.mobileconfig`: two systems, two files. */
export function appleFile(slot, system) {
  return `mimamori-${checked(slot, SLOT, "slot")}-${system === "mac" ? "mac" : "iphone"}.mobileconfig`;
}

/**
 * The whole file. `system` of SYSTEMS, `root` and `ca` certificates (DER), `p12` with one certificate and its key
 * (Apple takes one per payload), `tunnel` the wg-quick text, `endpoint` as it stands there, `makeUuid` as in WebCrypto.
 * The file's password is left out: the device asks for it, and whoever has only the file has no key.
 * With `acme` (`directory`, `identifier`) instead of `ca` and `p12`, the device makes the certificate's key in its own
 * hardware while the profile is installed, and asks for the certificate by itself.
 */
export function appleProfile({ system, slot, zone, realm, friendlyName, root, ca, p12, acme, tunnel, tunnelName, endpoint }, makeUuid) {
  const subtype = SYSTEMS[system];
  if (!subtype) throw new RangeError("apple: system");
  const own = `${checked(zone, ZONE, "zone").split(".").reverse().join(".")}.${checked(slot, SLOT, "slot")}`;
  const payload = (type, part, name, more) => ({
    ...more, PayloadDisplayName: name, PayloadIdentifier: `${own}.${part}`, PayloadType: type,
    PayloadUUID: makeUuid().toUpperCase(), PayloadVersion: 1,
  });
  const tunnelPayload = {
    UserDefinedName: tunnelName, VPNType: "VPN", VPNSubType: subtype, VendorConfig: { WgQuickConfig: tunnel },
    VPN: { AuthenticationMethod: "Password", RemoteAddress: endpoint },
  };
  const content = [
    payload("com.apple.security.root", "root", `${realm} ルート証明書`, file("mimamori-root.crt", root)),
    ...(acme ? [] : [payload("com.apple.security.pkcs1", "ca", `${realm} 端末認証局`, file("mimamori-device-ca.crt", ca))]),
    acme ? payload("com.apple.security.acme", "identity", friendlyName, asked(acme, zone, slot))
      : payload("com.apple.security.pkcs12", "identity", friendlyName, file(`mimamori-${slot}.p12`, p12)),
    payload("com.apple.vpn.managed", "tunnel", tunnelName, tunnelPayload),
  ];
  return plist(payload("Configuration", "profile", friendlyName, {
    PayloadContent: content, PayloadOrganization: realm, PayloadScope: "User",
    PayloadDescription: acme ? "接続設定と、この端末の中で作る証明書です。仮の接続をオンにしたまま、15分のうちに入れてください。使えるのは1回だけです。"
      : "接続設定と端末の証明書です。入れるときに、画面に出ている証明書のパスワードを使います。",
  }));
}

/** Where the device asks, what with, and for which kind of key: one that never leaves its hardware. */
function asked({ directory, identifier }, zone, slot) {
  if (directory !== `https://claim.${zone}/acme/directory`) throw new RangeError("apple: directory");
  return {
    DirectoryURL: directory, ClientIdentifier: checked(identifier, IDENTIFIER, "identifier"),
    KeyType: "ECSECPrimeRandom", KeySize: 256, HardwareBound: true,
    Subject: [[["CN", slot]]], ExtendedKeyUsage: [CLIENT_AUTHENTICATION],
  };
}

const file = (name, octets) => ({ PayloadCertificateFileName: name, PayloadContent: octets });

/** XML property list; keys in the order of their letters, as Apple's tools write it. */
export function plist(value) {
  return '<?xml version="1.0" encoding="UTF-8"?>\n'
    + '<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">\n'
    + `<plist version="1.0">\n${element(value, "")}</plist>\n`;
}

function element(value, indent) {
  const inner = `${indent}\t`;
  if (typeof value === "string") return `${indent}<string>${escape(value)}</string>\n`;
  if (typeof value === "boolean") return `${indent}<${value}/>\n`;
  if (Number.isInteger(value)) return `${indent}<integer>${value}</integer>\n`;
  if (value instanceof Uint8Array) return `${indent}<data>\n${lines(toBase64(value), indent)}${indent}</data>\n`;
  if (Array.isArray(value)) return `${indent}<array>\n${value.map((one) => element(one, inner)).join("")}${indent}</array>\n`;
  const entries = Object.keys(value).sort().map((key) => `${inner}<key>${escape(key)}</key>\n${element(value[key], inner)}`);
  return `${indent}<dict>\n${entries.join("")}${indent}</dict>\n`;
}

const lines = (text, indent) => (text.match(/.{1,68}/g) ?? []).map((line) => `${indent}${line}\n`).join("");

/** Text that XML 1.0 can hold; what it cannot is left out. */
function escape(text) {
  const held = Array.from(text).filter((sign) => /[\t\n\u{20}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]/u.test(sign)).join("");
  return held.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

function checked(text, form, name) {
  if (typeof text !== "string" || !form.test(text)) throw new RangeError(`apple: ${name}`);
  return text;
}
