//! What is counted while the room runs, and how it is told: Prometheus' text form, at the operator's
//! door only. Counters are atomics that every task adds to; nothing here names a person or a slot. Pure.

use std::fmt::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::door::GatewayStatus;

/// Upper bounds of the answer times, in milliseconds: a screen feels instant below 100.
const BOUNDS_MS: [u64; 9] = [1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000];

#[derive(Default)]
pub struct Meters {
    connections: AtomicU64,
    handshakes: [AtomicU64; 2],
    answers: [AtomicU64; 5],
    took: [AtomicU64; BOUNDS_MS.len() + 1],
    took_ms: AtomicU64,
    websockets: AtomicU64,
    broken: [AtomicU64; 2],
    cuts: AtomicU64,
    cut_connections: AtomicU64,
}

impl Meters {
    pub fn connection(&self) {
        add(&self.connections, 1);
    }

    /// A device was admitted, or not.
    pub fn handshake(&self, admitted: bool) {
        add(&self.handshakes[usize::from(admitted)], 1);
    }

    pub fn answer(&self, status: u16, took_ms: u64) {
        let class = usize::from(status / 100).clamp(1, 5) - 1;
        add(&self.answers[class], 1);
        let place = BOUNDS_MS.iter().position(|bound| took_ms <= *bound).unwrap_or(BOUNDS_MS.len());
        add(&self.took[place], 1);
        add(&self.took_ms, took_ms);
        if status == 101 {
            add(&self.websockets, 1);
        }
    }

    /// A connection was ended by the gate: an attack, or somebody who stood still.
    pub fn broken(&self, attack: bool) {
        add(&self.broken[usize::from(attack)], 1);
    }

    pub fn cut(&self, connections: u32) {
        add(&self.cuts, 1);
        add(&self.cut_connections, connections.into());
    }

    pub fn text(&self, status: &GatewayStatus) -> String {
        let mut text = String::with_capacity(4096);
        // Writing to a String cannot fail.
        let _ = self.write(&mut text, status);
        text
    }

    fn write(&self, out: &mut String, status: &GatewayStatus) -> fmt::Result {
        family(out, "connections_total", "counter", "Connections that were accepted.")?;
        line(out, "connections_total", "", read(&self.connections))?;
        family(out, "handshakes_total", "counter", "Handshakes with a device certificate.")?;
        for (place, result) in ["refused", "admitted"].iter().enumerate() {
            line(out, "handshakes_total", &format!("result=\"{result}\""), read(&self.handshakes[place]))?;
        }
        family(out, "answers_total", "counter", "Answers by class of status.")?;
        for (place, count) in self.answers.iter().enumerate() {
            line(out, "answers_total", &format!("class=\"{}xx\"", place + 1), read(count))?;
        }
        family(out, "answer_milliseconds", "histogram", "Time until the answer's head.")?;
        let mut sum = 0;
        for (place, count) in self.took.iter().enumerate() {
            sum += read(count);
            let bound = BOUNDS_MS.get(place).map_or("+Inf".to_owned(), u64::to_string);
            line(out, "answer_milliseconds_bucket", &format!("le=\"{bound}\""), sum)?;
        }
        line(out, "answer_milliseconds_sum", "", read(&self.took_ms))?;
        line(out, "answer_milliseconds_count", "", sum)?;
        family(out, "websockets_total", "counter", "WebSockets that were opened.")?;
        line(out, "websockets_total", "", read(&self.websockets))?;
        family(out, "broken_total", "counter", "Connections that the gate ended.")?;
        for (place, why) in ["slow", "attack"].iter().enumerate() {
            line(out, "broken_total", &format!("why=\"{why}\""), read(&self.broken[place]))?;
        }
        family(out, "cuts_total", "counter", "Cuts that were acknowledged.")?;
        line(out, "cuts_total", "", read(&self.cuts))?;
        family(out, "cut_connections_total", "counter", "Connections that they ended.")?;
        line(out, "cut_connections_total", "", read(&self.cut_connections))?;
        family(out, "refusals_total", "counter", "Refusals by their code.")?;
        for (code, count) in &status.refusals {
            line(out, "refusals_total", &format!("code=\"{code}\""), *count)?;
        }
        self.gauges(out, status)
    }

    fn gauges(&self, out: &mut String, status: &GatewayStatus) -> fmt::Result {
        let ages = [status.grants_age_ms, status.revocations_age_ms];
        let gauges = [
            ("connections", "Connections now.", Some(status.connections.into())),
            ("sessions", "Sessions now.", Some(status.sessions.into())),
            ("grants_version", "Version of the grants that are held.", Some(status.grants_version)),
            ("revocations_number", "Number of the revocations that are held.", Some(status.revocations)),
            ("grants_age_milliseconds", "Age of the grants' last answer.", ages[0]),
            ("revocations_age_milliseconds", "Age of the revocations' last answer.", ages[1]),
            ("stale", "1: feeds too old, nobody new is let in.", Some(u64::from(status.stale))),
        ];
        for (name, help, value) in gauges {
            family(out, name, "gauge", help)?;
            if let Some(value) = value {
                line(out, name, "", value)?;
            }
        }
        Ok(())
    }
}

fn add(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn family(out: &mut String, name: &str, kind: &str, help: &str) -> fmt::Result {
    writeln!(out, "# HELP mimamori_gateway_{name} {help}\n# TYPE mimamori_gateway_{name} {kind}")
}

fn line(out: &mut String, name: &str, labels: &str, value: u64) -> fmt::Result {
    let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
    writeln!(out, "mimamori_gateway_{name}{labels} {value}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_comment_or_a_name_with_a_number_and_buckets_only_grow() {
        let meters = Meters::default();
        for (status, took) in [(101, 0), (200, 2), (200, 2_000), (404, 20_000), (503, 1)] {
            meters.answer(status, took);
        }
        meters.handshake(false);
        meters.broken(true);
        meters.cut(3);
        let status = GatewayStatus {
            listen: vec![],
            connections: 2,
            sessions: 1,
            grants_version: 7,
            grants_age_ms: None,
            revocations: 3,
            revocations_age_ms: Some(5),
            stale: true,
            refusals: [("MM-3001".to_owned(), 4)].into(),
        };
        let text = meters.text(&status);
        let mut buckets = Vec::new();
        for line in text.lines().filter(|line| !line.starts_with("# ")) {
            let (name, value) = line.rsplit_once(' ').unwrap();
            let value: u64 = value.parse().unwrap();
            assert!(name.starts_with("mimamori_gateway_"), "{line}");
            if name.contains("_bucket") {
                buckets.push(value);
            }
        }
        assert!(buckets.is_sorted() && buckets.last() == Some(&5), "{buckets:?}");
        for expected in [
            "mimamori_gateway_answers_total{class=\"2xx\"} 2",
            "mimamori_gateway_answer_milliseconds_bucket{le=\"+Inf\"} 5",
            "mimamori_gateway_handshakes_total{result=\"refused\"} 1",
            "mimamori_gateway_broken_total{why=\"attack\"} 1",
            "mimamori_gateway_refusals_total{code=\"MM-3001\"} 4",
            "mimamori_gateway_stale 1",
        ] {
            assert!(text.lines().any(|line| line == expected), "{expected} in {text}");
        }
    }
}
