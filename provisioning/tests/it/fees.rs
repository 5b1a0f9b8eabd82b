//! Fees on the registry (F): the seeded tariff is the printed one, the yearly run, invoices once, payments, settings.

use provisioning::door::{CaseChoice, ProvisioningAnswer, ProvisioningQuestion, Trouble};
use provisioning::door_fee::{FeeAnswer, FeeQuestion, FeeRun, Invoice, Whom};

use super::world::{SAMPLE, World};

const ISSUER: &str = "T7000012050002";

impl World {
    async fn fee(&self, question: FeeQuestion) -> Result<FeeAnswer, Trouble> {
        match self.ask(ProvisioningQuestion::Fee(question)).await {
            ProvisioningAnswer::Fee(answer) => Ok(answer),
            ProvisioningAnswer::Trouble(trouble) => Err(trouble),
            other => panic!("{other:?}"),
        }
    }

    async fn run(&self, fiscal_year: i16, dry_run: bool) -> Result<FeeRun, Trouble> {
        match self.fee(FeeQuestion::Run { fiscal_year, dry_run }).await? {
            FeeAnswer::Run(run) => Ok(run),
            other => panic!("{other:?}"),
        }
    }

    async fn invoices(&self, fiscal_year: i16, unpaid_only: bool) -> Vec<Invoice> {
        match self.fee(FeeQuestion::List { fiscal_year, unpaid_only }).await.unwrap() {
            FeeAnswer::Invoices(invoices) => invoices,
            other => panic!("{other:?}"),
        }
    }

    async fn set(&self, name: &str, value: &str) -> Result<FeeAnswer, Trouble> {
        self.fee(FeeQuestion::Set { name: name.into(), value: value.into(), dry_run: false }).await
    }

    /// As if every facility had done its 本登録 in March 2026.
    async fn all_claimed(&self) {
        sqlx::query(
            "INSERT INTO case_step (case_id, step, at, operator)
             SELECT case_id, 'C-12.2', 1773000000000, 'test' FROM office_case WHERE facility IS NOT NULL",
        )
        .execute(&self.registry().await)
        .await
        .unwrap();
    }
}

fn anybody(kind: &str, medical_net: bool, sns: bool) -> FeeQuestion {
    let (received_on, started_on) = ("2025/1/15".into(), "令和7年2月10日".into());
    let whom = Whom::Anybody { kind: kind.into(), medical_net, sns, received_on, started_on };
    FeeQuestion::Quote { whom, fiscal_year: 2026 }
}

/// F-12: the quick table through the door, so that the seeded rows are proved and not only the printed ones.
#[tokio::test]
async fn f_12_the_quick_table_is_what_the_registry_holds() {
    let world = World::new().await;
    for (kind, medical_net, sns, month) in [
        ("医科", true, true, 3000),
        ("歯科", true, false, 3000),
        ("薬局", false, true, 1000),
        ("訪問看護ＳＴ", true, true, 1000),
        ("居宅介護支援", true, false, 1000),
        ("その他", false, true, 500),
        ("民生委員", false, true, 0),
    ] {
        let FeeAnswer::Quote(quote) = world.fee(anybody(kind, medical_net, sns)).await.unwrap() else {
            panic!()
        };
        assert_eq!(
            (quote.bill.net, quote.bill.tax),
            (month * 12, month * 12 / 10),
            "{kind} {medical_net} {sns}"
        );
    }
    assert_eq!(world.fee(anybody("銀行", false, true)).await.unwrap_err().code, "MM-5221");
}

/// F-06, F-11: one run, one invoice each, none over nothing, the same again changes nothing.
/// Requirements F-01.
#[tokio::test]
async fn f_11_the_yearly_run_issues_each_invoice_once() {
    let world = World::new().await;
    world.import(SAMPLE, false).await.unwrap();
    world.accept(CaseChoice::AllComplete, false).await.unwrap();
    let early = world.run(2026, true).await.unwrap();
    assert_eq!((early.facilities, early.invoices, early.not_due), (30, 0, 30), "nobody has begun");
    world.all_claimed().await;

    let dry = world.run(2026, true).await.unwrap();
    // 7 institutions of 10 pay in full or for the SNS; helpers, commissioners and the family pay nothing.
    assert_eq!((dry.facilities, dry.invoices + dry.zero, dry.not_due, dry.known), (30, 30, 0, 0));
    assert!(dry.zero >= 6 && dry.total == dry.net + dry.tax && dry.tax == dry.net / 10);
    assert_eq!(
        world.run(2026, false).await.unwrap_err().code,
        "MM-5353",
        "no registration number, no invoice"
    );
    assert!(world.invoices(2026, false).await.is_empty());

    assert_eq!(world.set("issuer-number", "T7000012050003").await.unwrap_err().code, "MM-5356");
    world.set("issuer-number", ISSUER).await.unwrap();
    let run = world.run(2026, false).await.unwrap();
    assert_eq!(FeeRun { dry_run: true, ..run }, dry, "the dry run has told the truth");
    let invoices = world.invoices(2026, false).await;
    assert_eq!(invoices.iter().map(|i| i.total).sum::<u64>(), dry.total);
    assert_eq!(invoices[0].invoice, "2026-00001");
    let again = world.run(2026, false).await.unwrap();
    assert_eq!((again.invoices, again.known), (0, dry.invoices));

    let FeeAnswer::Pages { html, last, count } =
        world.fee(FeeQuestion::Pages { fiscal_year: 2026, after: String::new(), limit: 10 }).await.unwrap()
    else {
        panic!()
    };
    assert_eq!((count, last.as_deref()), (10, Some("2026-00010")));
    assert!(html.contains(ISSUER) && html.contains("F-03"));
    world.room.stop().await;
}

