//! Names of the operators for the audit: the Unix users of this machine, read before the jail closes,
//! and fresh trace ids. A user that came later is named by the number.

use std::collections::BTreeMap;

use pki::identity::TraceId;

const PASSWD: &str = "/etc/passwd";

pub struct Users(BTreeMap<u32, String>);

impl Users {
    /// Without a file there are only numbers.
    pub fn read() -> Self {
        Self::parse(&std::fs::read_to_string(PASSWD).unwrap_or_default())
    }

    fn parse(text: &str) -> Self {
        let line = |line: &str| {
            let mut fields = line.split(':');
            let (name, uid) = (fields.next()?, fields.nth(1)?);
            Some((uid.parse().ok()?, name.to_owned()))
        };
        // The first line of a number is the one that login uses.
        let mut users = BTreeMap::new();
        for (uid, name) in text.lines().filter_map(line) {
            users.entry(uid).or_insert(name);
        }
        Self(users)
    }

    /// `unix:root`, or `uid:1001`.
    pub fn name(&self, uid: u32) -> String {
        self.0.get(&uid).map_or_else(|| format!("uid:{uid}"), |name| format!("unix:{name}"))
    }
}

/// A fresh trace id; without randomness there is none, and nothing is answered.
pub fn trace() -> Result<TraceId, getrandom::Error> {
    let mut random = [0; 8];
    getrandom::fill(&mut random)?;
    Ok(TraceId::from_random(random))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_is_known_by_name_or_number() {
        let users = Users::parse(
            "root:x:0:0::/root:/bin/sh\nbroken\nkato:x:1001:1001::/:/bin/sh\ntoor:x:0:0::/:/bin/sh\n",
        );
        assert_eq!(users.name(0), "unix:root");
        assert_eq!(users.name(1001), "unix:kato");
        assert_eq!(users.name(7), "uid:7");
    }
}
