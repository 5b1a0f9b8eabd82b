//! How the data partition is kept: sealed to this machine's TPM under a policy of signed kernels, or open because
//! somebody said so. What its first octets say, what the stick says, and what is decided of it. Pure.

/// Both are LUKS2; the label, written last of all, says which, and that it was finished.
const SEALED_LABEL: &str = "mimamori-sealed";
const OPEN_LABEL: &str = "mimamori-open";
/// The passphrase of a partition that is kept open. It keeps nobody out; it is there so that the data can be sealed
/// later without being written anew.
pub const OPEN_KEY: &str = "this disk is not sealed";
/// LUKS2 keeps its header twice, and mends one with the other: here begins the second.
const SECOND: usize = 16 << 10;
/// As much of the partition as `state` looks at.
pub const HEAD: usize = SECOND + 512;
const MAGICS: [&[u8]; 2] = [b"LUKS\xba\xbe\x00\x02", b"SKUL\xba\xbe\x00\x02"];
const LABEL: std::ops::Range<usize> = 24..72;
/// systemd's recovery keys: 256 bits in letters that no keyboard confuses.
const LETTERS: &str = "cbdefghijklnrtuv";
const GROUPS: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// In the TPM, and on paper.
    Sealed,
    /// By a key that everybody knows, and on paper.
    Open,
}

impl Keep {
    pub fn label(self) -> &'static str {
        match self {
            Keep::Sealed => SEALED_LABEL,
            Keep::Open => OPEN_LABEL,
        }
    }
}

/// What is on the partition. One that is not finished has never been mounted by a machine that ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Unfinished,
    Kept(Keep),
}

/// Of its first octets. One header that says so is enough: what is finished is never made anew.
pub fn state(head: &[u8]) -> State {
    let second = head.get(SECOND..).unwrap_or_default();
    let kept = [(head, MAGICS[0]), (second, MAGICS[1])].into_iter().find_map(|(head, magic)| {
        let label = head.get(LABEL).unwrap_or_default();
        let label = label.split(|byte| *byte == 0).next().unwrap_or_default();
        let named = |keep: &Keep| label == keep.label().as_bytes();
        [Keep::Sealed, Keep::Open].into_iter().find(|keep| head.starts_with(magic) && named(keep))
    });
    kept.map_or(State::Unfinished, State::Kept)
}

/// What this machine can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Means {
    pub secure_boot: bool,
    pub tpm: bool,
    /// The kernel brought the policy's key and its own signature.
    pub policy: bool,
}

/// Why it is not sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// Anybody's kernel could measure what ours measures.
    NoSecureBoot,
    NoTpm,
    NoPolicy,
}

impl Unfit {
    pub fn texts(self) -> (&'static str, &'static str) {
        match self {
            Unfit::NoSecureBoot => ("Secure Boot が働いていません", "Secure Boot is off"),
            Unfit::NoTpm => ("TPM 2.0 がありません", "there is no TPM 2.0"),
            Unfit::NoPolicy => {
                ("このカーネルには署名された方針がありません", "this kernel brings no signed policy")
            }
        }
    }
}

/// `unsealed` is what the stick says. Whoever can seal, seals, whatever it says.
pub fn decide(means: Means, unsealed: bool) -> Result<Keep, Unfit> {
    let unfit = match means {
        Means { secure_boot: false, .. } => Unfit::NoSecureBoot,
        Means { tpm: false, .. } => Unfit::NoTpm,
        Means { policy: false, .. } => Unfit::NoPolicy,
        Means { secure_boot: true, tpm: true, policy: true } => return Ok(Keep::Sealed),
    };
    if unsealed { Ok(Keep::Open) } else { Err(unfit) }
}

/// Of the stick's `machine.toml`: `[data] unsealed = true`. Nothing else stands in it.
pub fn unsealed(text: &str) -> Result<bool, String> {
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| error.message().to_owned())?;
    let mut said = false;
    for (key, value) in &table {
        let (true, toml::Value::Table(data)) = (key == "data", value) else { return Err(format!("`{key}`")) };
        for (key, value) in data {
            match (key.as_str(), value) {
                ("unsealed", toml::Value::Boolean(value)) => said = *value,
                _ => return Err(format!("`data.{key}`")),
            }
        }
    }
    Ok(said)
}

