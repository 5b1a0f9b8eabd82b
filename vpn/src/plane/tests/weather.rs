//! A network that loses, delays, reorders and repeats, from one seed: whatever it does, a packet passes at
//! most once, whole, and a calm hour mends everything.

use std::collections::BTreeSet;

use super::*;

/// splitmix64: the seed in a failure's message is the whole report.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb).rotate_left(17) % sides
    }
}

/// Datagrams under way, each with the step at which it arrives.
#[derive(Default)]
struct Wire(Vec<(u64, Vec<u8>)>);

impl Wire {
    fn put(&mut self, dice: &mut Dice, step: u64, stormy: bool, datagram: Vec<u8>) {
        let copies = if !stormy { 1 } else { [0, 1, 1, 1, 1, 1, 2, 3][dice.roll(8) as usize] };
        for _ in 0..copies {
            let delay = if stormy { dice.roll(12) } else { 0 };
            self.0.push((step + delay, datagram.clone()));
        }
    }

    fn take(&mut self, step: u64) -> Vec<Vec<u8>> {
        let (due, later) = std::mem::take(&mut self.0).into_iter().partition(|(at, _)| *at <= step);
        self.0 = later;
        let due: Vec<(u64, Vec<u8>)> = due;
        due.into_iter().map(|(_, datagram)| datagram).collect()
    }
}

fn marked(from: &str, to: &str, mark: u32) -> Vec<u8> {
    let mut packet = packet(from, to, 60);
    packet[40..44].copy_from_slice(&mark.to_be_bytes());
    packet
}

fn mark(packet: &[u8]) -> u32 {
    u32::from_be_bytes(packet[40..44].try_into().unwrap())
}

fn play(seed: u64) {
    let mut dice = Dice(seed);
    let mut world = World::new();
    let mut device = Device::new(&world, "18-0042", SeatClass::Active, 7);
    world.seat(&device);
    let (mut up, mut down) = (Wire::default(), Wire::default());
    let (mut heard_above, mut heard_below) = (BTreeSet::new(), BTreeSet::new());
    const STEPS: u64 = 600;
    for step in 0..STEPS {
        let stormy = step < STEPS - 100;
        world.pass(Duration::from_millis(250));
        world.plane.handle_timeout(world.now);
        if dice.roll(20) == 0 || step == STEPS - 90 {
            up.put(&mut dice, step, stormy, device.initiation());
        }
        let mut out = [0; 2048];
        let said = marked(&device.own, GATEWAY, step as u32);
        if let TunnResult::WriteToNetwork(sealed) = device.tunn.encapsulate(&said, &mut out) {
            up.put(&mut dice, step, stormy, sealed.to_vec());
        }
        for datagram in up.take(step) {
            let (answers, packets) = world.receive("192.0.2.7:51820", &datagram);
            answers.into_iter().for_each(|answer| down.put(&mut dice, step, stormy, answer));
            for packet in packets {
                assert_eq!(packet.len(), 60, "seed {seed}");
                assert!(heard_above.insert(mark(&packet)), "seed {seed}: {} twice", mark(&packet));
            }
        }
        for (_, sealed) in world.send(&marked(GATEWAY, &device.own, step as u32)) {
            down.put(&mut dice, step, stormy, sealed);
        }
        for datagram in down.take(step) {
            let mut out = [0; 2048];
            match device.tunn.decapsulate(None, &datagram, &mut out) {
                TunnResult::WriteToTunnelV4(packet, _) => {
                    assert!(heard_below.insert(mark(packet)), "seed {seed}: {} twice", mark(packet));
                }
                TunnResult::WriteToNetwork(reply) => {
                    up.put(&mut dice, step, stormy, reply.to_vec());
                    while let TunnResult::WriteToNetwork(queued) = {
                        out = [0; 2048];
                        device.tunn.decapsulate(None, &[], &mut out)
                    } {
                        up.put(&mut dice, step, stormy, queued.to_vec());
                    }
                }
                _ => {}
            }
        }
    }
    let calm = |heard: &BTreeSet<u32>| heard.iter().filter(|mark| u64::from(**mark) >= STEPS - 80).count();
    assert_eq!((calm(&heard_above), calm(&heard_below)), (80, 80), "seed {seed}: calm weather mends all");
    assert_eq!(world.dropped(DropReason::BadSeal), 0, "seed {seed}");
}

#[test]
fn no_weather_makes_a_packet_pass_twice_or_broken() {
    (1..=40).for_each(play);
}
