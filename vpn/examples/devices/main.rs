//! The far side of `make bench-vpn`: simulated devices, forged senders, and what
//! this machine can do at best. Prints one JSON line per run. Talks only to the address it is given;
//! forging runs only in a named namespace without a default route.
//!
//! ```text
//! devices conf --count N --port P                      a wg(8) file with N peers
//! devices storm --server A:P --count N --pid PID [--one-source] [--flood RATE] [--calm M]
//! devices handshakes --server A:P --count N --pid PID --seconds S
//! devices idle --server A:P --count N --pid PID
//! devices bounds                                       AEAD, X25519, UDP trains
//! devices pipe --one IF --other IF [--no-offload]      two TUNs joined by a copy: the TUN bound
//! devices far --interface IF --conf FILE [--no-offload]  the far end of the throughput runs
//! devices seats [--count N]                            times of loading, changing and telling seats
//! devices serve --interface IF --conf FILE             our data plane alone, as `mimamori vpn` runs it
//! ```

#![allow(clippy::unwrap_used, reason = "a bench that cannot do its work says so and ends")]
#![allow(clippy::print_stdout, reason = "its output is its result")]

mod bounds;
mod device;
mod far;
mod flood;
mod handing;
mod initiator;
mod load;
mod pipe;
mod seats;

use data_encoding::BASE64;

/// What was typed behind the verb.
pub struct Words(Vec<String>);

impl Words {
    pub fn text(&self, name: &str) -> Option<&str> {
        let at = self.0.iter().position(|word| word.strip_prefix("--") == Some(name))?;
        self.0.get(at + 1).map(String::as_str)
    }

    pub fn number(&self, name: &str, otherwise: usize) -> usize {
        self.text(name).map_or(otherwise, |text| text.parse().unwrap())
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|word| word.strip_prefix("--") == Some(name))
    }
}

fn main() {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    assert!(
        !words.is_empty(),
        "usage: devices conf|storm|handshakes|idle|bounds …, see the head of its source"
    );
    let verb = words.remove(0);
    let words = Words(words);
    match verb.as_str() {
        "conf" => conf(words.number("count", 1_000), words.number("port", 51_820)),
        "storm" => load::storm(&words),
        "handshakes" => load::handshakes(&words),
        "idle" => load::idle(&words),
        "bounds" => bounds::print(),
        "pipe" => pipe::run(&words),
        "far" => far::run(&words),
        "seats" => seats::run(&words),
        "serve" => serve(&words),
        other => panic!("unknown verb {other}"),
    }
}

fn serve(words: &Words) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (interface, conf) = (words.text("interface").unwrap(), words.text("conf").unwrap());
    let never = std::future::pending();
    runtime
        .block_on(vpn::foreground::run(interface, conf.as_ref(), !words.has("no-offload"), never))
        .unwrap();
}

fn conf(count: usize, port: usize) {
    let mut text = format!(
        "[Interface]\nPrivateKey = {}\nListenPort = {port}\n",
        BASE64.encode(&device::server_secret().to_bytes())
    );
    for number in 0..count {
        let public = device::public(number);
        let own = device::inner(number);
        text.push_str(&format!("[Peer]\nPublicKey = {}\nAllowedIPs = {own}/32\n", BASE64.encode(&public)));
    }
    print!("{text}");
}
