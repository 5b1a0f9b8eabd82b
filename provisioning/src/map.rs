//! The resource map (L-02, L-03): what an entry may say, and the part of all entries that citizens see, as one page without
//! a script or another host, and as GeoJSON. No person's name and no mail address is in it. Pure: values in, text out.

use std::collections::BTreeMap;

use askama::Template;
use serde_json::{Value, json};

use crate::facility;
use crate::messages::{Message, shown};

/// L-02's own limits.
const HOURS_MAX: usize = 100;
const ALSO_MAX: usize = 200;
const OTHER_MAX: usize = 100;
const CLOSED_MAX: usize = 60;
const URL_MAX: usize = 200;
/// Japan with its islands, in millionths of a degree: what is outside was typed wrongly, or the wrong way round.
const LATITUDES: std::ops::RangeInclusive<i64> = 20_000_000..=46_000_000;
const LONGITUDES: std::ops::RangeInclusive<i64> = 122_000_000..=154_000_000;
const MILLION: f64 = 1_000_000.0;

/// What somebody typed.
#[derive(Clone, Debug, Default)]
pub struct Typed {
    pub city: String,
    pub latitude: String,
    pub longitude: String,
    pub fixed: bool,
    pub fax: String,
    pub url: String,
    pub closed_days: String,
    pub hours: String,
    pub also: String,
    pub other: String,
    pub shown: bool,
}

/// An entry that may stand in the registry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    pub city: String,
    /// Latitude and longitude in millionths of a degree.
    pub place: Option<(i64, i64)>,
    pub fixed: bool,
    pub fax: String,
    pub url: String,
    pub closed_days: String,
    pub hours: String,
    pub also: String,
    pub other: String,
    pub shown: bool,
}

impl Entry {
    pub fn read(typed: &Typed) -> Result<Self, Message> {
        let latitude = degrees(&typed.latitude, &LATITUDES)?;
        let longitude = degrees(&typed.longitude, &LONGITUDES)?;
        let place = match (latitude, longitude) {
            (Some(latitude), Some(longitude)) => Some((latitude, longitude)),
            (None, None) => None,
            _ => return Err(Message::CellEmpty),
        };
        let city = line(&typed.city, CLOSED_MAX)?;
        if city.is_empty() {
            return Err(Message::CellEmpty);
        }
        let fax = if typed.fax.trim().is_empty() { String::new() } else { facility::telephone(&typed.fax)? };
        Ok(Self {
            city,
            place,
            fixed: typed.fixed,
            fax,
            url: url(&typed.url)?,
            closed_days: line(&typed.closed_days, CLOSED_MAX)?,
            hours: line(&typed.hours, HOURS_MAX)?,
            also: line(&typed.also, ALSO_MAX)?,
            other: line(&typed.other, OTHER_MAX)?,
            shown: typed.shown,
        })
    }
}

impl Entry {
    /// `36.065200,136.221700`, for a map program.
    pub fn geo(&self) -> Option<String> {
        self.place.map(|(latitude, longitude)| format!("{},{}", decimal(latitude), decimal(longitude)))
    }
}

fn line(text: &str, limit: usize) -> Result<String, Message> {
    let text = text.trim();
    if text.chars().count() > limit {
        return Err(Message::CellTooLong { limit });
    }
    if text.chars().any(char::is_control) { Err(Message::CellControl) } else { Ok(text.to_owned()) }
}

/// Only what a browser opens as a page; a citizen follows it from the association's own site.
fn url(text: &str) -> Result<String, Message> {
    let text = line(text, URL_MAX)?;
    let is_page = text.starts_with("https://") || text.starts_with("http://");
    let is_plain = text.bytes().all(|octet| octet.is_ascii_graphic() && !b"\"'<>\\^`{|}".contains(&octet));
    if text.is_empty() || (is_page && is_plain) {
        Ok(text)
    } else {
        Err(Message::WordUnknown { given: shown(&text), known: "https://…".to_owned() })
    }
}

fn degrees(text: &str, range: &std::ops::RangeInclusive<i64>) -> Result<Option<i64>, Message> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = || Message::WordUnknown { given: shown(text), known: "36.0652 136.2217".to_owned() };
    let value: f64 = text.parse().map_err(|_| wrong())?;
    let millionths = (value * MILLION).round();
    if !millionths.is_finite() || millionths.abs() > 1e9 {
        return Err(wrong());
    }
    let millionths = millionths as i64;
    if range.contains(&millionths) { Ok(Some(millionths)) } else { Err(wrong()) }
}

impl Entry {
    /// As a form shows it again.
    pub fn typed(&self) -> Typed {
        let (latitude, longitude) = self
            .place
            .map(|(latitude, longitude)| (decimal(latitude), decimal(longitude)))
            .unwrap_or_default();
        let it = self.clone();
        Typed {
            city: it.city,
            latitude,
            longitude,
            fixed: it.fixed,
            fax: it.fax,
            url: it.url,
            closed_days: it.closed_days,
            hours: it.hours,
            also: it.also,
            other: it.other,
            shown: it.shown,
        }
    }
}

