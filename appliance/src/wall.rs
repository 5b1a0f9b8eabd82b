//! The machine's own firewall, below the tunnels' table: nothing comes in, goes out or passes through unless a
//! line here says why. Rendered for `nft -f` from the configuration and the process table. Pure text.
//!
//! It logs nothing: a machine without the kernel's log module would refuse the whole text, and stand open.

use std::fmt::Write;
use std::net::IpAddr;

use crate::config::Config;
use crate::config::management::Network;
use crate::process::{Name, Outward, TABLE};

/// The table's name; the tunnels' is `mimamori`.
pub const TABLE_NAME: &str = "mimamori_wall";

/// What is loaded before anything is known, and stays when the rest is refused: nobody.
pub const CLOSED: &str = "table inet mimamori_wall\ndelete table inet mimamori_wall\ntable inet mimamori_wall {\n\
    \x20 chain input { type filter hook input priority 0; policy drop; iif lo accept; }\n\
    \x20 chain forward { type filter hook forward priority 0; policy drop; }\n\
    \x20 chain output { type filter hook output priority 0; policy drop; oif lo accept; }\n}\n";

const PORT_SSH: u16 = 22;
/// How many new connections a minute the SSH server looks at; an engineer needs a handful.
const SSH_PER_MINUTE: u16 = 30;
/// Neighbours and path sizes; without them IPv6 does not work at all.
const ICMP6: &str = "nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert, packet-too-big, \
    destination-unreachable, time-exceeded, parameter-problem, echo-request";

/// The whole table in the place of whatever had its name; without a configuration nobody is let in, and the
/// machine may only find its addresses and the time.
pub fn rules(config: Option<&Config>) -> String {
    let mut text =
        format!("table inet {TABLE_NAME}\ndelete table inet {TABLE_NAME}\ntable inet {TABLE_NAME} {{\n");
    input(&mut text, config);
    text.push_str("  chain forward {\n    type filter hook forward priority 0; policy drop;\n  }\n");
    output(&mut text, config);
    text.push_str("}\n");
    text
}

fn input(text: &mut String, config: Option<&Config>) {
    text.push_str("  chain input {\n    type filter hook input priority 0; policy drop;\n");
    let mut line = |rule: &str| {
        let _ = writeln!(text, "    {rule}");
    };
    line("iif lo accept");
    if let Some(config) = config {
        // Before `established`: whoever leaves the tunnels' sets is cut in the middle of a connection there.
        line(&format!("iifname {} tcp dport {{ 80, 443 }} accept", config.vpn.interface));
        line(&format!("iifname {} drop", config.vpn.interface));
    }
    line("ct state established,related accept");
    line("ct state invalid drop");
    line(
        "icmp type { echo-request, destination-unreachable, time-exceeded, parameter-problem } limit rate 50/second accept",
    );
    line(&format!("icmpv6 type {{ {ICMP6} }} limit rate 50/second accept"));
    let Some(config) = config else {
        text.push_str("  }\n");
        return;
    };
    let mut ports: Vec<u16> = config.vpn.listen.iter().map(|address| address.port()).collect();
    ports.sort_unstable();
    ports.dedup();
    line(&format!("udp dport {} accept", set(&ports)));
    for (family, networks) in families(&config.management.addresses) {
        line(&format!(
            "{family} saddr {} tcp dport {PORT_SSH} ct state new limit rate {SSH_PER_MINUTE}/minute accept",
            set(&networks)
        ));
    }
    text.push_str("  }\n");
}

fn output(text: &mut String, config: Option<&Config>) {
    text.push_str("  chain output {\n    type filter hook output priority 0; policy drop;\n");
    let mut line = |rule: &str| {
        let _ = writeln!(text, "    {rule}");
    };
    line("oif lo accept");
    line("ct state established,related accept");
    line(
        "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit, mld2-listener-report } accept",
    );
    // Addresses (DHCP) and the time; both by the system's own users.
    line("udp sport 68 udp dport 67 accept");
    line("udp sport 546 udp dport 547 accept");
    line("meta skuid systemd-timesync udp dport 123 accept");
    if let Some(config) = config {
        for row in &TABLE {
            if row.name == Name::Vpn {
                // A tunnel that begins to speak again is no answer.
                let mut ports: Vec<u16> = config.vpn.listen.iter().map(|address| address.port()).collect();
                ports.sort_unstable();
                ports.dedup();
                line(&format!("meta skuid {} udp sport {} accept", row.uid, set(&ports)));
            }
            let outward = Outward::of(row, config, None);
            // `mail doctor` asks what a receiver of our mail would ask.
            let asks = row.name == Name::Cli && config.mail.is_some();
            if outward.has_names() || asks {
                line(&format!("meta skuid {} meta l4proto {{ tcp, udp }} th dport 53 accept", row.uid));
            }
            for callee in &outward.callees {
                let to = callee.address().map_or(String::new(), |address| match address {
                    IpAddr::V4(address) => format!("ip daddr {address} "),
                    IpAddr::V6(address) => format!("ip6 daddr {address} "),
                });
                line(&format!("meta skuid {} {to}tcp dport {} accept", row.uid, callee.port));
            }
        }
    }
    text.push_str("  }\n");
}

