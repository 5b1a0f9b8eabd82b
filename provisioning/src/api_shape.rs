//! The shapes of the API's questions and answers, derived from the types of the operator's door, and the way from a
//! request to its question: path, query and body become one value, which is held to the shape before it is read. A field
//! that nobody knows is refused: a mistyped `dry_run` must not do what it was to rehearse. Pure.

use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::api_table::{Method, Operation};
use crate::door::{ProvisioningAnswer, ProvisioningQuestion, Trouble};

/// Longest excerpt of a fault's own words.
const TOLD_MAX: usize = 200;
/// Where a document keeps its shapes.
pub const COMPONENTS: &str = "/components/schemas";

static SHAPES: LazyLock<Shapes> = LazyLock::new(Shapes::derive);

/// What is wrong with a request, at which field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {what}")]
pub struct Misshapen {
    pub place: String,
    pub what: String,
}

fn misshapen(place: impl Into<String>, what: impl Into<String>) -> Misshapen {
    let place: String = place.into();
    Misshapen { place: shortened(&place), what: shortened(&what.into()) }
}

fn shortened(text: &str) -> String {
    text.chars().take(TOLD_MAX).collect()
}

/// Both sides of the door as JSON Schema 2020-12, and the named shapes they speak of.
pub struct Shapes {
    questions: Value,
    answers: Value,
    pub trouble: Value,
    pub named: Map<String, Value>,
}

/// The shapes of this build.
pub fn shapes() -> &'static Shapes {
    &SHAPES
}

/// As requests are read, or as answers are written.
pub fn generator(reads: bool) -> SchemaGenerator {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = COMPONENTS.into();
        settings.meta_schema = None;
    });
    let settings = if reads { settings.for_deserialize() } else { settings.for_serialize() };
    settings.into_generator()
}

impl Shapes {
    fn derive() -> Self {
        let (mut reads, mut writes) = (generator(true), generator(false));
        let questions = ProvisioningQuestion::json_schema(&mut reads).to_value();
        let answers = ProvisioningAnswer::json_schema(&mut writes).to_value();
        let trouble = Trouble::json_schema(&mut writes).to_value();
        let mut named = reads.take_definitions(true);
        named.extend(writes.take_definitions(true));
        Self { questions, answers, trouble, named }
    }

    /// The variants of the question, those of the questions in it as `Outer.Inner`.
    pub fn questions(&self) -> Vec<String> {
        self.variants(&self.questions)
    }

    fn variants(&self, of: &Value) -> Vec<String> {
        let mut names = vec![];
        for (name, shape) in branches(of) {
            let inner = shape.map(|shape| branches(self.resolved(shape))).unwrap_or_default();
            if inner.is_empty() {
                names.push(name);
            } else {
                names.extend(inner.into_iter().map(|(inner, _)| format!("{name}.{inner}")));
            }
        }
        names
    }

    /// The fields of a question; one without fields has an empty shape.
    pub fn question(&self, name: &str) -> Option<&Value> {
        static NOTHING: LazyLock<Value> = LazyLock::new(|| json!({ "type": "object", "properties": {} }));
        match self.find(&self.questions, name)? {
            Some(shape) => Some(self.resolved(shape)),
            None => Some(&NOTHING),
        }
    }

    /// The value of an answer.
    pub fn answer(&self, name: &str) -> Option<&Value> {
        self.find(&self.answers, name)?
    }

    /// What a question's own words say.
    pub fn description(&self, name: &str) -> Option<&str> {
        let mut here = &self.questions;
        let mut told = None;
        for part in name.split('.') {
            let branch =
                here.get("oneOf")?.as_array()?.iter().find(|branch| names(branch).contains(&part))?;
            told = branch.get("description").and_then(Value::as_str);
            here = branch
                .get("properties")
                .and_then(|all| all.get(part))
                .map_or(here, |inner| self.resolved(inner));
        }
        told
    }

    /// `Some(None)`: a variant that carries nothing.
    fn find<'a>(&'a self, of: &'a Value, name: &str) -> Option<Option<&'a Value>> {
        match name.split_once('.') {
            None => branches(of).into_iter().find(|(variant, _)| variant == name).map(|(_, shape)| shape),
            Some((outer, inner)) => {
                let shape = branches(of).into_iter().find(|(variant, _)| variant == outer)?.1?;
                self.find(self.resolved(shape), inner)
            }
        }
    }

