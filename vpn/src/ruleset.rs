//! The firewall's table as values: what is installed, what changes it, what the kernel's listing says.
//! Pure rendering and reading of nft's JSON; owns nothing. Ruling 1 (who reaches which listener), ruling 3
//! (devices never reach each other).
//!
//! One table, `inet mimamori`, and nothing outside it: the host's own rules are the host's.
//! No `established` shortcut, so an address that leaves its set is cut off in the middle of a connection.
//!
//! ```text
//! input    from anywhere but the TUN to a gateway address: drop
//!          from the TUN: @active    -> gateway tcp 443, open tcp 80 443
//!                        @enrolling ->                  open tcp 80 443
//!                        @leaving   ->                  open tcp 80 443      else: drop
//! forward  from or to the TUN: drop
//! ```

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use nftables::batch::Batch;
use nftables::expr::{Expression, Meta, MetaKey, NamedExpression, Payload, PayloadField, SetItem};
use nftables::schema::{Chain, Element, NfListObject, Nftables, Rule, Set, SetType, SetTypeValue, Table};
use nftables::stmt::{Match, Operator, Statement};
use nftables::types::{NfChainPolicy, NfChainType, NfFamily, NfHook};

use crate::address::AddressPlan;
use crate::door::{Admitted, Gate, GateChange};

/// Our table; the one thing on the host that this room may touch.
pub const TABLE: &str = "mimamori";

/// TLS on both gateway addresses.
pub const PORT_TLS: u16 = 443;
/// Published bytes and the start page, on the open address.
pub const PORT_PLAIN: u16 = 80;

const FAMILY: NfFamily = NfFamily::INet;
const INPUT: &str = "input";
const FORWARD: &str = "forward";
const FROM_TUNNELS: &str = "from_tunnels";

/// Before the host's own filter (priority 0), which may still be stricter.
const PRIORITY: i32 = -10;

/// What the table is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruleset {
    interface: String,
    gateway: Ipv4Addr,
    open: Ipv4Addr,
}

/// A listing that is not of our making.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("nft's listing of the table is not what this program can read: {0}")]
pub struct ListingError(String);

impl Ruleset {
    pub fn new(plan: &AddressPlan, interface: &str) -> Self {
        Self { interface: interface.to_owned(), gateway: plan.gateway(), open: plan.gateway_open() }
    }

    /// The whole table in one transaction, in the place of whatever had its name.
    pub fn install(&self, admitted: &Admitted) -> Nftables<'static> {
        let mut batch = Batch::new();
        batch.add(table()); // so that the next line cannot fail
        batch.delete(table());
        batch.add(table());
        for gate in Gate::ALL {
            batch.add(set(gate, admitted.iter().filter(|(_, g)| *g == gate).map(|(address, _)| *address)));
        }
        batch.add(base_chain(INPUT, NfHook::Input));
        batch.add(base_chain(FORWARD, NfHook::Forward));
        batch.add(NfListObject::Chain(Chain { name: FROM_TUNNELS.into(), ..blank_chain() }));
        for (chain, statements) in self.rules() {
            batch.add(NfListObject::Rule(Rule {
                family: FAMILY,
                table: TABLE.into(),
                chain: chain.into(),
                expr: statements.into(),
                ..Rule::default()
            }));
        }
        batch.to_nftables()
    }

    fn rules(&self) -> Vec<(&'static str, Vec<Statement<'static>>)> {
        let interface = || Expression::String(self.interface.clone().into());
        let gateway = || text(self.gateway);
        let open = || text(self.open);
        let to = |address| is(field("ip", "daddr"), address);
        let jump = Statement::Goto(nftables::stmt::JumpTarget { target: FROM_TUNNELS.into() });
        let mut rules = vec![
            (INPUT, vec![is(meta(MetaKey::Iifname), interface()), jump]),
            (INPUT, vec![to(any_of([gateway(), open()])), Statement::Drop(None)]),
            (FORWARD, vec![is(meta(MetaKey::Iifname), interface()), Statement::Drop(None)]),
            (FORWARD, vec![is(meta(MetaKey::Oifname), interface()), Statement::Drop(None)]),
        ];
        for gate in Gate::ALL {
            let from = || is(field("ip", "saddr"), Expression::String(format!("@{}", gate.as_str()).into()));
            let ports = |ports: &[u16]| {
                let ports = ports.iter().map(|port| Expression::Number(u32::from(*port)));
                is(field("tcp", "dport"), any_of(ports))
            };
            if gate == Gate::Active {
                rules.push((
                    FROM_TUNNELS,
                    vec![from(), to(gateway()), ports(&[PORT_TLS]), Statement::Accept(None)],
                ));
            }
            let open_ports = ports(&[PORT_PLAIN, PORT_TLS]);
            rules.push((FROM_TUNNELS, vec![from(), to(open()), open_ports, Statement::Accept(None)]));
        }
        rules.push((FROM_TUNNELS, vec![Statement::Drop(None)]));
        rules
    }
}

