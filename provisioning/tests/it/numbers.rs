//! The office at its size (issue 7): one file of 様式1 becomes facilities, numbers, bundles and sheets, each once, and no page
//! of the console grows with the register. `make bench-office` sets the sizes and prints times; nothing here judges them.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use http::StatusCode;
use pki::identity::{FacilityId, MembershipId, PersonId};
use provisioning::door::CaseChoice;

use super::pages::send;
use super::town::Town;
use super::world::World;

/// Longest page of a console: a list shows a screenful, however long the register is.
const PAGE_MAX: usize = 200 * 1024;
/// Ten minutes: a thousand bundles in a debug build beside other work.
const LOOKS_MAX: usize = 12_000;

fn size(name: &str, usual: usize) -> usize {
    std::env::var(name).ok().and_then(|size| size.parse().ok()).unwrap_or(usual)
}

/// 様式1 of so many clinics; two numbers each.
fn forms(count: usize) -> String {
    let head = "事業所番号,事業所名,種別,所在地,電話番号,代表者名,施設内管理者名,管理画面ログイン用メールアドレス,VPN申請数,ふくいメディカルネット参加";
    let mut forms = format!("{head}\n");
    for n in 0..count {
        let _ = writeln!(
            forms,
            "18{n:08},第{n}みまもり医院,医科,福井県福井市大手{n}-1,0776-{:02}-{:04},福井 {n}郎,坂井 {n}子,kanri{n}@a{n}.example.jp,2,",
            n / 10_000,
            n % 10_000
        );
    }
    forms
}

#[tokio::test]
async fn one_file_becomes_facilities_numbers_bundles_and_sheets_each_once() {
    let count = size("OFFICE_IMPORT", 25);
    let world = World::new().await;
    let forms = forms(count);
    let begun = Instant::now();
    world.import(forms.as_bytes(), false).await.unwrap();
    let imported = begun.elapsed();
    world.accept(CaseChoice::AllComplete, false).await.unwrap();
    let accepted = begun.elapsed();
    // At a large size the folder takes longer than a test's patience for letters.
    for _look in 0..LOOKS_MAX {
        if world.status().await.outbox_waiting == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(world.status().await.outbox_waiting, 0);
    eprintln!(
        "{count} facilities: read {imported:?}, accepted {accepted:?}, everything written {:?}",
        begun.elapsed()
    );
    // The same file once more is nothing new.
    world.import(forms.as_bytes(), false).await.unwrap();
    let rows = world.rows().await;
    let count = i64::try_from(count).unwrap();
    // With the secretariat and its number.
    assert_eq!((rows["facility"], rows["slot"], rows["enrolment"]), (count + 1, 2 * count + 1, count + 1));
    let files = |folder: &str| std::fs::read_dir(world.config.output.join(folder)).unwrap().count();
    let made = usize::try_from(count).unwrap() + 1;
    // A sheet is a text and a page to print.
    assert_eq!((files("bundles"), files("sheets")), (made, 2 * made));
}

/// A register of so many facilities with two numbers and four people each.
async fn registered(town: &Town, count: usize) {
    let mut registry = town.registry().await.begin().await.unwrap();
    for n in 0..count {
        let id = |kind: u8| -> [u8; 10] {
            std::array::from_fn(|at| if at == 9 { kind } else { (n >> (8 * (at % 4))) as u8 ^ at as u8 })
        };
        let facility = FacilityId::from_random(id(0)).to_string();
        sqlx::query(
            "INSERT INTO facility (facility, code, kind, name, kana, telephone, admin_name, state, created_at)
             VALUES ($1, $2, '医科', $3, $4, $5, '坂井 花子', 'active', 1700000000000)",
        )
        .bind(&facility)
        .bind(format!("17{n:08}"))
        .bind(format!("第{n}みまもり医院"))
        .bind(format!("だい{n}みまもりいいん"))
        .bind(format!("0776-{:02}-{:04}", n / 10_000, n % 10_000))
        .execute(&mut *registry)
        .await
        .unwrap();
        for place in 0..2_usize {
            let number = i64::try_from(9_999 - (2 * n + place)).unwrap();
            sqlx::query(
                "INSERT INTO slot (slot, series, number, state, facility, generation, grants_version)
                 VALUES ($1, '18', $2, 'active', $3, 1, 1)",
            )
            .bind(format!("18-{number:04}"))
            .bind(number)
            .bind(&facility)
            .execute(&mut *registry)
            .await
            .unwrap();
        }
        for one in 1..=4_u8 {
            let person = PersonId::from_random(id(one)).to_string();
            let role = if one == 1 { "facility-admin" } else { "staff" };
            sqlx::query(
                "INSERT INTO person (person, login, name, profession, state, created_at)
                 VALUES ($1, $2, $3, '看護師', 'active', 1700000000000)",
            )
            .bind(&person)
            .bind(format!("who{one}@b{n}.example.jp"))
            .bind(format!("看護 {n}の{one}"))
            .execute(&mut *registry)
            .await
            .unwrap();
            sqlx::query(
                "INSERT INTO membership (membership, person, facility, role, state, grants_version)
                 VALUES ($1, $2, $3, $4, 'active', 1)",
            )
            .bind(MembershipId::from_random(id(10 + one)).to_string())
            .bind(&person)
            .bind(&facility)
            .bind(role)
            .execute(&mut *registry)
            .await
            .unwrap();
        }
    }
    registry.commit().await.unwrap();
}

#[tokio::test]
async fn no_page_of_the_office_grows_with_the_register() {
    let count = size("OFFICE_FACILITIES", 150);
    let town = Town::new().await;
    town.facilities(1).await;
    registered(&town, count).await;
    let office = town.secretariat().await;
    let word: String = "第149みまもり".bytes().fold(String::new(), |mut word, octet| {
        let _ = write!(word, "%{octet:02X}");
        word
    });
    let found = format!("/search?q={word}");
    for path in [
        "/",
        "/facilities",
        "/slots",
        "/cases",
        "/flows",
        "/patients",
        "/fees",
        "/register",
        "/yearly",
        "/incidents",
        &found,
        "/search?q=18-9701",
    ] {
        let mut times = Vec::new();
        let mut length = 0;
        for _ in 0..5 {
            let begun = Instant::now();
            let page = send(&town, &office, "GET", path, &[]).await;
            times.push(begun.elapsed());
            assert_eq!(page.status, StatusCode::OK, "{path}: {}", page.text);
            length = page.text.len();
        }
        times.sort();
        eprintln!(
            "{count} facilities: {path} {:?} (slowest {:?}), {} KiB",
            times[2],
            times[4],
            length / 1024
        );
        assert!(length < PAGE_MAX, "{path} has {length} octets with {count} facilities");
    }
    let page = send(&town, &office, "GET", &found, &[]).await;
    assert!(page.text.contains("第149みまもり医院"), "{}", page.text);
}
