//! Rows as log records of OpenTelemetry: OTLP over HTTP, in Protobuf.
//!
//! The body of a record is the row as it stands in the store, so what proves a row proves it there too.

use bytes::Bytes;
use opentelemetry_proto::tonic::{
    collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse},
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value as Any},
    logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber},
    resource::v1::Resource,
};
use prost::Message;
use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// What of a row stands beside it in a record, and under which names.
const ATTRIBUTES: [(&str, &str); 9] = [
    ("/chain", "portcullis.audit.chain"),
    ("/kind", "portcullis.audit.kind"),
    ("/requestId", "portcullis.request.id"),
    ("/route", "portcullis.route"),
    ("/decision", "portcullis.decision"),
    ("/caller/subject", "user.id"),
    ("/method", "mcp.method.name"),
    ("/target/name", "portcullis.target"),
    ("/error/reason", "error.type"),
];

/// What is posted: rows, one a line.
pub(super) fn export(service: &str, lines: &str) -> Bytes {
    let records = lines.lines().map(record).collect();
    let scope = InstrumentationScope { name: "portcullis.audit".to_owned(), ..InstrumentationScope::default() };
    let logs = ScopeLogs { scope: Some(scope), log_records: records, ..ScopeLogs::default() };
    let resource = Resource { attributes: vec![attribute("service.name", text(service))], ..Resource::default() };
    let logs = ResourceLogs { resource: Some(resource), scope_logs: vec![logs], ..ResourceLogs::default() };
    ExportLogsServiceRequest { resource_logs: vec![logs] }.encode_to_vec().into()
}

/// How many records the collector did not take, although it answered with success.
pub(super) fn rejected(answer: &[u8]) -> u64 {
    let answer = ExportLogsServiceResponse::decode(answer).unwrap_or_default();
    answer.partial_success.map_or(0, |partial| u64::try_from(partial.rejected_log_records).unwrap_or(0))
}

fn record(line: &str) -> LogRecord {
    let row: Value = serde_json::from_str(line).unwrap_or_default();
    let kind = row["kind"].as_str().unwrap_or_default();
    let at = row["at"].as_str().and_then(|at| OffsetDateTime::parse(at, &Rfc3339).ok());
    let at = at.and_then(|at| u64::try_from(at.unix_timestamp_nanos()).ok()).unwrap_or_default();
    let named =
        ATTRIBUTES.iter().filter_map(|(place, name)| Some(attribute(name, text(row.pointer(place)?.as_str()?))));
    let numbers = [("number", "portcullis.audit.number"), ("approval", "portcullis.approval")];
    let numbers =
        numbers.iter().filter_map(|(member, name)| Some(attribute(name, Any::IntValue(row[*member].as_i64()?))));
    let is_bad = kind == "gap" || row["decision"] == "denied" || row["error"].is_object();
    let severity = if is_bad { SeverityNumber::Warn } else { SeverityNumber::Info };
    LogRecord {
        time_unix_nano: at,
        observed_time_unix_nano: at,
        severity_number: severity.into(),
        severity_text: if is_bad { "WARN" } else { "INFO" }.to_owned(),
        body: Some(AnyValue { value: Some(text(line)) }),
        attributes: named.chain(numbers).collect(),
        event_name: format!("portcullis.audit.{kind}"),
        ..LogRecord::default()
    }
}

fn text(text: &str) -> Any {
    Any::StringValue(text.to_owned())
}

fn attribute(name: &str, value: Any) -> KeyValue {
    KeyValue { key: name.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}
