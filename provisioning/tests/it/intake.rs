//! 様式1 becomes cases: all of the file or nothing of it, and once (E-01, E-13).

use provisioning::door::CaseChoice;
use provisioning::{sheet_file, template};

use super::world::{SAMPLE, World, sample_with};

/// Requirements M-01, P-21.
#[tokio::test]
async fn the_sample_becomes_thirty_cases_once_in_every_form_of_file() {
    let world = World::new().await;
    let before = world.rows().await;
    let dry = world.import(SAMPLE, true).await.unwrap();
    assert_eq!((dry.dry_run, dry.rows, dry.new, dry.known), (true, 30, 30, 0));
    assert_eq!((dry.faults, dry.warnings), (vec![], vec![]));
    assert_eq!(world.rows().await, before, "a dry run writes nothing");

    let report = world.import(SAMPLE, false).await.unwrap();
    assert_eq!((report.new, report.known, report.cases.len()), (30, 0, 30));
    assert_eq!(report.cases, dry.cases, "the dry run has told the truth");
    let after = world.rows().await;
    assert_eq!((after["office_case"], after["case_step"], after["audit"] - before["audit"]), (30, 30, 30));

    let without_bom = SAMPLE.strip_prefix(b"\xef\xbb\xbf").unwrap().to_vec();
    let rows: Vec<Vec<String>> =
        sheet_file::read(SAMPLE).unwrap().rows.into_iter().skip(1).map(|row| row.cells).collect();
    let xlsx = template::filled(&rows).unwrap();
    let text = std::str::from_utf8(&without_bom).unwrap().to_owned();
    let (cp932, _, unmappable) = encoding_rs::SHIFT_JIS.encode(&text);
    assert!(!unmappable);
    // Excel's "Unicode テキスト": UTF-16LE with tabs. No cell of the sample holds a comma.
    let units = std::iter::once(0xfeff).chain(text.replace(',', "\t").encode_utf16().collect::<Vec<_>>());
    let utf16 = units.flat_map(u16::to_le_bytes).collect();
    let semicolons = text.replace(',', ";").into_bytes();
    for again in [SAMPLE.to_vec(), without_bom.clone(), xlsx, cp932.to_vec(), utf16, semicolons] {
        let report = world.import(&again, false).await.unwrap();
        assert_eq!((report.rows, report.new, report.known), (30, 0, 30));
    }
    assert_eq!(world.rows().await, after, "importing twice changes nothing");
    world.room.stop().await;
}

#[tokio::test]
async fn one_bad_cell_stops_the_whole_file_and_is_named() {
    let world = World::new().await;
    let before = world.rows().await;
    let bad = sample_with("kanri@tsuruga-minato.example.jp", "kanri.tsuruga-minato.example.jp");
    let report = world.import(&bad, false).await.unwrap();
    assert_eq!(report.faults.len(), 1);
    let fault = &report.faults[0];
    assert_eq!(
        (fault.row, fault.column.as_str(), fault.code.as_str()),
        (4, "管理画面ログイン用メールアドレス", "MM-5231")
    );
    assert!(
        fault.reason_ja.contains("kanri.tsuruga-minato")
            && !fault.remedy_ja.is_empty()
            && !fault.remedy_en.is_empty()
    );
    assert_eq!((report.cases.len(), world.rows().await), (0, before), "nothing half-imported");
}

/// G-11, F-07: the paper's day counts, and a day that has not come is refused at its cell.
#[tokio::test]
async fn the_day_of_receipt_is_the_papers() {
    let world = World::new().await;
    let header = std::str::from_utf8(SAMPLE).unwrap().lines().next().unwrap();
    let form = |day: &str| {
        format!("{header},受付日\r\n1810112201,別の医院,医科,,,,別 太郎,betsu@betsu.example.jp,,,{day}\r\n")
    };
    let ahead = world.import(form("令和80年4月1日").as_bytes(), true).await.unwrap();
    let fault = &ahead.faults[0];
    assert_eq!((fault.code.as_str(), fault.cell.as_deref()), ("MM-5272", Some("K2")));
    assert_eq!(fault.given, "令和80年4月1日");
    let report = world.import(form("R6.3.29").as_bytes(), false).await.unwrap();
    assert_eq!(report.cases, ["2024-00001"]);
    let received: i64 =
        sqlx::query_scalar("SELECT received_at FROM office_case WHERE case_id = '2024-00001'")
            .fetch_one(&world.registry().await)
            .await
            .unwrap();
    assert_eq!(received, 1_711_638_000_000, "2024-03-29 in Japan");
}

#[tokio::test]
async fn an_application_that_contradicts_the_registry_is_named() {
    let world = World::new().await;
    let cases = world.import(SAMPLE, false).await.unwrap().cases;
    let one = |row: &str| [SAMPLE, row.as_bytes()].concat();

    // A waiting case with other contents, and its address at another facility.
    let changed = sample_with("桜井 由美", "桜井 由美子");
    let report = world.import(&changed, false).await.unwrap();
    assert_eq!(report.faults.iter().map(|f| (f.row, f.code.as_str())).collect::<Vec<_>>(), [(2, "MM-5217")]);
    assert!(report.faults[0].reason_ja.contains("-00001"));
    let taken = one("1810112201,別の医院,医科,,,,別 太郎,KANRI@sakura-naika.example.jp,,\r\n");
    assert_eq!(world.import(&taken, false).await.unwrap().faults[0].code, "MM-5232", "twins in one file");

    // After the acceptance the facility stands in the way.
    world.accept(CaseChoice::One(cases[0].clone()), false).await.unwrap();
    let report = world.import(&changed, false).await.unwrap();
    assert_eq!(report.faults.iter().map(|f| (f.row, f.code.as_str())).collect::<Vec<_>>(), [(2, "MM-5216")]);

    // G-03: a user's address, and another admin's.
    sqlx::query("INSERT INTO address (folded, written, use_as, person) VALUES ($1, $1, 'user', 'p-x')")
        .bind("taro@care.example.jp")
        .execute(&world.registry().await)
        .await
        .unwrap();
    let user = one("1810112201,別の医院,医科,,,,別 太郎,Taro@care.example.jp,,\r\n");
    let report = world.import(&user, false).await.unwrap();
    assert_eq!(report.faults.iter().map(|f| (f.row, f.code.as_str())).collect::<Vec<_>>(), [(32, "MM-5234")]);
    let header = std::str::from_utf8(SAMPLE).unwrap().lines().next().unwrap();
    for taken in
        ["kanri@sakura-naika.example.jp", "kanri@megane-dc.example.jp", "jimukyoku@mimamori.example.jp"]
    {
        let alone = format!("{header}\r\n1810112201,別の医院,医科,,,,別 太郎,{taken},,\r\n");
        let report = world.import(alone.as_bytes(), false).await.unwrap();
        assert_eq!(
            report.faults.iter().map(|f| (f.row, f.code.as_str())).collect::<Vec<_>>(),
            [(2, "MM-5233")],
            "{taken}"
        );
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_trouble_of_the_asker() {
    let world = World::new().await;
    for dry_run in [false, true] {
        let trouble = world.import(b"\xd0\xcf\x11\xe0", dry_run).await.unwrap_err();
        assert_eq!(trouble.code, "MM-5110");
    }
    let trouble = world.import(b"", true).await.unwrap_err();
    assert_eq!(trouble.code, "MM-5101");
}
