//! The API's description as OpenAPI 3.1, made of the same table and shapes that answer requests: paths, parameters, bodies,
//! answers, who may. Ends as a JSON value. Pure.

use pki::identity::{FacilityId, Role};
use serde_json::{Map, Value, json};

use crate::api_shape::{COMPONENTS, Shapes, shapes};
use crate::api_table::{Method, OPERATIONS, Operation};
use crate::decide::{Action, Actor, Object, decide};

/// The key by which an unsafe request repeats safely.
pub const IDEMPOTENCY_KEY: &str = "Idempotency-Key";
/// Where this description itself stands.
pub const PLACE: &str = "/api/openapi.json";

/// An operation with a handler of its own, because an admin has it for his own facility, or names of patients pass through.
pub struct Own {
    pub method: Method,
    pub path: &'static str,
    pub id: &'static str,
    pub action: Action,
    pub ja: &'static str,
    pub created: bool,
    pub body: Option<Value>,
    pub answer: Value,
}

/// The whole document; `own` with the named shapes that they speak of.
pub fn document(zone: &str, version: &str, own: &[Own], mut named: Map<String, Value>) -> Value {
    let shapes = shapes();
    named.extend(shapes.named.clone());
    named.insert("Problem".to_owned(), problem(shapes));
    let mut paths = Map::new();
    for operation in OPERATIONS {
        put(&mut paths, operation.path, operation.method, described(shapes, operation));
    }
    for operation in own {
        put(&mut paths, operation.path, operation.method, own_described(operation));
    }
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "mimamori 事務局・施設 API",
            "version": version,
            "description": "画面と同じ操作を、同じ権限で。The consoles' verbs under the consoles' permissions. Reached through an admitted device's tunnel with its certificate, after POST /sign-in (JSON: login, password) on the same host; unsafe requests carry Origin. A field with a file is base64."
        },
        "servers": [{ "url": format!("https://office.{zone}") }],
        "security": [{ "device": [], "session": [] }],
        "paths": paths,
        "components": {
            "schemas": {},
            "securitySchemes": {
                "device": { "type": "mutualTLS", "description": "端末証明書" },
                "session": { "type": "apiKey", "in": "cookie", "name": "__Host-session" }
            }
        }
    });
    let used = used(&document, &named);
    document["components"]["schemas"] = Value::Object(used);
    document
}

fn put(paths: &mut Map<String, Value>, path: &str, method: Method, described: Value) {
    let item = paths.entry(path).or_insert_with(|| json!({}));
    item[method.as_str().to_ascii_lowercase()] = described;
}

fn described(shapes: &Shapes, operation: &Operation) -> Value {
    let nothing = json!({});
    let shape = shapes.question(operation.question).unwrap_or(&nothing);
    let switches = shapes.switches(operation.method, shape);
    let needed: Vec<&str> =
        strings(shape.get("required")).filter(|name| !switches.iter().any(|one| one == name)).collect();
    let empty = Map::new();
    let fields = shape.get("properties").and_then(Value::as_object).unwrap_or(&empty);
    let in_path: Vec<&str> = operation.places().collect();
    let mut parameters = vec![];
    let mut body = Map::new();
    for (name, of) in fields {
        let mut of = of.clone();
        if switches.contains(name) {
            of["default"] = Value::Bool(false);
        }
        let place = if in_path.contains(&name.as_str()) { "path" } else { "query" };
        if place == "path" || operation.method == Method::Get {
            let required = place == "path" || needed.contains(&name.as_str());
            parameters.push(json!({ "name": name, "in": place, "required": required, "schema": of }));
        } else {
            body.insert(name.clone(), of);
        }
    }
    let (roles, rules) = allowed(operation.action, &whose()[..1]);
    let mut told = json!({
        "operationId": identifier(operation.question),
        "tags": [operation.tag()],
        "summary": operation.ja,
        "x-roles": roles,
        "x-rules": rules,
        "responses": responses("200", answer(shapes, operation)),
    });
    if let Some(english) = shapes.description(operation.question) {
        told["description"] = Value::from(english);
    }
    if operation.method == Method::Post {
        parameters.push(key());
        let needed: Vec<&str> = needed.into_iter().filter(|name| body.contains_key(*name)).collect();
        let schema = json!({ "type": "object", "properties": body, "required": needed, "additionalProperties": false });
        told["requestBody"] = json!({ "required": !needed.is_empty(), "content": { "application/json": { "schema": schema } } });
    }
    told["parameters"] = Value::Array(parameters);
    told
}

