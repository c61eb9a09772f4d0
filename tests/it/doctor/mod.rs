//! `portcullis doctor`: what it says of healthy servers, and of those with a fault.

mod browser;
mod clients;
mod deployment;
mod deployment_asks;
mod deployment_public;
mod front;
mod healthy;
mod mcp;
mod registration;
mod sign_in;
mod tls;
mod token;
mod way;
mod words;

use std::process::Output;
use std::sync::Arc;

use portcullis_policies::kit::clock::SystemClock;
use serde_json::{Value, json};

use crate::harness::{Client, Gateway, VENDOR_TOKEN, Vendor, form, run};

/// What the command printed with `--json`, and how it ended.
struct Examined {
    report: Value,
    exit_code: Option<i32>,
    printed: String,
}

impl Examined {
    /// The codes of all that is wrong, in the order of the checks.
    fn codes(&self) -> Vec<&str> {
        self.report["checks"].as_array().unwrap().iter().filter_map(|line| line["code"].as_str()).collect()
    }

    /// State and evidence of a check's first line.
    fn check(&self, name: &str) -> (&str, &str) {
        let lines = self.report["checks"].as_array().unwrap();
        let line =
            lines.iter().find(|line| line["check"] == name).unwrap_or_else(|| panic!("{name}: {}", self.printed));
        (line["state"].as_str().unwrap(), line["evidence"].as_str().unwrap())
    }

    /// Nothing is wrong: no failure and no false alarm.
    fn is_healthy(&self) {
        assert_eq!((self.codes(), self.exit_code), (Vec::new(), Some(0)), "{}", self.printed);
        assert_eq!((&self.report["state"], &self.report["class"]), (&json!("ok"), &Value::Null));
        assert_eq!(self.report["diagnosis"], json!([]));
    }
}

/// Runs the command on a thread of its own: what it examines runs on this one.
async fn typed(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let owned = |text: &&str| (*text).to_owned();
    let arguments: Vec<String> = ["doctor"].iter().chain(arguments).map(owned).collect();
    let variables: Vec<(String, String)> = variables.iter().map(|(name, value)| (owned(name), owned(value))).collect();
    let running = move || {
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let variables: Vec<_> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        run(&arguments, &variables)
    };
    tokio::task::spawn_blocking(running).await.unwrap()
}

async fn examine_with(arguments: &[&str], variables: &[(&str, &str)]) -> Examined {
    let output = typed(&[arguments, &["--json"]].concat(), variables).await;
    let printed = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    let report: Value = serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"));
    assert_eq!(report["exitCode"].as_i64(), output.status.code().map(i64::from), "{printed}");
    Examined { report, exit_code: output.status.code(), printed }
}

async fn examine(url: &str) -> Examined {
    examine_with(&[url], &[]).await
}

async fn vendor() -> Vendor {
    let vendor = Vendor::new(Arc::new(SystemClock)).await;
    vendor.knows_client("gateway", Some("canary-known-secret"));
    vendor
}

/// A token of the vendor.
async fn token(vendor: &Vendor) -> String {
    let fields =
        [("grant_type", "client_credentials"), ("client_id", "gateway"), ("client_secret", "canary-known-secret")];
    let address = vendor.issuer().trim_start_matches("http://").parse().unwrap();
    let reply = Client::to(address).await.ask(&form(VENDOR_TOKEN, &fields)).await;
    reply.json()["access_token"].as_str().unwrap().to_owned()
}

fn url(gateway: &Gateway) -> String {
    format!("http://{}/mcp", gateway.address)
}