/// What somebody typed: the recovery key in its one form, and whether the TPM shall take the data again.
pub fn typed(line: &str) -> Option<(String, bool)> {
    let line = line.trim().to_ascii_lowercase();
    let (rest, reseal) = line.strip_prefix("reseal ").map_or((line.as_str(), false), |rest| (rest, true));
    let letters: String = rest.chars().filter(|c| !matches!(c, '-' | ' ')).collect();
    if letters.len() != GROUPS * GROUPS || !letters.chars().all(|c| LETTERS.contains(c)) {
        return None;
    }
    let groups: Vec<&str> = (0..GROUPS).filter_map(|n| letters.get(n * GROUPS..(n + 1) * GROUPS)).collect();
    Some((groups.join("-"), reseal))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(labels: [&str; 2]) -> Vec<u8> {
        let mut head = vec![0; HEAD];
        for ((at, magic), label) in [0, SECOND].into_iter().zip(MAGICS).zip(labels) {
            head[at..at + magic.len()].copy_from_slice(magic);
            head[at + LABEL.start..at + LABEL.start + label.len()].copy_from_slice(label.as_bytes());
        }
        head
    }

    #[test]
    fn only_a_finished_partition_is_kept() {
        for keep in [Keep::Sealed, Keep::Open] {
            assert_eq!(state(&head([keep.label(); 2])), State::Kept(keep));
        }
        for half in [
            head([""; 2]),
            head(["mimamori-"; 2]),
            vec![0; HEAD],
            Vec::new(),
            b"LUKS\xba\xbe\x00\x01".to_vec(),
        ] {
            assert_eq!(state(&half), State::Unfinished);
        }
    }

    /// A write that was torn, or a bad sector: the realm's data must not give way to a stick that happens to be there.
    #[test]
    fn one_header_is_enough_to_keep_it() {
        for keep in [Keep::Sealed, Keep::Open] {
            assert_eq!(state(&head([keep.label(), ""])), State::Kept(keep), "the first was being written");
            let mut torn = head([keep.label(); 2]);
            torn[..512].fill(0);
            assert_eq!(state(&torn), State::Kept(keep), "the first is gone");
        }
        let mut elsewhere = head([SEALED_LABEL; 2]);
        elsewhere[..6].copy_from_slice(b"SKUL\xba\xbe");
        elsewhere.truncate(SECOND);
        assert_eq!(state(&elsewhere), State::Unfinished);
    }

    /// The attacker's machine: a TPM that measures whatever kernel he brings.
    #[test]
    fn without_secure_boot_nothing_is_sealed_and_nothing_made_unless_somebody_says_so() {
        let all = Means { secure_boot: true, tpm: true, policy: true };
        assert_eq!((decide(all, false), decide(all, true)), (Ok(Keep::Sealed), Ok(Keep::Sealed)));
        for (means, why) in [
            (Means { secure_boot: false, ..all }, Unfit::NoSecureBoot),
            (Means { tpm: false, ..all }, Unfit::NoTpm),
            (Means { policy: false, ..all }, Unfit::NoPolicy),
        ] {
            assert_eq!((decide(means, false), decide(means, true)), (Err(why), Ok(Keep::Open)));
        }
    }

    #[test]
    fn the_stick_says_it_in_one_way() {
        assert_eq!(unsealed("[data]\nunsealed = true\n"), Ok(true));
        assert_eq!((unsealed(""), unsealed("[data]\nunsealed = false\n")), (Ok(false), Ok(false)));
        for wrong in ["unsealed = true", "[data]\nunsealed = \"yes\"", "[data]\nsealed = false", "[data"] {
            assert!(unsealed(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_recovery_key_is_read_as_people_type_it() {
        let key = ["cbdefghi"; GROUPS].join("-");
        assert_eq!(typed(&format!(" {key}\n")), Some((key.clone(), false)));
        assert_eq!(typed(&key.replace('-', "").to_uppercase()), Some((key.clone(), false)));
        assert_eq!(typed(&format!("reseal {key}")), Some((key.clone(), true)));
        for wrong in ["", "reseal", &key[1..], &key.replace('c', "a"), &format!("{key}-cbdefghi")] {
            assert_eq!(typed(wrong), None, "{wrong}");
        }
    }
}
