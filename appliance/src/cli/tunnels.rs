//! `vpn`: who sits where and how the tunnels do, as `wg show` tells it; or the data plane alone, in the
//! foreground, from a wg(8) file. Touches the clock (ages), tokio and signals (foreground).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use provisioning::door::{ProvisioningAnswer, ProvisioningQuestion};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use vpn::door::VpnStatus;
use vpn::foreground::{self, ForegroundError};

use super::args_vpn::{VpnArgs, VpnCommand};
use super::ask::Door;
use super::failure::Failure;
use super::out::Out;
use super::table::Table;
use crate::exit::Exit;
use crate::messages::Message;
use crate::operator::door::now_ms;

/// What was typed means one of two things.
pub enum Wish {
    Ask(VpnCommand),
    Serve { interface: String, conf: PathBuf, offload: bool },
}

impl Wish {
    pub fn of(args: VpnArgs) -> Result<Self, Failure> {
        match args {
            VpnArgs { command: Some(command), .. } => Ok(Wish::Ask(command)),
            VpnArgs { interface: Some(interface), conf: Some(conf), no_offload, .. } => {
                Ok(Wish::Serve { interface, conf, offload: !no_offload })
            }
            _ => Err(Message::Usage {
                why: "vpn show | vpn --interface IF --conf FILE".to_owned(),
                verb: "mimamori vpn".to_owned(),
            }
            .into()),
        }
    }
}

pub fn ask(door: &Door, command: VpnCommand, out: &Out) -> Result<Exit, Failure> {
    let status = door.vpn()?;
    match command {
        VpnCommand::Show => {
            let names = facilities(door);
            let value = json!({
                "public_key": status.public_key, "listen": status.listen, "mirror_true": status.mirror_true,
                "seats": status.seats.iter().map(|seat| json!({
                    "slot": seat.slot, "facility": names.get(&seat.slot.to_string()), "class": seat.class,
                    "generation": seat.generation, "endpoint": seat.endpoint,
                    "last_handshake_ms": seat.last_handshake_ms, "rx_bytes": seat.rx_bytes, "tx_bytes": seat.tx_bytes,
                })).collect::<Vec<_>>(),
                "drops": status.drops, "meters": status.meters,
            });
            out.result(&value, || text(&status, &names, out))?;
        }
        VpnCommand::Metrics => {
            let text = vpn::meters::prometheus(&status.meters, &status.drops, status.seats.len());
            out.result(&json!({ "meters": status.meters, "drops": status.drops }), || text)?;
        }
    }
    Ok(Exit::Ok)
}

/// Names are a help: without provisioning the tunnels are shown all the same.
fn facilities(door: &Door) -> BTreeMap<String, String> {
    let Ok(ProvisioningAnswer::Slots(rows)) =
        door.provisioning(ProvisioningQuestion::SlotList { series: None })
    else {
        return BTreeMap::new();
    };
    rows.into_iter().filter_map(|row| Some((row.slot.to_string(), row.facility_name?))).collect()
}

fn text(status: &VpnStatus, names: &BTreeMap<String, String>, out: &Out) -> String {
    let listen: Vec<String> = status.listen.iter().map(ToString::to_string).collect();
    let mut table = Table::new(&[
        out.pick("VPN番号", "slot"),
        out.pick("施設名", "facility"),
        out.pick("種別", "class"),
        out.pick("相手", "endpoint"),
        out.pick("最後の握手", "last handshake"),
        out.pick("受信", "received"),
        out.pick("送信", "sent"),
    ]);
    for seat in &status.seats {
        table.row([
            seat.slot.to_string(),
            names.get(&seat.slot.to_string()).cloned().unwrap_or_default(),
            seat.class.to_string(),
            seat.endpoint.map(|endpoint| endpoint.to_string()).unwrap_or_default(),
            seat.last_handshake_ms.map(|at| age(now_ms().saturating_sub(at), out)).unwrap_or_default(),
            bytes(seat.rx_bytes),
            bytes(seat.tx_bytes),
        ]);
    }
    let mut text = out.pick(
        format!("公開鍵    {}\n待ち受け  {}\n\n", status.public_key, listen.join(" ")),
        format!("public key  {}\nlistening   {}\n\n", status.public_key, listen.join(" ")),
    );
    text.push_str(&table.text(out.ink()));
    if !status.drops.is_empty() {
        let drops: Vec<_> = status.drops.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
        text.push_str(&format!("\n{}  {}\n", out.pick("捨てたもの", "dropped"), drops.join(", ")));
    }
    text
}

fn age(ms: i64, out: &Out) -> String {
    let seconds = ms.max(0) / 1000;
    match seconds {
        0..120 => out.pick(format!("{seconds}秒前"), format!("{seconds} s ago")),
        120..7200 => out.pick(format!("{}分前", seconds / 60), format!("{} min ago", seconds / 60)),
        _ => out.pick(format!("{}時間前", seconds / 3600), format!("{} h ago", seconds / 3600)),
    }
}

fn bytes(count: u64) -> String {
    match count {
        0..10_240 => format!("{count} B"),
        10_240..10_485_760 => format!("{} KiB", count >> 10),
        _ => format!("{} MiB", count >> 20),
    }
}

/// Until SIGTERM or SIGINT.
pub fn serve(interface: &str, conf: &Path, offload: bool) -> Result<Exit, Failure> {
    crate::log::install(::log::LevelFilter::Info, None);
    let failed = |why: String| Failure::from(Message::Foreground { why });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| failed(error.to_string()))?;
    runtime
        .block_on(async {
            let told = |kind| signal(kind).map_err(|error| ForegroundError::Ended(error.to_string()));
            let (mut terminate, mut interrupt) =
                (told(SignalKind::terminate())?, told(SignalKind::interrupt())?);
            let stop = async {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
            };
            foreground::run(interface, conf, offload, stop).await
        })
        .map_err(|error| match error {
            ForegroundError::Conf { path, fault } => Message::WgConf {
                path,
                line: fault.line.to_string(),
                found: fault.found,
                expected: fault.expected.to_owned(),
            }
            .into(),
            ForegroundError::File { path, why } => Message::FileRead { path, why }.into(),
            error => failed(error.to_string()),
        })?;
    Ok(Exit::Ok)
}
