//! The `OpenAPI` document, made from the table.

use http::StatusCode;
use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::{
    PATH,
    endpoint::{Endpoint, Shapes},
    table::{Scope, table},
};

/// What is wrong, as problem details (RFC 9457).
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
#[serde(rename_all = "camelCase")]
struct Problem {
    /// The page that explains it.
    r#type: String,
    /// The status in words.
    title: String,
    /// The status.
    status: u16,
    /// What happened this time.
    detail: String,
    /// Why: a code that never changes.
    reason: String,
    /// What to do about it.
    remedy: String,
    /// The gateway's id of the request, under which its log knows more.
    request_id: String,
}

/// What describes the whole API (`OpenAPI` 3.1).
pub fn document() -> Value {
    let mut generator = SchemaSettings::draft2020_12()
        .with(|settings| settings.definitions_path = "/components/schemas".into())
        .into_generator();
    let problem = generator.subschema_for::<Problem>();
    let mut paths = Map::new();
    for endpoint in table() {
        let methods = paths.entry(format!("{PATH}{}", endpoint.path)).or_insert_with(|| json!({}));
        methods[endpoint.method.as_str().to_ascii_lowercase()] = operation(&endpoint, &problem, &mut generator);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Portcullis",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What the commands of the gateway serve, for programs.",
            "license": { "name": "Apache 2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{ "apiKey": [] }],
        "tags": tags(),
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "securitySchemes": { "apiKey": {
                "type": "http", "scheme": "bearer", "bearerFormat": "pck_ID.SECRET", "description": scopes(),
            } },
        },
    })
}

fn operation(endpoint: &Endpoint, problem: &Schema, generator: &mut SchemaGenerator) -> Value {
    let Shapes { path, query, body, answer } = (endpoint.shapes)(generator);
    let parameters: Vec<_> = parameters("path", &path).into_iter().chain(parameters("query", &query)).collect();
    let status = endpoint.status;
    let mut operation = json!({
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "description": format!("Needs the scope `{}`.", endpoint.scope.name()),
        "tags": [tag(endpoint.path)],
        "security": [{ "apiKey": [endpoint.scope.name()] }],
        "parameters": parameters,
        "responses": {
            status.as_str(): content(status, "application/json", &answer),
            "default": { "description": "It was not done.", "content": { "application/problem+json": { "schema": problem } } },
        },
    });
    if let Some(body) = body {
        let required = requires(&body, generator);
        operation["requestBody"] =
            json!({ "required": required, "content": { "application/json": { "schema": body } } });
    }
    operation
}

fn content(status: StatusCode, media_type: &str, schema: &Schema) -> Value {
    let description = status.canonical_reason().unwrap_or_default();
    json!({ "description": description, "content": { media_type: { "schema": schema } } })
}

/// The members of an object, as parameters.
fn parameters(place: &str, object: &Schema) -> Vec<Value> {
    let required = object.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    let members = object.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
    let parameter = |(name, mut schema): (String, Value)| {
        let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
        json!({
            "name": name, "in": place, "required": place == "path" || required.contains(&json!(name)),
            "description": description.unwrap_or_default(), "schema": schema,
        })
    };
    members.into_iter().map(parameter).collect()
}

/// Must something stand in the body?
fn requires(body: &Schema, generator: &SchemaGenerator) -> bool {
    let name = body.get("$ref").and_then(Value::as_str).and_then(|at| at.rsplit('/').next());
    let definition = name.and_then(|name| generator.definitions().get(name));
    definition.is_some_and(|definition| !definition["required"].is_null())
}

fn tag(path: &str) -> &str {
    path.split('/').nth(1).unwrap_or_default()
}

fn tags() -> Vec<Value> {
    let mut names: Vec<_> = table().iter().map(|endpoint| tag(endpoint.path)).collect();
    names.dedup();
    names.into_iter().map(|name| json!({ "name": name })).collect()
}

fn scopes() -> String {
    let scopes = Scope::ALL.iter().map(|scope| format!("- `{}`: {}", scope.name(), scope.meaning()));
    format!("An API key, with the scope that the operation names:\n\n{}", scopes.collect::<Vec<_>>().join("\n"))
}
