// The bundle of a Linux device: wg-quick file, PEM files, and a small client that renews the certificate over the live
// tunnel by itself (EST `simplereenroll`, with `openssl` and `curl` alone), run once a day by systemd. The key is made
// in the page and never changes; its certificate does. Pure: octets out.

import { toBase64 } from "./base64.js";
import { profileFile } from "./tunnel.js";
import { tar } from "./tar.js";

const SLOT = /^[0-9]{2}[A-Z]{0,2}-[0-9]{4}$/;
const HOST = /^[a-z0-9.-]{3,253}(?::[0-9]{1,5})?$/;
const [SECRET, PUBLIC, PROGRAM] = [0o600, 0o644, 0o755];

export const linuxFile = (slot) => `mimamori-${checked(slot, SLOT, "slot")}.tar`;

/** `key` PKCS#8, `chain` certificates with the device's first, `root` a certificate, `claimHost` of this page. */
export function linuxBundle({ slot, claimHost, key, chain, root, tunnel }, at = 0) {
  const folder = `mimamori-${checked(slot, SLOT, "slot")}`;
  const text = (name, mode, body) => ({ name: `${folder}/${name}`, mode, octets: new TextEncoder().encode(body) });
  return tar([
    text("README.txt", PUBLIC, readme(slot)),
    text(profileFile(slot), SECRET, tunnel),
    text("device.key", SECRET, pem("PRIVATE KEY", key)),
    text("device.crt", PUBLIC, chain.map((der) => pem("CERTIFICATE", der)).join("")),
    text("device-ca.crt", PUBLIC, chain.slice(1).map((der) => pem("CERTIFICATE", der)).join("")),
    text("root.crt", PUBLIC, pem("CERTIFICATE", root)),
    text("renew.conf", PUBLIC, `SLOT=${slot}\nSERVER=https://${checked(claimHost, HOST, "host")}\n`),
    text("renew.sh", PROGRAM, RENEW),
    text("install.sh", PROGRAM, install(slot)),
    text(`mimamori-renew-${slot}.service`, PUBLIC, service(slot)),
    text(`mimamori-renew-${slot}.timer`, PUBLIC, timer(slot)),
  ], at);
}

function pem(kind, der) {
  const lines = toBase64(der).match(/.{1,64}/g).join("\n");
  return `-----BEGIN ${kind}-----\n${lines}\n-----END ${kind}-----\n`;
}

/** Anybody's sh; no variable of it is filled in here. */
export const RENEW = String.raw`#!/bin/sh
# Renews this device's certificate over its own tunnel (EST simplereenroll, RFC 7030), with the key that it has.
# Run it daily; before two thirds of the certificate's life are over it does nothing. Ends with 0 when nothing is to
# be done or the new certificate is in place, with 75 when it is worth trying again, with 1 when a person must look.
#   renew.sh         when it is time
#   renew.sh --now   asks at once (the server may answer with the certificate that is there)
set -eu
umask 077
cd "$(dirname "$0")"
. ./renew.conf
say() { echo "mimamori renew $SLOT: $1" >&2; }
exec 9>renew.lock
flock -n 9 || { say 'another renewal runs'; exit 75; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

seconds() { date -u -d "$(openssl x509 -in "$1" -noout "$2" | cut -d= -f2)" +%s; }
begin=$(seconds device.crt -startdate)
end=$(seconds device.crt -enddate)
third=$(( (end - begin) / 3 ))
# Each device has a day of its own within the first quarter of the last third: never all of them at once.
own=$(( 0x$(openssl x509 -in device.crt -noout -serial | cut -d= -f2 | tail -c 8) % (third / 4 + 1) ))
if [ "$#" -eq 0 ] && [ "$(date -u +%s)" -lt $(( end - third + own )) ]; then exit 0; fi

openssl req -new -key device.key -subj "/CN=$SLOT" -outform DER | openssl base64 > "$work/request"
status=$(curl --silent --show-error --cacert root.crt --proto =https --max-time 60 --output "$work/answer" \
  --write-out '%{http_code}' --header 'Content-Type: application/pkcs10' --data-binary "@$work/request" \
  "$SERVER/.well-known/est/simplereenroll") || { say 'the server was not reached; is the tunnel up?'; exit 75; }
case "$status" in
  200) ;;
  429 | 5??) say "the server asks to come later ($status)"; exit 75 ;;
  *) say "the server refused ($status): $(head -c 400 "$work/answer")"; exit 1 ;;
esac

tr -d '\r\n' < "$work/answer" | openssl base64 -d -A > "$work/answer.p7"
openssl pkcs7 -inform DER -in "$work/answer.p7" -print_certs | openssl x509 -out "$work/new.crt"
# Nothing is taken that is not ours: this key, this name's authority, and a later end.
[ "$(openssl x509 -in "$work/new.crt" -noout -pubkey)" = "$(openssl pkey -in device.key -pubout)" ] ||
  { say 'the answer is for another key'; exit 1; }
openssl verify -CAfile root.crt -untrusted device-ca.crt -purpose sslclient "$work/new.crt" > /dev/null ||
  { say 'the answer was not signed by our authority'; exit 1; }
if [ "$(seconds "$work/new.crt" -enddate)" -le "$end" ]; then
  say 'there is no newer certificate yet'
  exit 0
fi
cat "$work/new.crt" device-ca.crt > device.crt.new
chmod 644 device.crt.new
cp -p device.crt device.crt.before
mv device.crt.new device.crt
say "renewed until $(openssl x509 -in device.crt -noout -enddate | cut -d= -f2)"
# Whoever has to read the file anew is told here.
if [ -x ./after-renewal ]; then ./after-renewal; fi
`;

