//! The process table itself. The order is that of `Name`; `check` proves what a compiler cannot.

use super::row::{Arrow, Call, Capability, Family, Held, Name, Process, Speaks, arrow, door};

const NET_ADMIN_OPENING: Capability = Capability {
    name: "CAP_NET_ADMIN",
    held: Held::WhileOpening,
    why: "creates the TUN device and gives it its addresses",
};
const NET_ADMIN_NFT: Capability = Capability {
    name: "CAP_NET_ADMIN",
    held: Held::Always,
    why: "nft writes and reads the mirror of the seating",
};
const BIND_LOW_PORTS: Capability = Capability {
    name: "CAP_NET_BIND_SERVICE",
    held: Held::WhileOpening,
    why: "listens at 443 and 80 of the TUN",
};
const BIND_LOW_UDP: Capability = Capability {
    name: "CAP_NET_BIND_SERVICE",
    held: Held::WhileOpening,
    why: "listens at 443/udp, for hospitals that let nothing else through",
};
/// Knocks, and the line to systemd.
const UNIX: &[Family] = &[Family::Unix];

/// Ids between systemd's reserved ranges (60706–61183), the same on every machine, so that peer uids
/// can be checked across a restore. Users 61000…, groups of arrows 61020….
pub const TABLE: [Process; 7] = [
    Process {
        name: Name::Firewall,
        user: "mm-firewall",
        uid: 61000,
        gid: 61000,
        capabilities: &[NET_ADMIN_NFT],
        offers: &[
            door(
                "mirror",
                Speaks::Questions,
                &[arrow(Name::Vpn, "firewall-mirror.sock", "mm-a-mirror", 61020)],
                &[],
            ),
            door(
                "operator",
                Speaks::Questions,
                &[arrow(Name::Cli, "firewall-operator.sock", "mm-a-op-firewall", 61038)],
                &[],
            ),
        ],
        knocks: &[],
        state: None,
        writes: &[],
        secrets: &[],
        executes: &["vpn.nft"],
        sockets: &[Family::Unix, Family::Netlink],
        calls: &[],
        token: false,
        listens: "",
    },
    Process {
        name: Name::Vpn,
        user: "mm-vpn",
        uid: 61001,
        gid: 61001,
        capabilities: &[NET_ADMIN_OPENING, BIND_LOW_UDP],
        offers: &[
            door(
                "seats",
                Speaks::Questions,
                &[arrow(Name::Provisioning, "vpn-seats.sock", "mm-a-seats", 61021)],
                &["firewall.mirror"],
            ),
            door(
                "operator",
                Speaks::Questions,
                &[arrow(Name::Cli, "vpn-operator.sock", "mm-a-op-vpn", 61022)],
                &[],
            ),
        ],
        knocks: &["firewall.mirror"],
        state: Some("vpn"),
        writes: &[],
        secrets: &["vpn_key"],
        executes: &[],
        sockets: UNIX,
        calls: &[],
        token: false,
        listens: "UDP of the internet (vpn.listen)",
    },
    Process {
        name: Name::Pki,
        user: "mm-pki",
        uid: 61002,
        gid: 61002,
        capabilities: &[],
        offers: &[
            door(
                "issuing",
                Speaks::Questions,
                &[arrow(Name::Provisioning, "pki-issuing.sock", "mm-a-issuing", 61023)],
                &[],
            ),
            door(
                "revocations",
                Speaks::Questions,
                &[arrow(Name::Gateway, "pki-revocations.sock", "mm-a-revoked", 61024)],
                &[],
            ),
            door(
                "published",
                Speaks::Questions,
                &[arrow(Name::Gateway, "pki-published.sock", "mm-a-published", 61025)],
                &[],
            ),
            door(
                "operator",
                Speaks::Questions,
                &[arrow(Name::Cli, "pki-operator.sock", "mm-a-op-pki", 61026)],
                &[],
            ),
        ],
        knocks: &[],
        state: Some("pki"),
        writes: &[],
        secrets: &["pki_passphrase"],
        executes: &[],
        sockets: UNIX,
        calls: &[],
        token: true,
        listens: "",
    },
    Process {
        name: Name::Sns,
        user: "mm-sns",
        uid: 61003,
        gid: 61003,
        capabilities: &[],
        offers: &[
            door("http", Speaks::Http, &[arrow(Name::Gateway, "sns-http.sock", "mm-a-sns-http", 61027)], &[]),
            door(
                "teams",
                Speaks::Questions,
                &[arrow(Name::Provisioning, "sns-teams.sock", "mm-a-teams", 61028)],
                &[],
            ),
            door(
                "keys",
                Speaks::Questions,
                &[arrow(Name::Provisioning, "sns-keys.sock", "mm-a-keys", 61029)],
                &[],
            ),
            door(
                "operator",
                Speaks::Questions,
                &[arrow(Name::Cli, "sns-operator.sock", "mm-a-op-sns", 61030)],
                &[],
            ),
        ],
        knocks: &[],
        state: Some("sns"),
        writes: &[],
        secrets: &["sns_epoch"],
        executes: &[],
        sockets: UNIX,
        calls: &[Call::Database],
        token: false,
        listens: "",
    },
    Process {
        name: Name::Gateway,
        user: "mm-gateway",
        uid: 61004,
        gid: 61004,
        capabilities: &[BIND_LOW_PORTS],
        offers: &[
            door(
                "cuts",
                Speaks::Questions,
                &[arrow(Name::Provisioning, "gateway-cuts.sock", "mm-a-cuts", 61031)],
                &[],
            ),
            door(
                "why",
                Speaks::Questions,
                &[arrow(Name::Provisioning, "gateway-why.sock", "mm-a-why", 61032)],
                &[],
            ),
            door(
                "operator",
                Speaks::Questions,
                &[arrow(Name::Cli, "gateway-operator.sock", "mm-a-op-gateway", 61033)],
                &[],
            ),
        ],
        knocks: &[
            "pki.revocations",
            "pki.published",
            "provisioning.grants",
            "provisioning.accounts",
            "provisioning.http",
            "sns.http",
        ],
        state: Some("gateway"),
        writes: &[],
        secrets: &["gateway_key"],
        executes: &[],
        sockets: UNIX,
        calls: &[Call::Database],
        token: false,
        listens: "TCP of the tunnels (443, 80 of the TUN)",
    },
    Process {
        name: Name::Provisioning,
        user: "mm-office",
        uid: 61005,
        gid: 61005,
        capabilities: &[],
        offers: &[
            door(
                "http",
                Speaks::Http,
                &[arrow(Name::Gateway, "office-http.sock", "mm-a-office-http", 61034)],
                ASKED_BY_PROVISIONING,
            ),
            door(
                "grants",
                Speaks::Questions,
                &[arrow(Name::Gateway, "office-grants.sock", "mm-a-grants", 61035)],
                &[],
            ),
            door(
                "accounts",
                Speaks::Questions,
                &[arrow(Name::Gateway, "office-accounts.sock", "mm-a-accounts", 61036)],
                &[],
            ),
            door(
                "operator",
                Speaks::Questions,
                &[arrow(Name::Cli, "office-operator.sock", "mm-a-op-office", 61037)],
                ASKED_BY_PROVISIONING,
            ),
        ],
        knocks: ASKED_BY_PROVISIONING,
        state: Some("provisioning"),
        writes: &["paths.output"],
        secrets: &[],
        executes: &[],
        sockets: UNIX,
        calls: &[Call::Smarthost, Call::Mailbox, Call::Database],
        token: false,
        listens: "",
    },
    Process {
        name: Name::Cli,
        user: "mm-operator",
        uid: 61006,
        gid: 61006,
        capabilities: &[],
        offers: &[],
        knocks: &[
            "firewall.operator",
            "vpn.operator",
            "pki.operator",
            "sns.operator",
            "gateway.operator",
            "provisioning.operator",
        ],
        state: None,
        writes: &[],
        secrets: &[],
        executes: &[],
        sockets: UNIX,
        calls: &[],
        token: false,
        listens: "",
    },
];

const ASKED_BY_PROVISIONING: &[&str] =
    &["pki.issuing", "vpn.seats", "sns.teams", "sns.keys", "gateway.cuts", "gateway.why"];

pub fn process(name: Name) -> &'static Process {
    // `TABLE` holds one row per name, in the order of `Name`; `check` proves it.
    &TABLE[name as usize]
}

/// The socket at which `from` knocks at a door (`pki.issuing`).
pub fn arrow_from(from: Name, full: &str) -> Option<&'static Arrow> {
    let (room, name) = full.split_once('.')?;
    let row = TABLE.iter().find(|row| row.name.as_str() == room)?;
    row.door(name)?.arrows.iter().find(|arrow| arrow.from == from)
}
