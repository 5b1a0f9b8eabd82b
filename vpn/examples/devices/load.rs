//! Devices that come back all at once, one after the other, or sit still.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{Timespec, epoll};

use crate::Words;
use crate::device::Device;
use crate::flood;

/// A device asks again after 5 s and up to a third of a second more, as the protocol says.
const AGAIN: Duration = Duration::from_millis(5_000);
const JITTER_MS: u64 = 334;

/// All start within this time.
const SPREAD: Duration = Duration::from_secs(1);

/// How long a storm is watched.
const WATCHED: Duration = Duration::from_secs(20);

struct Crowd {
    devices: Vec<Device>,
    poll: std::os::fd::OwnedFd,
}

impl Crowd {
    fn new(words: &Words, from: usize, count: usize) -> Self {
        let server: SocketAddr = words.text("server").expect("--server").parse().expect("address:port");
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
        let make = |number| Device::new(number, server, words.has("one-source"));
        let devices: Vec<Device> = (from..from + count).map(make).collect();
        for (number, device) in devices.iter().enumerate() {
            let data = epoll::EventData::new_u64(number as u64);
            epoll::add(&poll, device.descriptor(), data, epoll::EventFlags::IN).unwrap();
        }
        Self { devices, poll }
    }

    /// Who has something to read, within a few milliseconds.
    fn ready(&self) -> Vec<usize> {
        let mut events: Vec<epoll::Event> = Vec::with_capacity(256);
        let patience = Timespec { tv_sec: 0, tv_nsec: 3_000_000 };
        let _ = epoll::wait(&self.poll, rustix::buffer::spare_capacity(&mut events), Some(&patience));
        events.iter().map(|event| event.data.u64() as usize).collect()
    }

    /// Handshakes with everybody, a few at a time.
    fn connect(&mut self) {
        for start in (0..self.devices.len()).step_by(50) {
            let group = start..(start + 50).min(self.devices.len());
            let begun = Instant::now();
            while group.clone().any(|n| !self.devices[n].up) && begun.elapsed() < WATCHED {
                for device in &mut self.devices[group.clone()] {
                    if !device.up
                        && device.asked.is_none_or(|asked| asked.elapsed() > Duration::from_millis(500))
                    {
                        device.ask();
                    }
                }
                for number in self.ready() {
                    let device = &mut self.devices[number];
                    device.up |= device.hear().completed;
                }
            }
        }
    }
}

pub fn storm(words: &Words) {
    let count = words.number("count", 10_000);
    let calm = words.number("calm", 0);
    let stop = Arc::new(AtomicBool::new(false));
    let mut crowd = Crowd::new(words, 0, count);
    crowd.devices.iter_mut().for_each(Device::prepare);
    let pings = (calm > 0).then(|| pinging(Crowd::new(words, count, calm), count, stop.clone()));
    let flooding = words.text("flood").map(|rate| {
        let server = words.text("server").unwrap().parse().unwrap();
        let flooding = flood::start(server, rate.parse().unwrap(), stop.clone());
        thread::park_timeout(Duration::from_secs(1));
        flooding
    });
    let (before, begun) = (cpu(words), Instant::now());
    let mut due: Vec<Option<Duration>> =
        (0..count).map(|n| Some(SPREAD.mul_f64(n as f64 / count as f64))).collect();
    let (mut times, mut cookies, mut retries) = (Vec::with_capacity(count), 0, 0u64);
    while times.len() < count && begun.elapsed() < WATCHED {
        for (number, due) in due.iter_mut().enumerate() {
            if due.is_some_and(|due| due <= begun.elapsed()) {
                retries += u64::from(crowd.devices[number].asked.is_some());
                crowd.devices[number].ask();
                let jitter = (number as u64).wrapping_mul(2_654_435_761) % JITTER_MS;
                *due = Some(begun.elapsed() + AGAIN + Duration::from_millis(jitter));
            }
        }
        for number in crowd.ready() {
            let heard = crowd.devices[number].hear();
            cookies += heard.cookies;
            if heard.completed && due[number].take().is_some() {
                times.push(begun.elapsed().as_secs_f64());
            }
        }
    }
    let spent = cpu(words) - before;
    stop.store(true, Ordering::Relaxed);
    let pinged = pings.map(|pings| pings.join().unwrap());
    let forged = flooding.map(|flooding| flooding.join().unwrap());
    let at = |share: f64| times.get((count as f64 * share).ceil() as usize - 1);
    println!(
        "{}",
        serde_json::json!({
            "devices": count, "up": times.len(), "t50_s": at(0.5), "t95_s": at(0.95), "t99_s": at(0.99),
            "t100_s": at(1.0), "cookies": cookies, "retries": retries, "server_cpu_s": spent,
            "server_rss_mb": rss(words), "forged_per_s": forged, "ping": pinged,
        })
    );
}

