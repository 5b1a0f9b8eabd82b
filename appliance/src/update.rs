//! Which of two slots is booted, and the steps that bring a new version into the other one. Nothing of the running slot
//! is touched; the one step that counts is the new kernel's name. Pure: the disk is touched by `cli::update`.

pub mod package; // border: the line of JSON

use std::cmp::Ordering;

/// How often the loader tries a new version before it goes back.
pub const TRIES: u32 = 3;
const PREFIX: &str = "mimamori_";
const SUFFIX: &str = ".efi";
/// No loader looks at a file of this name.
pub const TEMPORARY: &str = "mimamori.new";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Slot {
    A,
    B,
}

impl Slot {
    pub fn other(self) -> Self {
        match self {
            Slot::A => Slot::B,
            Slot::B => Slot::A,
        }
    }

    /// As the image names its partitions.
    pub fn letter(self) -> char {
        match self {
            Slot::A => 'a',
            Slot::B => 'b',
        }
    }
}

/// `mimamori_1.2.3_0007+3-0.efi`: version, number of the update, tries left and done while it is on trial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelName {
    pub version: Vec<u32>,
    pub number: u32,
    pub tries: Option<(u32, u32)>,
}

impl KernelName {
    pub fn parse(name: &str) -> Option<Self> {
        let rest = name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
        let (rest, tries) = match rest.split_once('+') {
            None => (rest, None),
            Some((rest, count)) => {
                let (left, done) = count.split_once('-').unwrap_or((count, "0"));
                (rest, Some((left.parse().ok()?, done.parse().ok()?)))
            }
        };
        let (version, number) = rest.split_once('_')?;
        Some(Self { version: version_of(version)?, number: number.parse().ok()?, tries })
    }

    pub fn file(&self) -> String {
        let version: Vec<String> = self.version.iter().map(u32::to_string).collect();
        let tries = match self.tries {
            None => String::new(),
            Some((left, 0)) => format!("+{left}"),
            Some((left, done)) => format!("+{left}-{done}"),
        };
        format!("{PREFIX}{}_{:04}{tries}{SUFFIX}", version.join("."), self.number)
    }

    /// What is never given up by itself.
    #[must_use]
    pub fn blessed(&self) -> Self {
        Self { tries: None, ..self.clone() }
    }

    fn is_bad(&self) -> bool {
        matches!(self.tries, Some((0, _)))
    }

    /// The loader's order: what has tries left or needs none, then the newer version, then the later number.
    fn order(&self, other: &Self) -> Ordering {
        let rank = |name: &Self| (!name.is_bad(), name.version.clone(), name.number);
        rank(self).cmp(&rank(other))
    }
}

/// `1.2.3`; nothing else is a version.
pub fn version_of(text: &str) -> Option<Vec<u32>> {
    text.split('.').map(|part| part.parse().ok()).collect()
}

/// Which of the kernels the loader takes.
pub fn chosen<'a>(kernels: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let named = kernels.into_iter().filter_map(|name| KernelName::parse(name).map(|parsed| (name, parsed)));
    named.max_by(|(_, one), (_, other)| one.order(other)).map(|(name, _)| name)
}

/// A kernel of the boot partition, and the root whose hash it carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    pub file: String,
    pub root_hash: String,
}

/// The machine as it runs.
#[derive(Clone, Debug)]
pub struct Running {
    pub slot: Slot,
    pub root_hash: String,
    pub kernels: Vec<Kernel>,
}

/// In this order; each is on the disk before the next begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing may lead into a slot that is being written.
    Forget(String),
    Root(Slot),
    Tree(Slot),
    /// Read back from the disk, every block against the new root hash.
    Check(Slot),
    /// Under a name that no loader takes, and read back.
    Kernel,
    /// The one step that counts.
    Commit(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// What runs is on trial itself: if it fails, the other slot must still be there.
    OnTrial,
    Older,
    Same,
    /// No kernel of the boot partition leads to what runs.
    Lost,
}

/// What brings `version` with `root_hash` into the slot that does not run.
pub fn plan(running: &Running, version: &[u32], root_hash: &str) -> Result<Vec<Step>, Refusal> {
    if running.root_hash == root_hash {
        return Err(Refusal::Same);
    }
    let named = |kernel: &Kernel| KernelName::parse(&kernel.file).map(|name| (kernel.clone(), name));
    let kernels: Vec<(Kernel, KernelName)> = running.kernels.iter().filter_map(named).collect();
    let own: Vec<&(Kernel, KernelName)> =
        kernels.iter().filter(|(kernel, _)| kernel.root_hash == running.root_hash).collect();
    if own.is_empty() {
        return Err(Refusal::Lost);
    }
    if own.iter().all(|(_, name)| name.tries.is_some()) {
        return Err(Refusal::OnTrial);
    }
    if own.iter().any(|(_, name)| name.version.as_slice() > version) {
        return Err(Refusal::Older);
    }
    let number = kernels.iter().map(|(_, name)| name.number).max().unwrap_or_default() + 1;
    let new = KernelName { version: version.to_vec(), number, tries: Some((TRIES, 0)) };
    let slot = running.slot.other();
    let others = kernels.iter().filter(|(kernel, _)| kernel.root_hash != running.root_hash);
    let mut steps: Vec<Step> = others.map(|(kernel, _)| Step::Forget(kernel.file.clone())).collect();
    steps.extend([
        Step::Root(slot),
        Step::Tree(slot),
        Step::Check(slot),
        Step::Kernel,
        Step::Commit(new.file()),
    ]);
    Ok(steps)
}

/// What makes a version on trial stay: its old name and its new one.
pub fn blessing(running: &Running) -> Option<(String, String)> {
    let own = running.kernels.iter().find(|kernel| kernel.root_hash == running.root_hash)?;
    let name = KernelName::parse(&own.file)?;
    name.tries.map(|_| (own.file.clone(), name.blessed().file()))
}

#[cfg(test)]
mod tests;
