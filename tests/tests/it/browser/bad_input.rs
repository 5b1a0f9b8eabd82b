//! What goes wrong at the claim page (issue 3, "Bad input"): each is told in Japanese at its place, and nothing is
//! left half-done: afterwards the right entry still works, or the sheet is openly dead.

use std::net::Ipv4Addr;
use std::process::Command;

use tests::browser::Browser;
use tests::browser::album::Album;
use tests::browser::screen::{Screen, Size};
use tests::hands::{self, Hands};
use tests::refusals::counted;
use tests::shell::{self, PATIENCE};
use tests::world::World;
use tests::{Told, holds};

use super::town::{self, OWN_PASSWORD};

const DAY_MS: i64 = 86_400_000;

#[test]
fn what_goes_wrong_at_the_claim_page_is_told_there_and_leaves_nothing_half_done() {
    town::play(|world| {
        let album = Album::open()?;
        town::accept_all(&world.server)?;
        expired_then_paused(world, &album)?;
        wrong_foreign_repeated(world, &album)?;
        two_browsers_at_once(world)?;
        another_address_in_the_middle(world, &album)?;
        world.server.ok(&["audit", "verify"])?;
        world.server.stop()?;
        world.needles.absent_from_log(&world.server.log)?;
        album.close()
    });
}

/// Ruling 5: 30 days; five failures pause for 15 minutes, and the button says for how long.
fn expired_then_paused(world: &mut World, album: &Album) -> Told<()> {
    let late = Hands::with_bundle(world, "18-0000", Size::Phone)?;
    calendar_moves_on(world, "18-0000", 31)?;
    let page = late.claim_page()?;
    without_script(&late, &page, album)?;
    late.type_sheet(&page)?;
    page.fill("これから使う、ご自身のパスワード", OWN_PASSWORD)?;
    page.tap("登録する")?;
    page.sees("有効期間（用紙は30日、QRコードは10分）が過ぎています")?;
    page.sees("事務局に延長を")?;
    album.page(&page, "claim-expired")?;
    page.fill("用紙のパスワード", "0000-0000-0000-0000")?;
    for nth in 1..=5 {
        page.sees_not("もう一度入力できます。")?;
        let paused = nth == 5;
        refused(
            &page,
            if paused {
                "続けて間違えたため、しばらく入力できません"
            } else {
                "証明書取得用Noかパスワードが違います"
            },
        )?;
    }
    page.sees("あと1")?;
    holds!(
        page.run("document.getElementById('send').disabled")? == true,
        "the button invites while it is paused"
    );
    album.page(&page, "claim-paused")
}

/// One press, one answer: the former words go away first.
fn refused(page: &Screen, words: &str) -> Told<()> {
    page.tap("登録する")?;
    page.until(
        "the answer",
        "document.getElementById('progress').hidden && !document.getElementById('problem').hidden",
    )?;
    page.sees(words)
}

/// Ruling 12: a browser without JavaScript is told what to do, and no field looks as if it worked.
fn without_script(hands: &Hands, page: &Screen, album: &Album) -> Told<()> {
    page.turn_scripts(false)?;
    page.go(&hands.device.url("claim", "/"))?;
    page.sees("このページは JavaScript を使います")?;
    page.sees_not("証明書取得用No")?;
    album.page(page, "claim-no-script")?;
    page.turn_scripts(true)?;
    page.go(&hands.device.url("claim", "/"))?;
    hands::ready(page)
}

/// A wrong number, another slot's sheet, then the right one: three times, with reload and back between.
fn wrong_foreign_repeated(world: &mut World, album: &Album) -> Told<()> {
    let hands = Hands::with_bundle(world, "18-0001", Size::Phone)?;
    let foreign = hands::sheet(world, "18-0003")?;
    let page = hands.browser.start(hands.size)?;
    page.go(&format!("http://{}/", world.plan.gateway_open()))?;
    page.go(&hands.device.url("claim", "/"))?;
    hands::ready(&page)?;
    for (number, password) in
        [("0000000000", &hands.device.handover.sheet.password), (&foreign.number, &foreign.password)]
    {
        page.fill("証明書取得用No", number)?;
        page.fill("用紙のパスワード", password)?;
        refused(&page, "証明書取得用Noかパスワードが違います")?;
        page.sees("用紙と見比べてください")?;
    }
    album.page(&page, "claim-wrong")?;
    // The right sheet, but no password of one's own yet: asked for at its field, and no claim is spent.
    hands.type_sheet(&page)?;
    refused(&page, "管理者ご自身のパスワードを決めてください")?;

    claim(&hands, &page)?;
    page.sees("あと2回やり直せます")?;
    page.reload()?;
    holds!(page.asked_before_leaving() == 1, "a page with unsaved files was left without a question");
    fresh(&page)?;
    claim(&hands, &page)?;
    page.sees("あと1回やり直せます")?;
    page.back()?;
    page.sees("はじめに")?;
    page.go(&hands.device.url("claim", "/"))?;
    fresh(&page)?;
    claim(&hands, &page)?;
    page.sees("やり直しはできません")?;
    let saved = hands::save(&page, "18-0001")?;
    page.reload()?;
    fresh(&page)?;
    hands.type_sheet(&page)?;
    page.fill("これから使う、ご自身のパスワード", OWN_PASSWORD)?;
    refused(&page, "登録のやり直しは3回までです")?;
    album.page(&page, "claim-used-up")?;
    drop(page);
    hands.put_in_place(world, &saved)
}

