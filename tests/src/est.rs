//! A machine's claim and its renewal by programs that are not ours: openssl, curl and wg (RFC 7030), and the renewal
//! client of the Linux bundle, as the page hands it out. Issue 5. Owns nothing; its files are the device's.

use std::fs;

use crate::device::Device;
use crate::fault::{Fault, Told};
use crate::holds;
use crate::shell;

/// `$1` folder, `$2` root, `$3` number and password, `$4` the claim host's URL.
const ENROL: &str = r#"
set -eu
umask 077
cd "$1"
est="$4/.well-known/est"
wg genkey | tr -d '\n' > tunnel.key
wg pubkey < tunnel.key | tr -d '\n' > tunnel.pub
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out device.key
openssl req -new -key device.key -subj /CN=machine -outform DER | openssl base64 > device.csr
curl --silent --show-error --fail --cacert "$2" --user "$3" --header "WireGuard-Public-Key: $(cat tunnel.pub)" \
  --header 'Content-Type: application/pkcs10' --data-binary @device.csr --dump-header head --output answer \
  "$est/simpleenroll"
tr -d '\r\n' < answer | openssl base64 -d -A | openssl pkcs7 -inform DER -print_certs | openssl x509 > own.crt
curl --silent --show-error --fail --cacert "$2" "$est/cacerts" | tr -d '\r\n' | openssl base64 -d -A |
  openssl pkcs7 -inform DER -print_certs > cas.crt
openssl verify -CAfile "$2" -untrusted cas.crt -purpose sslclient own.crt
cat own.crt cas.crt > device.crt
curl --silent --show-error --fail --cacert "$2" "$est/csrattrs" | openssl base64 -d -A | openssl asn1parse -inform DER
sed -n 's/^wireguard-profile: *//Ip' head | tr -d '\r' | openssl base64 -d -A |
  sed "s|^.Interface.\$|&\nPrivateKey = $(cat tunnel.key)|" > tunnel.conf
"#;

/// Number and password by HTTP Basic: keys made by openssl and wg, certificate and tunnel by EST.
pub fn claim(device: &mut Device) -> Told<()> {
    let sheet = device.handover.sheet.clone();
    let (root, url) = (device.credentials.root.clone(), device.url("claim", ""));
    let folder = device.next_claim()?;
    let mut sh = device.space.command("sh");
    sh.args(["-c", ENROL, "enrol"]).arg(&folder).arg(root);
    sh.arg(format!("{}:{}", sheet.number, sheet.password)).arg(url);
    let said = shell::run(sh)?.ok("enrolling over EST")?.text();
    holds!(said.contains("own.crt: OK") && said.contains("prime256v1"), "EST said {said}");
    device.claimed_elsewhere(&folder)
}

/// The client that the page puts into the Linux bundle, over the live tunnel: it asks, hears that its certificate is
/// good for a while yet, and leaves everything as it is.
pub fn renewal_client_asks(device: &Device) -> Told<()> {
    let folder = device.folder.join("renewal");
    fs::create_dir_all(&folder)?;
    let script = shell::checkout().join("provisioning/assets/linux.js");
    let mut node = std::process::Command::new("node");
    let print =
        format!("import {{ RENEW }} from {:?}; process.stdout.write(RENEW);", script.display().to_string());
    node.args(["--input-type=module", "-e", &print]);
    let client = shell::run(node)?.ok("node, for the renewal client")?;
    fs::write(folder.join("renew.sh"), &client.stdout)?;
    let held = device.credentials.certificate.clone();
    let (chain, key) = held.ok_or_else(|| Fault::new("the device has no certificate"))?;
    let certificates = fs::read_to_string(&chain)?;
    let parts = certificates.split_once("-----END CERTIFICATE-----\n");
    let (_, ca) = parts.ok_or_else(|| Fault::new("the certificate comes without its chain"))?;
    fs::write(folder.join("device-ca.crt"), ca)?;
    fs::write(folder.join("device.crt"), &certificates)?;
    fs::copy(key, folder.join("device.key"))?;
    fs::copy(&device.credentials.root, folder.join("root.crt"))?;
    let server = device.url("claim", "");
    fs::write(folder.join("renew.conf"), format!("SLOT={}\nSERVER={server}\n", device.slot))?;
    let mut sh = device.space.command("sh");
    sh.arg(folder.join("renew.sh")).arg("--now");
    let said = shell::run(sh)?.ok("the renewal client")?.stderr;
    holds!(said.contains("no newer certificate yet"), "the renewal client said {said}");
    holds!(fs::read_to_string(folder.join("device.crt"))? == certificates, "its certificate was changed");
    Ok(())
}