#[tokio::test]
async fn f_11_what_is_paid_leaves_the_unpaid_list() {
    let world = World::new().await;
    world.import(SAMPLE, false).await.unwrap();
    world.accept(CaseChoice::AllComplete, false).await.unwrap();
    world.all_claimed().await;
    world.set("issuer-number", ISSUER).await.unwrap();
    world.run(2026, false).await.unwrap();
    let open = world.invoices(2026, true).await;
    let paid =
        |on: &str, dry_run| FeeQuestion::Paid { invoice: open[0].invoice.clone(), on: on.into(), dry_run };
    world.fee(paid("令和6年4月30日", true)).await.unwrap();
    assert_eq!(world.invoices(2026, true).await.len(), open.len(), "a dry run pays nothing");
    for _ in 0..2 {
        world.fee(paid("令和6年4月30日", false)).await.unwrap();
    }
    assert_eq!(world.invoices(2026, true).await.len(), open.len() - 1);
    assert_eq!(world.fee(paid("2024-05-01", false)).await.unwrap_err().code, "MM-5355");
    assert_eq!(world.fee(paid("2200-01-01", false)).await.unwrap_err().code, "MM-5271");
    let FeeAnswer::File { bytes, .. } =
        world.fee(FeeQuestion::Csv { fiscal_year: 2026, unpaid_only: false }).await.unwrap()
    else {
        panic!()
    };
    assert!(String::from_utf8(bytes).unwrap().contains("入金済み,"));
}

/// F-10: prices, tax and switches are dated data that a clerk may change, and nonsense is refused.
#[tokio::test]
async fn f_10_the_tariff_is_data() {
    let world = World::new().await;
    let net = async |world: &World| match world.fee(anybody("医科", false, true)).await.unwrap() {
        FeeAnswer::Quote(quote) => (quote.bill.net, quote.bill.tax),
        other => panic!("{other:?}"),
    };
    world.set("price:2026-10:institution:sns", "2000").await.unwrap();
    world.set("tax:2027-01", "12").await.unwrap();
    assert_eq!(net(&world).await, (6_000 + 12_000, 600 + 600 + 720));
    world.set("campaign:二次募集", "R8.3.31,2026-04,2026-09").await.unwrap();
    assert_eq!(net(&world).await.0, 12_000);
    for (name, value) in [
        ("price:2026-10:institution:fax", "1"),
        ("price:2026-13:institution:sns", "1"),
        ("price:2026-10:institution:sns", "-1"),
        ("tax:2027-01", "101"),
        ("start", "whenever"),
        ("campaign:x", "tomorrow"),
        ("bored", "1"),
        ("due-days", "0"),
    ] {
        assert_eq!(world.set(name, value).await.unwrap_err().code, "MM-5356", "{name}={value}");
    }
}

/// Ten thousand facilities have ten thousand invoices, rehearsed or written. How long it took is printed, not
/// judged: a busy machine would make it lie.
#[tokio::test]
async fn f_the_run_of_ten_thousand_facilities() {
    let world = World::new().await;
    let mut registry = world.registry().await.begin().await.unwrap();
    for n in 0..10_000 {
        sqlx::query(
            "INSERT INTO facility (facility, code, kind, name, medical_net, state, created_at)
             VALUES ($1, $2, '医科', $3, $4, 'active', 1700000000000)",
        )
        .bind(
            pki::identity::FacilityId::from_random(std::array::from_fn(|i| (n >> (8 * (i % 4))) as u8))
                .to_string(),
        )
        .bind(format!("18{n:08}"))
        .bind(format!("医院{n}"))
        .bind(i64::from(n % 2))
        .execute(&mut *registry)
        .await
        .unwrap();
    }
    registry.commit().await.unwrap();
    world.set("issuer-number", ISSUER).await.unwrap();
    for dry_run in [true, false] {
        let begun = std::time::Instant::now();
        let run = world.run(2026, dry_run).await.unwrap();
        eprintln!("dry_run={dry_run}: {} invoices, {} yen, {:?}", run.invoices, run.total, begun.elapsed());
        assert_eq!(run.invoices, 10_000);
    }
}