fn claim(hands: &Hands, page: &Screen) -> Told<()> {
    hands.type_sheet(page)?;
    page.fill("これから使う、ご自身のパスワード", OWN_PASSWORD)?;
    page.tap("登録する")?;
    page.sees("登録できました")
}

/// Nothing of the former visit is left in the page.
fn fresh(page: &Screen) -> Told<()> {
    hands::ready(page)?;
    page.sees_not("登録できました")?;
    let left = page.run("[...document.querySelectorAll('input')].map(f => f.value).join('')")?;
    holds!(left == "", "the page still knows what was typed");
    let code = page.run("document.getElementById('certificate-password').textContent")?;
    holds!(code == "", "the page still knows a code");
    Ok(())
}

/// Two browsers with one sheet press at once: whoever is last is the device, the other's key opens nothing.
fn two_browsers_at_once(world: &mut World) -> Told<()> {
    let hands = Hands::with_bundle(world, "18-0003", Size::Desktop)?;
    let other = Browser::new(&hands.device.space, &hands.device.folder, "other")?;
    other.trust(&hands.device.credentials.root)?;
    let (first, second) = (hands.claim_page()?, other.start(Size::Phone)?);
    second.go(&hands.device.url("claim", "/"))?;
    hands::ready(&second)?;
    for page in [&first, &second] {
        hands.type_sheet(page)?;
        page.fill("これから使う、ご自身のパスワード", OWN_PASSWORD)?;
    }
    first.tap("登録する")?;
    second.tap("登録する")?;
    for page in [&first, &second] {
        page.until(
            "an answer",
            "!document.getElementById('result').hidden || !document.getElementById('problem').hidden",
        )?;
        let text = page.text()?;
        holds!(
            text.contains("登録できました") || text.contains("別の登録が同時に行われました"),
            "the page says {text}"
        );
    }
    // The one that came last has fewer repeats left.
    let (last, overtaken) =
        if first.text()?.contains("あと1回") { (first, second) } else { (second, first) };
    let saved = hands::save(&last, "18-0003")?;
    if overtaken.text()?.contains("登録できました") {
        let dead = hands::save(&overtaken, "18-0003")?;
        hands.device.raise(&dead.profile)?;
        counted(world, "drops", "handshake-unknown-key", || hands.device.knock(world.plan.gateway()))?;
        holds!(hands.device.last_handshake()? == 0, "both browsers hold a tunnel");
    }
    drop((last, overtaken));
    hands.put_in_place(world, &saved)
}

/// Ruling 5: a NAT may give another port; another address is another hand, and the claim is void with an alarm.
fn another_address_in_the_middle(world: &mut World, album: &Album) -> Told<()> {
    let hands = Hands::with_bundle(world, "18-0005", Size::Phone)?;
    let page = hands.claim_page()?;
    claim(&hands, &page)?;
    let saved = hands::save(&page, "18-0005")?;
    let interface = world.net.interface_name();
    hands.device.space.sh(&format!("wg set {interface} listen-port 40123"))?;
    page.reload()?;
    fresh(&page)?;
    holds!(alarms(world)? == 0, "another port of the same address raised an alarm");

    let (own, thief) = (hands.device.space.outer, Ipv4Addr::new(198, 51, 100, 200));
    hands.device.space.sh(&format!("ip address delete {own}/24 dev wan"))?;
    hands.device.space.sh(&format!("ip address add {thief}/24 dev wan"))?;
    hands.device.space.sh("ip route replace 192.0.2.0/24 via 198.51.100.254")?;
    hands.device.knock(world.plan.gateway_open())?;
    shell::until("the alarm", PATIENCE, || Ok((alarms(world)? == 1).then_some(())))?;
    page.go(&hands.device.url("claim", "/"))?;
    hands::ready(&page)?;
    hands.type_sheet(&page)?;
    page.fill("これから使う、ご自身のパスワード", OWN_PASSWORD)?;
    refused(&page, "この用紙は無効になりました")?;
    page.sees("事務局に電話し、再発行を")?;
    album.page(&page, "claim-void")?;
    drop(page);
    hands.device.raise(&saved.profile)?;
    counted(world, "drops", "handshake-unknown-key", || hands.device.knock(world.plan.gateway()))?;
    let slot = world.server.ok(&["slot", "show", "18-0005"])?;
    holds!(slot["row"]["state"] == "issued", "the registry says {}", slot["row"]["state"]);
    Ok(())
}

fn alarms(world: &World) -> Told<usize> {
    let listed = world.server.ok(&["audit", "list"])?;
    Ok(listed.to_string().matches("claim.alarm").count())
}

/// The registry is made to believe that a sheet is as old as that; the appliance rests meanwhile.
fn calendar_moves_on(world: &mut World, slot: &str, days: i64) -> Told<()> {
    world.server.stop()?;
    let store = format!("{}/provisioning/registry.db", world.server.setting("state")?);
    let statement = "import sqlite3,sys; c=sqlite3.connect(sys.argv[1]); \
        n=c.execute('UPDATE enrolment SET valid_until = valid_until - ? WHERE slot = ?', (int(sys.argv[3]), sys.argv[2])).rowcount; \
        c.commit(); c.close(); sys.exit(0 if n == 1 else 1)";
    let mut python = Command::new("python3");
    python.args(["-c", statement, &store, slot, &(days * DAY_MS).to_string()]);
    shell::run(python)?.ok("moving the calendar")?;
    world.server.start()
}
