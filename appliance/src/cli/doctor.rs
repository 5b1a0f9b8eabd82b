//! `doctor`: gathers what can be seen from here and shows what of it is wrong, with the command that mends it. An
//! edge: files of the kernel, name look-ups, the clock; it changes nothing.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::path::Path;

use data_encoding::HEXUPPER;
use serde_json::json;

use super::ask::Door;
use super::failure::Failure;
use super::out::Out;
use super::realm;
use super::table::Table;
use crate::backup::memory;
use crate::config::Config;
use crate::doctor::{self, Clock, Disk, Facts, Lookup, Port, Protocol, Severity, Update};
use crate::exit::Exit;
use crate::messages::Message;
use crate::operator::door::now_ms;
use crate::{slots, update};

/// systemd's word that its time service has heard somebody, and that there is such a service.
const SYNCHRONISED: &str = "/run/systemd/timesync/synchronized";
const TIMESYNC: &str = "/run/systemd/timesync";
/// Tables of the kernel, and which state says that somebody listens there.
const TABLES: [(&str, Protocol, &str); 4] = [
    ("/proc/net/tcp", Protocol::Tcp, "0A"),
    ("/proc/net/tcp6", Protocol::Tcp, "0A"),
    ("/proc/net/udp", Protocol::Udp, "07"),
    ("/proc/net/udp6", Protocol::Udp, "07"),
];
/// Below which the kernel gives nobody a port by itself: a look-up's own socket is no open door.
const OWN_PORTS: u16 = 32_768;
/// Addresses of a machine by DHCP arrive there.
const DHCP: [(Protocol, u16); 2] = [(Protocol::Udp, 68), (Protocol::Udp, 546)];

pub fn doctor(path: &Path, door: &Door, out: &Out) -> Result<Exit, Failure> {
    let config = realm::config(path)?;
    let facts = gather(&config, door);
    let findings = doctor::examine(&facts);
    out.result(&json!({ "findings": findings }), || {
        if findings.is_empty() {
            return out.pick("直すべきところはありません\n", "nothing to mend\n").to_owned();
        }
        let mut table = Table::new(&[
            out.pick("重さ", "severity"),
            "id",
            out.pick("ようす", "what"),
            out.pick("直すには", "mend it with"),
        ]);
        for finding in &findings {
            let severity = out.pick(finding.severity.ja(), finding.severity.en());
            let text = out.pick(&finding.ja, &finding.en).to_string();
            table.row([severity.to_owned(), finding.id.to_owned(), text, finding.command.clone()]);
        }
        table.text(out.ink())
    })?;
    let to_mend = findings.iter().filter(|finding| finding.severity > Severity::Note).count();
    if to_mend == 0 {
        return Ok(Exit::Ok);
    }
    out.remark(&Message::Doctor { count: to_mend.to_string() }.into());
    Ok(Exit::Degraded)
}

fn gather(config: &Config, door: &Door) -> Facts {
    Facts {
        now_s: now_ms() / 1000,
        status: door.status().ok(),
        backup: memory::recall(config),
        clock: clock(),
        update: waiting(),
        disks: [&config.paths.state, &config.paths.output]
            .into_iter()
            .filter_map(|place| disk(place))
            .collect(),
        lookups: lookups(config),
        local: local(),
        open: open(),
        intended: intended(config),
    }
}

fn clock() -> Clock {
    match (Path::new(TIMESYNC).exists(), Path::new(SYNCHRONISED).exists()) {
        (_, true) => Clock::Synchronised,
        (true, false) => Clock::Free,
        // Another service may do it; systemd does not say.
        (false, false) => Clock::Unknown,
    }
}

fn waiting() -> Update {
    let Ok(running) = slots::running() else { return Update::Unknown };
    if update::blessing(&running).is_some() {
        return Update::OnTrial;
    }
    let next = update::chosen(running.kernels.iter().map(|kernel| kernel.file.as_str()));
    let next = running.kernels.iter().find(|kernel| Some(kernel.file.as_str()) == next);
    match next {
        Some(kernel) if kernel.root_hash != running.root_hash => Update::Waiting,
        _ => Update::None,
    }
}

