//! The power is cut after every write of an update, with every part of what was not yet flushed lost or kept, and the
//! loader must find a slot that is whole.

use std::collections::BTreeMap;

use super::*;

/// Parts of a slot that are written one after the other.
const PARTS: usize = 5;
const OLD: &str = "old";
const NEW: &str = "new";

/// What a part holds: of which version it is; half-written ones are of none.
type Part = Option<&'static str>;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Disk {
    roots: [[Part; PARTS]; 2],
    trees: [Part; 2],
    /// By name: the version it leads to, and whether the file is whole.
    boot: BTreeMap<String, (&'static str, bool)>,
}

#[derive(Clone, Debug)]
enum Write {
    Root(usize, usize, Part),
    Tree(usize, Part),
    File(String, &'static str, bool),
    Remove(String),
    Rename(String, String),
    Flush,
}

fn number(slot: Slot) -> usize {
    match slot {
        Slot::A => 0,
        Slot::B => 1,
    }
}

impl Disk {
    fn one(first: &str, other: Option<&str>) -> Self {
        let mut boot = BTreeMap::from([(first.to_owned(), (OLD, true))]);
        if let Some(other) = other {
            boot.insert(other.to_owned(), ("older", true));
        }
        let slot_b = other.map(|_| "older");
        Self { roots: [[Some(OLD); PARTS], [slot_b; PARTS]], trees: [Some(OLD), slot_b], boot }
    }

    fn running(&self, root: &'static str, slot: Slot) -> Running {
        let kernels = self
            .boot
            .iter()
            .map(|(file, (hash, _))| Kernel { file: file.clone(), root_hash: (*hash).into() });
        Running { slot, root_hash: root.to_owned(), kernels: kernels.collect() }
    }

    fn apply(&mut self, write: &Write) {
        match write {
            Write::Root(slot, part, what) => self.roots[*slot][*part] = *what,
            Write::Tree(slot, what) => self.trees[*slot] = *what,
            Write::File(name, leads, whole) => {
                self.boot.insert(name.clone(), (leads, *whole));
            }
            Write::Remove(name) => {
                self.boot.remove(name);
            }
            Write::Rename(from, to) => {
                if let Some(file) = self.boot.remove(from) {
                    self.boot.insert(to.clone(), file);
                }
            }
            Write::Flush => {}
        }
    }

    /// What starts: firmware refuses a kernel that is not whole, the initrd a root that does not fit its hash.
    fn starts(&self) -> Result<&'static str, String> {
        let name = chosen(self.boot.keys().map(String::as_str)).ok_or("no kernel")?;
        let (leads, whole) = self.boot[name];
        if !whole {
            return Err(format!("{name} is not whole"));
        }
        let fits = (0..2).any(|slot| {
            self.trees[slot] == Some(leads) && self.roots[slot].iter().all(|part| *part == Some(leads))
        });
        if fits { Ok(leads) } else { Err(format!("{name} leads to {leads}, which is in no slot: {self:?}")) }
    }
}

/// Every write that a step becomes, each half of a block on its own.
fn writes(steps: &[Step]) -> Vec<Write> {
    let mut writes = Vec::new();
    for step in steps {
        match step {
            Step::Forget(name) => writes.push(Write::Remove(name.clone())),
            Step::Root(slot) => {
                for part in 0..PARTS {
                    writes.push(Write::Root(number(*slot), part, None));
                    writes.push(Write::Root(number(*slot), part, Some(NEW)));
                }
            }
            Step::Tree(slot) => {
                writes.extend([Write::Tree(number(*slot), None), Write::Tree(number(*slot), Some(NEW))]);
            }
            Step::Check(_) => {}
            Step::Kernel => writes.extend([
                Write::File(TEMPORARY.into(), NEW, false),
                Write::File(TEMPORARY.into(), NEW, true),
            ]),
            Step::Commit(name) => writes.push(Write::Rename(TEMPORARY.into(), name.clone())),
        }
        writes.push(Write::Flush);
    }
    writes
}

/// Between two flushes a disk keeps what it likes: every prefix, and every subset of what is pending.
fn every_cut(start: &Disk, writes: &[Write], check: &mut dyn FnMut(&Disk)) -> usize {
    let (mut safe, mut states) = (start.clone(), 0);
    let mut pending: Vec<&Write> = Vec::new();
    for write in writes.iter().chain([&Write::Flush]) {
        if matches!(write, Write::Flush) {
            for kept in 0..1u32 << pending.len().min(12) {
                let mut disk = safe.clone();
                for (n, write) in pending.iter().enumerate() {
                    if n >= 12 || (kept >> n) & 1 == 1 {
                        disk.apply(write);
                    }
                }
                check(&disk);
                states += 1;
            }
            for write in pending.drain(..) {
                safe.apply(write);
            }
        } else {
            pending.push(write);
        }
    }
    check(&safe);
    states + 1
}