/// What citizens see: one file, no script, nothing from another host.
#[derive(Template)]
#[template(path = "map_public.html")]
struct PublicPage<'a> {
    realm: &'a str,
    today: &'a str,
    cities: Vec<(String, Vec<&'a Public>)>,
}

pub fn page(realm: &str, today: &str, all: &[Public]) -> Result<String, Message> {
    let page = PublicPage { realm, today, cities: by_city(all) };
    page.render().map_err(|error| Message::Internal { what: error.to_string() })
}

/// `36.065200`, as it is shown and typed.
pub fn decimal(millionths: i64) -> String {
    format!("{}.{:06}", millionths / 1_000_000, millionths % 1_000_000)
}

/// An entry with the facility's own row: all of it public.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Public {
    pub name: String,
    pub kana: String,
    pub kind: String,
    pub postal_address: String,
    pub telephone: String,
    pub entry: Entry,
}

/// RFC 7946; longitude stands first.
pub fn geojson(all: &[Public]) -> Vec<u8> {
    let features: Vec<Value> = all.iter().filter_map(feature).collect();
    json!({ "type": "FeatureCollection", "features": features }).to_string().into_bytes()
}

fn feature(public: &Public) -> Option<Value> {
    let (latitude, longitude) = public.entry.place?;
    let of = |millionths: i64| millionths as f64 / MILLION;
    let entry = &public.entry;
    Some(json!({
        "type": "Feature",
        "geometry": { "type": "Point", "coordinates": [of(longitude), of(latitude)] },
        "properties": {
            "name": public.name, "kana": public.kana, "kind": public.kind, "city": entry.city,
            "address": public.postal_address, "telephone": public.telephone, "fax": entry.fax, "url": entry.url,
            "closed": entry.closed_days, "hours": entry.hours, "also": entry.also, "other": entry.other,
        },
    }))
}

/// Entries by city and kind, as the page lists them.
pub fn by_city(all: &[Public]) -> Vec<(String, Vec<&Public>)> {
    let mut cities: BTreeMap<&str, Vec<&Public>> = BTreeMap::new();
    for public in all {
        cities.entry(public.entry.city.as_str()).or_default().push(public);
    }
    for entries in cities.values_mut() {
        entries.sort_by(|a, b| (&a.kind, &a.kana, &a.name).cmp(&(&b.kind, &b.kana, &b.name)));
    }
    cities.into_iter().map(|(city, entries)| (city.to_owned(), entries)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed() -> Typed {
        Typed {
            city: "福井市".into(),
            latitude: "36.0652".into(),
            longitude: "136.2217".into(),
            url: "https://care.example.jp/".into(),
            hours: "9:00〜17:00".into(),
            shown: true,
            ..Typed::default()
        }
    }

    #[test]
    fn l_02_an_entry_keeps_to_its_limits() {
        let entry = Entry::read(&typed()).unwrap();
        assert_eq!(entry.place, Some((36_065_200, 136_221_700)));
        assert_eq!(decimal(36_065_200), "36.065200");
        let refused = |change: fn(&mut Typed)| {
            let mut typed = typed();
            change(&mut typed);
            Entry::read(&typed).unwrap_err().code()
        };
        assert_eq!(refused(|it| it.hours = "あ".repeat(101)), "MM-5202");
        assert_eq!(refused(|it| it.also = "あ".repeat(201)), "MM-5202");
        assert_eq!(refused(|it| it.other = "a\nb".into()), "MM-5203");
        assert_eq!(refused(|it| it.city.clear()), "MM-5201");
        assert_eq!(refused(|it| it.longitude.clear()), "MM-5201");
        for bad in ["136.2217", "NaN", "1e300", "北緯36度"] {
            let mut typed = typed();
            typed.latitude = bad.into();
            assert_eq!(Entry::read(&typed).unwrap_err().code(), "MM-5373", "{bad}");
        }
        for bad in ["javascript:alert(1)", "https://a\"onclick=", "ftp://a"] {
            let mut typed = typed();
            typed.url = bad.into();
            assert_eq!(Entry::read(&typed).unwrap_err().code(), "MM-5373", "{bad}");
        }
    }

    #[test]
    fn l_03_points_stand_longitude_first_and_nobody_is_named() {
        let public = Public {
            name: "ケアプランふくい".into(),
            kana: "けあぷらんふくい".into(),
            kind: "居宅介護支援事業所".into(),
            postal_address: "福井市大手1丁目".into(),
            telephone: "0776-00-0000".into(),
            entry: Entry::read(&typed()).unwrap(),
        };
        let nowhere = Public { entry: Entry { place: None, ..public.entry.clone() }, ..public.clone() };
        let value: Value = serde_json::from_slice(&geojson(&[public.clone(), nowhere])).unwrap();
        assert_eq!(value["features"].as_array().unwrap().len(), 1);
        assert_eq!(value["features"][0]["geometry"]["coordinates"], json!([136.2217, 36.0652]));
        assert_eq!(by_city(&[public])[0].0, "福井市");
    }
}
