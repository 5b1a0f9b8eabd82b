//! 運営状況の報告 for the council (M4-06): one page that prints on two sheets of paper. Edge, border: HTTP, forms.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Query, State};
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;

use crate::console::permit;
use crate::decide::{Action, Object};
use crate::door_report::YearReport;
use crate::fault::Fault;
use crate::fees::FiscalYear;
use crate::page::{frame, show};
use crate::problem::Caller;
use crate::shared::Shared;
use crate::views::{self, Frame};
use crate::{dates, fee_words, report, world};

type Room = State<Arc<Shared>>;

pub fn router() -> Router<Arc<Shared>> {
    Router::new().route("/report", get(year))
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Filter {
    year: String,
}

#[derive(Template)]
#[template(path = "report.html")]
struct ReportPage {
    frame: Frame,
    report: YearReport,
    title: String,
    years: Vec<i16>,
    today: String,
}

impl ReportPage {
    fn is_year(&self, one: &i16) -> bool {
        *one == self.report.year
    }

    /// In whole percent; nothing of nothing is nothing.
    fn percent(&self, some: &u64, all: &u64) -> u64 {
        if *all == 0 { 0 } else { some * 100 / all }
    }
}

async fn year(State(shared): Room, caller: Caller, Query(filter): Query<Filter>) -> Response {
    let page = async {
        permit(&caller, Action::SeeReport, &Object::Association)?;
        let today = dates::day(world::now_ms());
        let this = if today.month() < 4 { today.year() - 1 } else { today.year() };
        let year = filter.year.parse().unwrap_or(this);
        let report = report::of_year(&shared, year).await?;
        Ok::<_, Fault>(ReportPage {
            frame: frame(&shared, &caller, "/report").await?,
            report,
            title: FiscalYear(year).ja(),
            years: (this - 4..=this).rev().collect(),
            today: today.to_string(),
        })
    };
    show(&shared, &caller, page.await).await
}