function install(slot) {
  return `#!/bin/sh
# Puts the files where they belong. Run it as root, from anywhere.
set -eu
cd "$(dirname "$0")"
to=/etc/mimamori/${slot}
install -d -m 700 "$to" /etc/wireguard
install -m 600 device.key "$to/"
install -m 644 device.crt device-ca.crt root.crt renew.conf "$to/"
install -m 755 renew.sh "$to/"
install -m 600 ${profileFile(slot)} /etc/wireguard/
install -m 644 mimamori-renew-${slot}.service mimamori-renew-${slot}.timer /etc/systemd/system/
systemctl daemon-reload
systemctl enable --now mimamori-renew-${slot}.timer
echo 'installed; raise the tunnel: systemctl enable --now wg-quick@${profileFile(slot).replace(/\.conf$/, "")}'
`;
}

function service(slot) {
  return `[Unit]
Description=Renew the certificate of ${slot}
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
ExecStart=/etc/mimamori/${slot}/renew.sh
SuccessExitStatus=75
NoNewPrivileges=yes
ProtectSystem=strict
ReadWritePaths=/etc/mimamori/${slot}
ProtectHome=yes
PrivateTmp=yes
`;
}

function timer(slot) {
  return `[Unit]
Description=Renew the certificate of ${slot} when it is time

[Timer]
OnCalendar=daily
RandomizedDelaySec=12h
Persistent=true

[Install]
WantedBy=timers.target
`;
}

function readme(slot) {
  return `VPN番号 ${slot}

1. sudo ./install.sh
2. 仮の接続を切り、新しい接続を入れます: sudo systemctl enable --now wg-quick@${profileFile(slot).replace(/\.conf$/, "")}
3. ブラウザーには、証明書（.p12）を別に入れます。

証明書は期間の3分の2を過ぎると、この端末が自分で更新します（1日1回、接続中に確かめます）。
状況: systemctl status mimamori-renew-${slot}.service
すぐに確かめる: sudo /etc/mimamori/${slot}/renew.sh --now
更新のあとに動かすもの（ウェブサーバーの再読み込みなど）は /etc/mimamori/${slot}/after-renewal に書きます。
期限を過ぎても90日以内なら、同じ鍵のまま自分で戻ります。
`;
}

function checked(text, form, name) {
  if (typeof text !== "string" || !form.test(text)) throw new RangeError(`linux: ${name}`);
  return text;
}
