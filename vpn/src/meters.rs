//! What the data plane counts besides drops, and all of it as Prometheus reads it. Owns the figures; pure.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::drops::DropReason;

/// Figures that only grow, and two of this moment (`*_now`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meters {
    /// Datagrams that arrived, and the calls that brought them.
    pub datagrams_in: u64,
    pub receive_calls: u64,
    /// Packets opened for the TUN, and the writes that carried them: their ratio is the coalescing ratio.
    pub packets_in: u64,
    pub tunnel_writes: u64,
    /// Reads of the TUN, the datagrams sealed from them, and the calls that sent those.
    pub tunnel_reads: u64,
    pub datagrams_out: u64,
    pub send_calls: u64,
    pub handshakes: u64,
    pub cookies: u64,
    pub handshakes_waiting_now: u64,
    /// How long initiations have been waiting without a break, in microseconds.
    pub handshake_queue_age_us_now: u64,
    pub rivals: u64,
}

impl Meters {
    pub fn named(&self) -> BTreeMap<String, u64> {
        let figures = [
            ("datagrams_in", self.datagrams_in),
            ("receive_calls", self.receive_calls),
            ("packets_in", self.packets_in),
            ("tunnel_writes", self.tunnel_writes),
            ("tunnel_reads", self.tunnel_reads),
            ("datagrams_out", self.datagrams_out),
            ("send_calls", self.send_calls),
            ("handshakes", self.handshakes),
            ("cookies", self.cookies),
            ("handshakes_waiting_now", self.handshakes_waiting_now),
            ("handshake_queue_age_us_now", self.handshake_queue_age_us_now),
            ("rivals", self.rivals),
        ];
        figures.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// Prometheus' text: one line a figure, and one for every reason of a drop: a rate needs to see it begin at nought.
pub fn prometheus(meters: &BTreeMap<String, u64>, drops: &BTreeMap<String, u64>, seats: usize) -> String {
    let mut text = String::new();
    for (name, value) in meters {
        let (name, kind) = match name.strip_suffix("_now") {
            Some(name) => (name.to_owned(), "gauge"),
            None => (format!("{name}_total"), "counter"),
        };
        let _ = writeln!(text, "# TYPE mimamori_vpn_{name} {kind}\nmimamori_vpn_{name} {value}");
    }
    let _ = writeln!(text, "# TYPE mimamori_vpn_seats gauge\nmimamori_vpn_seats {seats}");
    let _ = writeln!(text, "# TYPE mimamori_vpn_drops_total counter");
    for reason in DropReason::ALL.iter().map(|reason| reason.name()) {
        let value = drops.get(reason).copied().unwrap_or_default();
        let _ = writeln!(text, "mimamori_vpn_drops_total{{reason=\"{reason}\"}} {value}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_has_a_line_and_a_kind() {
        let meters = Meters { packets_in: 40, tunnel_writes: 2, ..Meters::default() };
        let drops = BTreeMap::from([("data-replayed".to_owned(), 3)]);
        let text = prometheus(&meters.named(), &drops, 7);
        assert!(
            text.contains("# TYPE mimamori_vpn_packets_in_total counter\nmimamori_vpn_packets_in_total 40\n")
        );
        assert!(text.contains("# TYPE mimamori_vpn_handshakes_waiting gauge\n"));
        assert!(text.contains("mimamori_vpn_drops_total{reason=\"data-replayed\"} 3\n"));
        assert!(text.contains("mimamori_vpn_drops_total{reason=\"inner-source\"} 0\n"));
        assert_eq!(text.matches("mimamori_vpn_drops_total{").count(), DropReason::ALL.len());
        assert!(text.contains("mimamori_vpn_seats 7\n"));
    }
}