fn disk(place: &Path) -> Option<Disk> {
    let found = rustix::fs::statvfs(place).ok()?;
    let place = place.display().to_string();
    Some(Disk { place, free: found.f_bavail * found.f_frsize, size: found.f_blocks * found.f_frsize })
}

fn lookups(config: &Config) -> Vec<Lookup> {
    let (zone, plan) = (&config.realm.zone, &config.realm.plan);
    let (inner, claim) = (IpAddr::V4(plan.gateway()), IpAddr::V4(plan.gateway_open()));
    let named = [("sns", inner), ("office", inner), ("claim", claim)];
    let mut lookups: Vec<Lookup> = named
        .into_iter()
        .map(|(name, wanted)| {
            let name = format!("{name}.{zone}");
            Lookup { found: ask(&name), name, wanted: Some(wanted) }
        })
        .collect();
    let endpoint =
        config.vpn.endpoint.rsplit_once(':').map_or(config.vpn.endpoint.as_str(), |(host, _)| host);
    let endpoint = endpoint.trim_matches(['[', ']']);
    lookups.push(Lookup { name: endpoint.to_owned(), wanted: None, found: ask(endpoint) });
    lookups
}

fn ask(name: &str) -> Vec<IpAddr> {
    let mut found: Vec<IpAddr> =
        (name, 0).to_socket_addrs().map(|all| all.map(|address| address.ip()).collect()).unwrap_or_default();
    found.sort_unstable();
    found.dedup();
    found
}

/// As the kernel's own tables say: routes to itself, and the interfaces' addresses of IPv6.
fn local() -> Vec<IpAddr> {
    let mut found = Vec::new();
    let trie = fs::read_to_string("/proc/net/fib_trie").unwrap_or_default();
    let mut last = None;
    for line in trie.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse::<Ipv4Addr>().ok();
        } else if line.contains("/32 host LOCAL") {
            found.extend(last.map(IpAddr::V4));
        }
    }
    let six = fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    let addresses = six.lines().filter_map(|line| u128::from_str_radix(line.split(' ').next()?, 16).ok());
    found.extend(addresses.map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits))));
    found.sort_unstable();
    found.dedup();
    found
}

fn open() -> Vec<Port> {
    let mut found = Vec::new();
    for (path, protocol, listening) in TABLES {
        let text = fs::read_to_string(path).unwrap_or_default();
        found.extend(text.lines().skip(1).filter_map(|line| {
            let mut words = line.split_whitespace().skip(1);
            let (here, _, state) = (words.next()?, words.next()?, words.next()?);
            let (address, port) = here.split_once(':')?;
            let port = u16::from_str_radix(port, 16).ok()?;
            let open = state == listening && (protocol == Protocol::Tcp || port < OWN_PORTS);
            open.then_some(Port { protocol, address: address_of(address)?, port })
        }));
    }
    found
}

/// Words of four octets in the order of the processor, which is the reverse of the wire's.
fn address_of(hex: &str) -> Option<IpAddr> {
    let mut bytes = HEXUPPER.decode(hex.as_bytes()).ok()?;
    bytes.chunks_mut(4).for_each(<[u8]>::reverse);
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(|octets| IpAddr::V4(octets.into())),
        _ => <[u8; 16]>::try_from(bytes).ok().map(|octets| IpAddr::V6(octets.into())),
    }
}

fn intended(config: &Config) -> Vec<(Protocol, u16)> {
    let mut ports: Vec<(Protocol, u16)> =
        config.vpn.listen.iter().map(|address: &SocketAddr| (Protocol::Udp, address.port())).collect();
    ports.extend([(Protocol::Tcp, 443), (Protocol::Tcp, 80)]);
    let open = open();
    let there = |port: &(Protocol, u16)| open.iter().any(|open| (open.protocol, open.port) == *port);
    if !config.management.addresses.is_empty() {
        ports.push((Protocol::Tcp, 22));
    }
    // Not asked for by anybody, and no stranger either.
    ports.extend(DHCP.into_iter().filter(there));
    ports.sort_unstable();
    ports.dedup();
    ports
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_the_kernels_table_is_read_in_its_order() {
        assert_eq!(address_of("0100007F"), Some(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        assert_eq!(address_of("00000000000000000000000001000000"), Some(IpAddr::V6(Ipv6Addr::LOCALHOST)));
        assert_eq!(address_of("xx"), None);
    }
}