    /// A shape that only names another.
    pub fn resolved<'a>(&'a self, shape: &'a Value) -> &'a Value {
        let named = shape.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next());
        named.and_then(|name| self.named.get(name)).unwrap_or(shape)
    }

    /// The question that a request asks. `texts` are what its path and query say.
    pub fn ask(
        &self,
        operation: &Operation,
        texts: &[(String, String)],
        body: Option<Value>,
    ) -> Result<ProvisioningQuestion, Misshapen> {
        let shape =
            self.question(operation.question).ok_or_else(|| misshapen("question", operation.question))?;
        let mut fields = match body {
            None => Map::new(),
            Some(Value::Object(fields)) => fields,
            Some(_) => return Err(misshapen("body", "not a JSON object")),
        };
        for (name, text) in texts {
            let Some(of) = shape.get("properties").and_then(|all| all.get(name)) else {
                return Err(misshapen(name, "unknown"));
            };
            if operation.method == Method::Post && !operation.places().any(|place| place == name) {
                return Err(misshapen(name, "belongs into the body"));
            }
            let value =
                self.typed(of, text).ok_or_else(|| misshapen(name, "neither true, false nor a number"))?;
            if fields.insert(name.clone(), value).is_some() {
                return Err(misshapen(name, "stands twice"));
            }
        }
        for name in self.switches(operation.method, shape) {
            fields.entry(name).or_insert(Value::Bool(false));
        }
        let fields = Value::Object(fields);
        self.known("", shape, &fields)?;
        let bare = matches!(self.find(&self.questions, operation.question), Some(None));
        read(operation.question, (!bare).then_some(fields))
    }

    /// A word of a path or a query as its shape wants it.
    fn typed(&self, of: &Value, text: &str) -> Option<Value> {
        match self.kind(of) {
            "boolean" => text.parse().ok().map(Value::Bool),
            "integer" => text.parse::<i64>().ok().map(Value::from),
            _ => Some(Value::from(text)),
        }
    }

    /// The first type that is not null.
    fn kind<'a>(&'a self, of: &'a Value) -> &'a str {
        let of = self.resolved(of);
        match of.get("type") {
            Some(Value::String(kind)) => kind,
            Some(Value::Array(kinds)) => {
                kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null").unwrap_or_default()
            }
            _ => "",
        }
    }

    /// Fields that are no unless somebody says yes: a list's filters, and a rehearsal. A decision is never left out.
    pub fn switches(&self, method: Method, shape: &Value) -> Vec<String> {
        let all = shape.get("properties").and_then(Value::as_object);
        let free = |name: &str| method == Method::Get || name == "dry_run";
        let all = all.into_iter().flatten().filter(|(name, of)| free(name) && self.kind(of) == "boolean");
        all.map(|(name, _)| name.clone()).collect()
    }

    /// Every name in the value stands in the shape.
    fn known(&self, place: &str, shape: &Value, value: &Value) -> Result<(), Misshapen> {
        let shape = self.resolved(shape);
        match value {
            Value::Object(fields) => {
                let choices = branches(shape);
                for (name, inner) in fields {
                    let here = if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
                    let of = shape.get("properties").and_then(|all| all.get(name));
                    let of = of.or_else(|| choices.iter().find(|choice| choice.0 == *name)?.1);
                    match of {
                        Some(of) => self.known(&here, of, inner)?,
                        None if optional(shape).is_some() => {
                            return self.known(place, optional(shape).unwrap_or(shape), value);
                        }
                        None => return Err(misshapen(here, "unknown")),
                    }
                }
                Ok(())
            }
            Value::Array(items) => match shape.get("items") {
                Some(of) => items.iter().try_for_each(|item| self.known(place, of, item)),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

/// What a shape is when it is not null.
fn optional(shape: &Value) -> Option<&Value> {
    let choices = shape.get("anyOf")?.as_array()?;
    choices.iter().find(|choice| choice.get("type").and_then(Value::as_str) != Some("null"))
}

/// The variants of an enum's shape, each with what it carries.
fn branches(of: &Value) -> Vec<(String, Option<&Value>)> {
    let Some(all) = of.get("oneOf").and_then(Value::as_array) else { return vec![] };
    let mut found = vec![];
    for branch in all {
        match branch.get("properties").and_then(Value::as_object) {
            Some(carried) => found.extend(carried.iter().map(|(name, shape)| (name.clone(), Some(shape)))),
            None => found.extend(names(branch).into_iter().map(|name| (name.to_owned(), None))),
        }
    }
    found
}

/// The variants that one branch stands for.
fn names(branch: &Value) -> Vec<&str> {
    if let Some(carried) = branch.get("properties").and_then(Value::as_object) {
        return carried.keys().map(String::as_str).collect();
    }
    let all = branch.get("enum").and_then(Value::as_array).into_iter().flatten();
    all.chain(branch.get("const")).filter_map(Value::as_str).collect()
}

/// `Outer.Inner` with its fields, as the door reads it.
fn read(name: &str, fields: Option<Value>) -> Result<ProvisioningQuestion, Misshapen> {
    let (outer, inner) = name.split_once('.').map_or((None, name), |(outer, inner)| (Some(outer), inner));
    let question = match fields {
        Some(fields) => json!({ inner: fields }),
        None => Value::from(inner),
    };
    let question = match outer {
        Some(outer) => json!({ outer: question }),
        None => question,
    };
    serde_json::from_value(question).map_err(|error| misshapen("body", error.to_string()))
}

/// The value under an answer's names, when it is that answer.
pub fn unwrapped(answer: &ProvisioningAnswer, name: &str) -> Option<Value> {
    let mut value = serde_json::to_value(answer).ok()?;
    for part in name.split('.') {
        value = value.as_object_mut()?.remove(part)?;
    }
    Some(value)
}