/// IPv4 and IPv6 apart, those that have any.
fn families(networks: &[Network]) -> Vec<(&'static str, Vec<String>)> {
    let of = |v4: bool| -> Vec<String> {
        networks.iter().filter(|n| n.address.is_ipv4() == v4).map(ToString::to_string).collect()
    };
    [("ip", of(true)), ("ip6", of(false))].into_iter().filter(|(_, found)| !found.is_empty()).collect()
}

fn set<T: ToString>(items: &[T]) -> String {
    let items: Vec<String> = items.iter().map(ToString::to_string).collect();
    format!("{{ {} }}", items.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(more: &str) -> Config {
        let realm = "[realm]\nzone = \"care.example.jp\"\nname = \"a\"\nseries = [{ name = \"18\", block = 18 }]\n\
            [paths]\nstate = \"/s\"\nrun = \"/r\"\noutput = \"/o\"\n[secrets]\npki_passphrase_file = \"/a\"\n\
            vpn_key_file = \"/b\"\nsns_epoch_file = \"/c\"\ngateway_key_file = \"/d\"\n";
        crate::config::read(&format!("{realm}{more}")).unwrap()
    }

    #[test]
    fn nobody_comes_in_by_ssh_unless_an_address_is_named() {
        for text in [rules(None), rules(Some(&config(""))), CLOSED.to_owned()] {
            assert!(!text.contains("dport 22 "), "{text}");
            assert_eq!(text.matches("policy drop").count(), 3, "{text}");
        }
        let text = rules(Some(&config("[management]\naddresses = [\"192.0.2.0/24\", \"2001:db8::1\"]\n")));
        assert!(text.contains("ip saddr { 192.0.2.0/24 } tcp dport 22 "), "{text}");
        assert!(text.contains("ip6 saddr { 2001:db8::1/128 } tcp dport 22 "), "{text}");
    }

    /// A log line needs a kernel module; without it nft refuses the whole text.
    #[test]
    fn no_rule_asks_for_a_log() {
        assert!(!rules(Some(&config(""))).contains("log"));
    }

    #[test]
    fn only_the_row_that_calls_the_smarthost_may_call_it() {
        let mail = "[mail]\nsmarthost = \"smtp.example.jp\"\nfrom = \"a@care.example.jp\"\n";
        let text = rules(Some(&config(mail)));
        let lines: Vec<&str> = text.lines().filter(|line| line.contains("tcp dport 587")).collect();
        assert_eq!(lines, ["    meta skuid 61005 tcp dport 587 accept"]);
        let names: Vec<&str> = text.lines().filter(|line| line.contains("th dport 53 ")).collect();
        assert_eq!(names.len(), 2, "the caller, and the operator's mail doctor: {names:?}");
        let bounces = "[bounces]\nserver = \"192.0.2.9\"\nusername = \"b\"\npassword_file = \"/e\"\n";
        let text = rules(Some(&config(&format!("{mail}{bounces}"))));
        let lines: Vec<&str> = text.lines().filter(|line| line.contains("dport 993")).collect();
        assert_eq!(lines, ["    meta skuid 61005 ip daddr 192.0.2.9 tcp dport 993 accept"]);
        let none = rules(Some(&config("")));
        assert!(!none.contains("587") && !none.contains("dport 53 "));
    }

    /// Read by the real nft where it is (the tests' machines have it), in a namespace of its own.
    #[test]
    fn nft_understands_it() {
        let mail = "[mail]\nsmarthost = \"smtp.example.jp\"\nfrom = \"a@care.example.jp\"\n\
            [management]\naddresses = [\"192.0.2.0/24\", \"2001:db8::/32\"]\n";
        let texts = [rules(None), rules(Some(&config(mail))), CLOSED.to_owned()];
        for text in texts {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("rules.nft");
            // The user is the image's, not this machine's.
            std::fs::write(&file, text.replace("systemd-timesync", "61999")).unwrap();
            let done = std::process::Command::new("unshare")
                .args(["--net", "nft", "--check", "-f"])
                .arg(&file)
                .output()
                .unwrap();
            assert!(done.status.success(), "{text}\n{}", String::from_utf8_lossy(&done.stderr));
        }
    }
}