/// Connected devices that ping ten times a second each, until told to stop: median, p99, lost.
fn pinging(mut crowd: Crowd, first: usize, stop: Arc<AtomicBool>) -> thread::JoinHandle<serde_json::Value> {
    crowd.connect();
    thread::spawn(move || {
        let count = crowd.devices.len();
        let (mut sent, mut trips, mut turn) = (0u64, Vec::new(), 0usize);
        let begun = Instant::now();
        while !stop.load(Ordering::Relaxed) {
            while (turn as f64) < begun.elapsed().as_secs_f64() * 10.0 * count as f64 {
                let number = turn % count;
                crowd.devices[number].ping(first + number);
                (sent, turn) = (sent + 1, turn + 1);
            }
            for number in crowd.ready() {
                if crowd.devices[number].hear().packets > 0 {
                    trips.extend(
                        crowd.devices[number].asked.take().map(|asked| asked.elapsed().as_secs_f64() * 1e3),
                    );
                }
            }
        }
        trips.sort_by(f64::total_cmp);
        let at = |share: f64| trips.get((trips.len() as f64 * share) as usize);
        let lost = sent.saturating_sub(trips.len() as u64);
        serde_json::json!({ "sent": sent, "lost": lost, "p50_ms": at(0.5), "p99_ms": at(0.99), "max_ms": trips.last() })
    })
}

/// In turn, with a window of 64: what one handshake costs the server.
pub fn handshakes(words: &Words) {
    let count = words.number("count", 1_000);
    let lasting = Duration::from_secs(words.number("seconds", 3) as u64);
    let mut crowd = Crowd::new(words, 0, count);
    let (before, begun) = (cpu(words), Instant::now());
    let (mut done, mut next, mut flying) = (0u64, 0usize, 0usize);
    let mut oldest = Instant::now();
    while begun.elapsed() < lasting {
        while flying < 64 {
            crowd.devices[next % count].ask();
            (next, flying) = (next + 1, flying + 1);
        }
        for number in crowd.ready() {
            if crowd.devices[number].hear().completed && crowd.devices[number].asked.take().is_some() {
                done += 1;
                flying = flying.saturating_sub(1);
                oldest = Instant::now();
            }
        }
        if oldest.elapsed() > Duration::from_millis(500) {
            (flying, oldest) = (0, Instant::now());
        }
    }
    let spent = cpu(words) - before;
    println!(
        "{}",
        serde_json::json!({
            "handshakes": done, "per_s": done as f64 / lasting.as_secs_f64(),
            "cpu_us_each": spent * 1e6 / done.max(1) as f64, "server_rss_mb": rss(words),
        })
    );
}

/// Everybody connected, nobody speaking.
pub fn idle(words: &Words) {
    let mut crowd = Crowd::new(words, 0, words.number("count", 10_000));
    let empty = rss(words);
    crowd.connect();
    let up = crowd.devices.iter().filter(|device| device.up).count();
    thread::park_timeout(Duration::from_secs(1));
    let before = cpu(words);
    thread::park_timeout(Duration::from_secs(3));
    let per_second = (cpu(words) - before) * 1e3 / 3.0;
    println!(
        "{}",
        serde_json::json!({
            "up": up, "rss_configured_mb": empty, "rss_active_mb": rss(words), "idle_cpu_ms_per_s": per_second,
        })
    );
}

/// Seconds that the server has computed.
fn cpu(words: &Words) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", words.text("pid").expect("--pid")))
        .unwrap_or_default();
    let fields: Vec<f64> =
        stat.rsplit(')').next().unwrap_or("").split_whitespace().filter_map(|f| f.parse().ok()).collect();
    // After the name and the state letter: utime and stime are numbers 10 and 11 (ticks of 10 ms).
    fields.get(10).zip(fields.get(11)).map_or(f64::NAN, |(user, system)| (user + system) / 100.0)
}

fn rss(words: &Words) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", words.text("pid").expect("--pid")))
        .unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    line.and_then(|line| line.split_whitespace().nth(1))
        .map_or(f64::NAN, |kb| kb.parse::<f64>().unwrap() / 1024.0)
}
