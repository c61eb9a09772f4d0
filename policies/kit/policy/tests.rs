use std::collections::HashSet;

use serde_json::json;

use super::*;
use crate::{STANDARD, capability_filter::CapabilityFilter, rate_limit::RateLimit};

fn kind(name: &str) -> &'static PolicyKind {
    STANDARD.iter().find(|kind| kind.is_called(name)).expect(name)
}

#[test]
fn every_policy_has_a_name_of_its_own_and_a_line_about_it() {
    let mut names = HashSet::new();
    for kind in STANDARD {
        for name in std::iter::once(&kind.name).chain(kind.aliases) {
            assert!(names.insert(*name), "{name} is the name of two");
            assert!(
                name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'),
                "{name}"
            );
            assert!(kind.is_called(name));
        }
        assert!(!kind.summary.is_empty() && !kind.summary.ends_with('.'), "{}: {:?}", kind.name, kind.summary);
    }
}

#[test]
fn every_policy_refuses_options_that_it_does_not_know() {
    for kind in STANDARD {
        let problems = kind.layer(&json!({ "noSuchOption": 1 }), &Host::default()).expect_err(kind.name);
        assert!(!problems.is_empty(), "{}", kind.name);
    }
}

#[test]
fn every_option_is_described_in_the_schema() {
    for kind in STANDARD {
        let mut generator = SchemaGenerator::default();
        let schema = kind.schema(&mut generator);
        let name = schema.as_value()["$ref"].as_str().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
        let definition = generator.definitions().get(name).unwrap_or(schema.as_value());
        assert_eq!(definition["additionalProperties"], json!(false), "{}", kind.name);
        // A policy without options has none to describe.
        for (option, schema) in definition["properties"].as_object().into_iter().flatten() {
            assert!(schema["description"].is_string(), "{}: {option} says nothing of itself", kind.name);
        }
    }
}

#[test]
fn what_a_policy_needs_may_depend_on_its_options() {
    let limit = kind("rate-limit");
    let by = |by: Value| limit.needs_with(&json!({ "rateLimitBy": by, "requestsAllowed": 1, "timeWindowMinutes": 1 }));
    assert_eq!(by(json!("user")), [Fact::CALLER]);
    assert_eq!(by(json!(["ip", { "claim": "org" }])), [Fact::CALLER]);
    assert!(by(json!(["ip", { "header": "x" }, "tool"])).is_empty());
}

#[test]
fn a_kind_is_the_policy_that_it_was_made_from() {
    assert_eq!(*kind("mcp-capability-filter-inbound"), PolicyKind::of::<CapabilityFilter>());
    assert_ne!(*kind("mcp-capability-filter"), PolicyKind::of::<RateLimit>());
    assert_eq!(format!("{:?}", kind("cors")), "PolicyKind(cors)");
}

#[test]
fn a_problem_is_at_its_place_seen_from_anywhere() {
    let problem = Problem::new("/tools/0", "wrong").hint("mend it").warning().within("/policies/a");
    assert_eq!((problem.at.as_str(), problem.severity), ("/policies/a/tools/0", Severity::Warning));
    assert_eq!(problem.hint.as_deref(), Some("mend it"));
    assert!(Severity::Error < Severity::Warning);
}