/// Moves addresses between the sets in one transaction.
pub fn change(changes: &[GateChange]) -> Nftables<'static> {
    let mut batch = Batch::new();
    for gate in Gate::ALL {
        let moved = |side: fn(&GateChange) -> Option<Gate>| {
            changes.iter().filter(move |change| side(change) == Some(gate)).map(|change| change.address)
        };
        for (element, add) in
            [(element(gate, moved(|c| c.from)), false), (element(gate, moved(|c| c.to)), true)]
        {
            match element {
                Some(element) if add => batch.add(element),
                Some(element) => batch.delete(element),
                None => {}
            }
        }
    }
    batch.to_nftables()
}

/// Takes the table away, whether it is there or not.
pub fn remove() -> Nftables<'static> {
    let mut batch = Batch::new();
    batch.add(table());
    batch.delete(table());
    batch.to_nftables()
}

/// Reads `nft -j list table`: who is admitted, and the text of everything that is no set.
pub fn read(listing: &str) -> Result<(Admitted, String), ListingError> {
    let wrong = |what: &str| ListingError(what.chars().take(120).collect());
    let listing: serde_json::Value =
        serde_json::from_str(listing).map_err(|error| wrong(&error.to_string()))?;
    let objects = listing["nftables"].as_array().ok_or_else(|| wrong("no objects"))?;
    let gates: BTreeMap<&str, Gate> = Gate::ALL.into_iter().map(|gate| (gate.as_str(), gate)).collect();
    let mut admitted = Admitted::new();
    let mut rules = String::new();
    for object in objects.iter().filter(|object| object.get("metainfo").is_none()) {
        let Some(set) = object.get("set") else {
            rules.push_str(&object.to_string());
            rules.push('\n');
            continue;
        };
        let name = set["name"].as_str().unwrap_or_default();
        let gate = *gates.get(name).ok_or_else(|| wrong(&format!("a set named {name}")))?;
        for element in set["elem"].as_array().into_iter().flatten() {
            let address = element.as_str().and_then(|text| text.parse().ok());
            admitted.insert((address.ok_or_else(|| wrong(&format!("the element {element}")))?, gate));
        }
    }
    Ok((admitted, rules))
}

fn table() -> NfListObject<'static> {
    NfListObject::Table(Table { family: FAMILY, name: TABLE.into(), handle: None })
}

fn set(gate: Gate, addresses: impl Iterator<Item = Ipv4Addr>) -> NfListObject<'static> {
    let elements: Vec<_> = addresses.map(text).collect();
    NfListObject::Set(Box::new(Set {
        family: FAMILY,
        table: TABLE.into(),
        name: gate.as_str().into(),
        set_type: SetTypeValue::Single(SetType::Ipv4Addr),
        elem: (!elements.is_empty()).then(|| elements.into()),
        ..Set::default()
    }))
}

fn element(gate: Gate, addresses: impl Iterator<Item = Ipv4Addr>) -> Option<NfListObject<'static>> {
    let elements: Vec<_> = addresses.map(text).collect();
    let name = gate.as_str().into();
    (!elements.is_empty()).then(|| {
        NfListObject::Element(Element { family: FAMILY, table: TABLE.into(), name, elem: elements.into() })
    })
}

fn blank_chain() -> Chain<'static> {
    Chain { family: FAMILY, table: TABLE.into(), ..Chain::default() }
}

/// Accepts what it does not name: the rest of the host is none of our business.
fn base_chain(name: &'static str, hook: NfHook) -> NfListObject<'static> {
    NfListObject::Chain(Chain {
        name: name.into(),
        _type: Some(NfChainType::Filter),
        hook: Some(hook),
        prio: Some(PRIORITY),
        policy: Some(NfChainPolicy::Accept),
        ..blank_chain()
    })
}

fn text(address: Ipv4Addr) -> Expression<'static> {
    Expression::String(address.to_string().into())
}

fn meta(key: MetaKey) -> Expression<'static> {
    Expression::Named(NamedExpression::Meta(Meta { key }))
}

