//! `api`: what programs may ask of the office, as a table or as OpenAPI 3.1. Needs no running appliance.

use std::path::Path;

use provisioning::api_http::document;
use serde_json::Value;

use super::failure::Failure;
use super::out::Out;
use super::realm;
use super::table::Table;
use crate::exit::Exit;

pub fn api(config: &Path, out: &Out) -> Result<Exit, Failure> {
    let document = document(realm::config(config)?.realm.zone.as_str());
    out.result(&document, || table(&document, out))?;
    Ok(Exit::Ok)
}

fn table(document: &Value, out: &Out) -> String {
    let mut table = Table::new(&[
        out.pick("方法", "method"),
        out.pick("場所", "path"),
        out.pick("だれが", "roles"),
        out.pick("要件", "rules"),
        out.pick("すること", "what"),
    ]);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| value.as_array().into_iter().flatten().map(text).collect::<Vec<_>>().join(" ");
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        for (method, verb) in item.as_object().into_iter().flatten() {
            let english =
                verb["description"].as_str().unwrap_or_else(|| verb["summary"].as_str().unwrap_or_default());
            table.row([
                method.to_ascii_uppercase(),
                path.clone(),
                list(&verb["x-roles"]),
                list(&verb["x-rules"]),
                out.pick(text(&verb["summary"]), english.lines().next().unwrap_or_default().to_owned()),
            ]);
        }
    }
    table.text(out.ink())
}
