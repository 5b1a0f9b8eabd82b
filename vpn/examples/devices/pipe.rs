//! The TUN bound: two interfaces joined by nothing but a copy. Half of what this costs is the least that a
//! server spends on its own TUN, whatever it does between. Serves until it is killed.

use std::os::fd::AsFd;

use rustix::event::epoll;
use vpn::packet::{IPV4_HEADER, TCP_SUM_AT, UDP_HEADER, UDP_SUM_AT, tcp_headers};
use vpn::tun::TunDevice;
use vpn::virtio::{Offload, VIRTIO_LEN, encode};

use crate::Words;

const TURNS: usize = 64;

pub fn run(words: &Words) {
    let open = |name: &str| {
        TunDevice::bare(words.text(name).expect("--one IF --other IF"), !words.has("no-offload")).unwrap()
    };
    let (mut one, mut other) = (open("one"), open("other"));
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
    for (number, tun) in [&one, &other].into_iter().enumerate() {
        let data = epoll::EventData::new_u64(number as u64);
        epoll::add(&poll, tun.as_fd(), data, epoll::EventFlags::IN).unwrap();
    }
    let mut events: Vec<epoll::Event> = Vec::with_capacity(2);
    loop {
        events.clear();
        let _ = epoll::wait(&poll, rustix::buffer::spare_capacity(&mut events), None);
        for event in &events {
            match event.data.u64() {
                0 => copy(&mut one, &mut other),
                _ => copy(&mut other, &mut one),
            }
        }
    }
}

fn copy(from: &mut TunDevice, to: &mut TunDevice) {
    for _ in 0..TURNS {
        let Ok(Some((packet, offload))) = from.receive() else { return };
        to.send(&header(packet, offload), std::iter::once(&*packet));
    }
}

fn header(packet: &[u8], offload: Offload) -> [u8; VIRTIO_LEN] {
    match offload {
        Offload::Sum { start, at } => encode(offload, 0, start, at),
        Offload::Tcp { .. } => encode(offload, tcp_headers(packet).unwrap_or(0), IPV4_HEADER, TCP_SUM_AT),
        _ => encode(offload, IPV4_HEADER + UDP_HEADER, IPV4_HEADER, UDP_SUM_AT),
    }
}