fn own_described(operation: &Own) -> Value {
    let mut parameters: Vec<Value> = operation
        .path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
        .collect();
    if operation.method == Method::Post {
        parameters.push(key());
    }
    let (roles, rules) = allowed(operation.action, &whose());
    let mut told = json!({
        "operationId": operation.id,
        "tags": [operation.path.split('/').nth(2).unwrap_or_default()],
        "summary": operation.ja,
        "x-roles": roles,
        "x-rules": rules,
        "parameters": parameters,
        "responses": responses(if operation.created { "201" } else { "200" }, json_content(operation.answer.clone())),
    });
    if let Some(body) = &operation.body {
        told["requestBody"] =
            json!({ "required": true, "content": { "application/json": { "schema": body } } });
    }
    told
}

fn key() -> Value {
    json!({
        "name": IDEMPOTENCY_KEY, "in": "header", "required": false, "schema": { "type": "string", "maxLength": 100 },
        "description": "24時間、同じ鍵で別の内容は断ります。"
    })
}

/// A file leaves as it is, everything else as JSON.
fn answer(shapes: &Shapes, operation: &Operation) -> Value {
    if is_file(operation) {
        return json!({ "*/*": { "schema": { "type": "string", "format": "binary" } } });
    }
    json_content(shapes.answer(operation.answer).cloned().unwrap_or_default())
}

/// Whether the answer is nothing but a file.
pub fn is_file(operation: &Operation) -> bool {
    operation.answer.rsplit('.').next() == Some("File")
}

fn json_content(schema: Value) -> Value {
    json!({ "application/json": { "schema": schema } })
}

fn responses(good: &str, content: Value) -> Value {
    let bad = json_content(json!({ "$ref": format!("#{COMPONENTS}/Problem") }));
    json!({
        good: { "description": "できました", "content": content },
        "default": { "description": "お断り：何が、なぜ、どうすれば", "content": bad }
    })
}

/// A refusal as every room writes it: the words without their kind, which the status says, and the trace.
fn problem(shapes: &Shapes) -> Value {
    let mut problem = shapes.resolved(&shapes.trouble).clone();
    if let Some(fields) = problem.get_mut("properties").and_then(Value::as_object_mut) {
        fields.remove("kind");
        fields.insert("trace".to_owned(), json!({ "type": ["string", "null"] }));
    }
    problem["required"] = json!(["code", "ja", "en", "remedy_ja", "remedy_en"]);
    problem
}

/// `Flow.Open` is `flowOpen`.
fn identifier(question: &str) -> String {
    let name = question.replace('.', "");
    let mut letters = name.chars();
    letters.next().map(|first| first.to_ascii_lowercase().to_string() + letters.as_str()).unwrap_or_default()
}

/// Whose it is: of the whole association, or of one's own facility.
fn whose() -> [Object; 2] {
    [Object::Association, Object::Facility(own_facility())]
}

fn own_facility() -> FacilityId {
    FacilityId::from_random([0; 10])
}

/// Who may, and by which rules.
fn allowed(action: Action, objects: &[Object]) -> (Vec<&'static str>, Vec<&'static str>) {
    let (mut roles, mut rules) = (vec![], vec![]);
    for role in Role::ALL {
        let actor = Actor { role, facility: own_facility() };
        let decisions = objects.iter().map(|object| decide(&actor, action, object));
        if let Some(decision) = decisions.into_iter().find(|decision| decision.allowed) {
            roles.push(role.as_str());
            rules.push(decision.rule_id);
        }
    }
    rules.dedup();
    (roles, rules)
}

fn strings(value: Option<&Value>) -> impl Iterator<Item = &str> {
    value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// The named shapes that the document speaks of, and those that these speak of.
fn used(document: &Value, named: &Map<String, Value>) -> Map<String, Value> {
    let mut found = Map::new();
    let mut open = vec![document];
    while let Some(value) = open.pop() {
        match value {
            Value::Object(fields) => {
                if let Some(name) =
                    fields.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next())
                    && let Some(shape) = named.get(name)
                    && found.insert(name.to_owned(), shape.clone()).is_none()
                {
                    open.push(shape);
                }
                open.extend(fields.values());
            }
            Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
    found
}