#[test]
fn a_power_cut_at_any_write_leaves_a_whole_slot_to_start() {
    let starts = [
        Disk::one("mimamori_1.0.0_0001.efi", None),
        Disk::one("mimamori_1.1.0_0002.efi", Some("mimamori_1.0.0_0001.efi")),
        // The other slot failed its trial and lies there with a higher version.
        Disk::one("mimamori_1.1.0_0002.efi", Some("mimamori_1.2.0_0003+0-3.efi")),
    ];
    let mut states = 0;
    for start in starts {
        let steps = plan(&start.running(OLD, Slot::A), &[1, 2, 0], NEW).unwrap();
        let mut seen = (0, 0);
        states += every_cut(&start, &writes(&steps), &mut |disk| match disk.starts() {
            Ok(OLD) => seen.0 += 1,
            Ok(NEW) => seen.1 += 1,
            other => panic!("{other:?}"),
        });
        assert!(seen.0 > 1000 && seen.1 >= 1, "{seen:?}");
    }
    assert!(states > 3000, "{states}");
}

/// The test above can fail: an update that writes its kernel first, or where somebody looks, is caught.
#[test]
fn a_plan_in_another_order_is_caught() {
    let start = Disk::one("mimamori_1.0.0_0001.efi", Some("mimamori_0.9.0_0000.efi"));
    let good = plan(&start.running(OLD, Slot::A), &[1, 2, 0], NEW).unwrap();
    let fails = |steps: &[Step]| {
        let mut bad = 0;
        every_cut(&start, &writes(steps), &mut |disk| bad += usize::from(disk.starts().is_err()));
        bad > 0
    };
    assert!(!fails(&good));
    let mut early = good.clone();
    let last = early.pop().unwrap();
    let kernel = early.pop().unwrap();
    early.splice(0..0, [kernel, last]);
    assert!(fails(&early), "the kernel before its root");
    let own: Vec<Step> = good
        .iter()
        .map(|step| match step {
            Step::Root(slot) => Step::Root(slot.other()),
            Step::Tree(slot) => Step::Tree(slot.other()),
            other => other.clone(),
        })
        .collect();
    assert!(fails(&own), "the running slot is written");
}

#[test]
fn a_new_version_that_fails_gives_way_after_three_tries_and_one_that_is_blessed_stays() {
    let mut disk = Disk::one("mimamori_1.0.0_0001.efi", None);
    let steps = plan(&disk.running(OLD, Slot::A), &[1, 0, 0], NEW).unwrap();
    writes(&steps).iter().for_each(|write| disk.apply(write));
    for tries in (0..TRIES).rev() {
        assert_eq!(disk.starts(), Ok(NEW));
        // As the loader counts: before it starts what it chose.
        let name = chosen(disk.boot.keys().map(String::as_str)).unwrap().to_owned();
        let mut next = KernelName::parse(&name).unwrap();
        next.tries = Some((tries, TRIES - tries));
        disk.apply(&Write::Rename(name, next.file()));
    }
    assert_eq!(disk.starts(), Ok(OLD), "{:?}", disk.boot);
    let (from, to) = blessing(&disk.running(NEW, Slot::B)).unwrap();
    disk.apply(&Write::Rename(from, to));
    assert_eq!(disk.starts(), Ok(NEW));
    assert_eq!(blessing(&disk.running(NEW, Slot::B)), None);
    assert_eq!(blessing(&disk.running(OLD, Slot::A)), None);
}

#[test]
fn what_must_not_be_written_is_refused() {
    let disk = Disk::one("mimamori_1.1.0_0002.efi", Some("mimamori_1.0.0_0001.efi"));
    let running = disk.running(OLD, Slot::A);
    assert_eq!(plan(&running, &[1, 0, 9], NEW), Err(Refusal::Older));
    assert_eq!(plan(&running, &[2, 0, 0], OLD), Err(Refusal::Same));
    let trial =
        Disk::one("mimamori_1.1.0_0002+2-1.efi", Some("mimamori_1.0.0_0001.efi")).running(OLD, Slot::A);
    assert_eq!(plan(&trial, &[2, 0, 0], NEW), Err(Refusal::OnTrial), "its way back would be lost");
    let lost = Running { root_hash: "elsewhere".into(), ..running };
    assert_eq!(plan(&lost, &[2, 0, 0], NEW), Err(Refusal::Lost));
}

#[test]
fn names_are_read_as_they_are_written_and_others_are_nobodys() {
    for name in ["mimamori_1.2.3_0007.efi", "mimamori_1.2.3_0007+3.efi", "mimamori_10.0_0012+1-2.efi"] {
        assert_eq!(KernelName::parse(name).unwrap().file(), name);
    }
    for name in
        ["mimamori.new", "other.efi", "mimamori_1.2.efi", "mimamori_a_0001.efi", "mimamori_1.0_1+x.efi"]
    {
        assert_eq!(KernelName::parse(name), None, "{name}");
    }
    // Numbers, not letters, are compared.
    let newest = chosen(["mimamori_1.9.0_0001.efi", "mimamori_1.10.0_0002.efi"]);
    assert_eq!(newest, Some("mimamori_1.10.0_0002.efi"));
}