fn field(protocol: &'static str, field: &'static str) -> Expression<'static> {
    let field = PayloadField { protocol: protocol.into(), field: field.into() };
    Expression::Named(NamedExpression::Payload(Payload::PayloadField(field)))
}

fn any_of<'a>(values: impl IntoIterator<Item = Expression<'a>>) -> Expression<'a> {
    Expression::Named(NamedExpression::Set(values.into_iter().map(SetItem::Element).collect()))
}

fn is<'a>(left: Expression<'a>, right: Expression<'a>) -> Statement<'a> {
    Statement::Match(Match { left, right, op: Operator::EQ })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slot::Series;

    fn ruleset() -> Ruleset {
        Ruleset::new(&AddressPlan::new(10, vec![(Series::parse("18").unwrap(), 18)]).unwrap(), "mmt0")
    }

    fn json(nftables: &Nftables<'_>) -> Vec<String> {
        nftables.objects.iter().map(|object| serde_json::to_string(object).unwrap()).collect()
    }

    #[test]
    fn nothing_outside_our_table_is_touched_and_installing_is_one_replacement() {
        let admitted = Admitted::from([("10.18.0.142".parse().unwrap(), Gate::Active)]);
        let objects = json(&ruleset().install(&admitted));
        assert!(objects.iter().all(|object| object.contains("mimamori") && object.contains("inet")));
        assert!(objects[0].starts_with(r#"{"add":{"table""#), "{}", objects[0]);
        assert!(objects[1].starts_with(r#"{"delete":{"table""#));
        assert!(
            !objects.iter().any(|object| object.contains("flush") || object.contains(r#""ct""#)),
            "no shortcut"
        );
        let set = objects.iter().find(|object| object.contains(r#""name":"active""#)).unwrap();
        assert!(set.contains("10.18.0.142"));
    }

    #[test]
    fn each_class_reaches_exactly_its_listeners() {
        let ruleset = ruleset();
        let accepts: Vec<String> = ruleset
            .rules()
            .iter()
            .filter(|(_, statements)| matches!(statements.last(), Some(Statement::Accept(_))))
            .map(|(chain, statements)| format!("{chain} {}", serde_json::to_string(statements).unwrap()))
            .collect();
        let allowed = |set: &str, address: &str| {
            let rule = accepts.iter().find(|r| r.contains(&format!("\"@{set}\"")) && r.contains(address));
            rule.map(|rule| (rule.contains("443"), rule.contains("80,")))
        };
        assert_eq!(accepts.len(), 4);
        assert_eq!(allowed("active", "10.18.255.1"), Some((true, false)));
        for set in ["active", "enrolling", "leaving"] {
            assert_eq!(allowed(set, "10.18.255.2"), Some((true, true)), "{set}");
        }
        assert_eq!(allowed("enrolling", "10.18.255.1"), None);
        assert_eq!(allowed("leaving", "10.18.255.1"), None);
        let rules = ruleset.rules();
        assert!(matches!(rules.last(), Some((FROM_TUNNELS, only)) if *only == [Statement::Drop(None)]));
    }

    #[test]
    fn a_change_of_gate_leaves_one_set_and_enters_another_at_once() {
        let address = "10.18.0.142".parse().unwrap();
        let changes = [GateChange { address, from: Some(Gate::Active), to: Some(Gate::Leaving) }];
        let objects = json(&change(&changes));
        assert_eq!(objects.len(), 2);
        assert!(objects[0].starts_with(r#"{"delete":{"element""#) && objects[0].contains("active"));
        assert!(objects[1].starts_with(r#"{"add":{"element""#) && objects[1].contains("leaving"));
    }

    #[test]
    fn a_listing_is_read_back_or_refused() {
        let listing = r#"{"nftables":[{"metainfo":{"version":"1"}},{"table":{"name":"mimamori"}},
            {"set":{"name":"active","elem":["10.18.0.142"]}},{"set":{"name":"leaving"}},{"rule":{"handle":4}}]}"#;
        let (admitted, rules) = read(listing).unwrap();
        assert_eq!(admitted, Admitted::from([("10.18.0.142".parse().unwrap(), Gate::Active)]));
        assert!(rules.contains("handle") && rules.contains("table") && !rules.contains("metainfo"));
        let foreign_set = r#"{"nftables":[{"set":{"name":"friends"}}]}"#;
        let range =
            r#"{"nftables":[{"set":{"name":"active","elem":[{"prefix":{"addr":"0.0.0.0","len":0}}]}}]}"#;
        for bad in ["", "{}", foreign_set, range] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
