//! Whatever stands in `routes.json`, the answer is a configuration that runs or a report that says why not.

#![no_main]

use std::sync::{Arc, OnceLock};

use libfuzzer_sys::fuzz_target;
use portcullis::{
    config::Surroundings,
    pipeline::{Toolbox, plan},
    server::Services,
};
use portcullis_policies::{STANDARD, kit::clock::SystemClock};

fuzz_target!(|text: &str| {
    static TOOLS: OnceLock<Toolbox> = OnceLock::new();
    let tools = TOOLS.get_or_init(|| Toolbox {
        kinds: STANDARD.to_vec(),
        demo: portcullis::upstreams::demo_server(),
        host: Services::new(Arc::new(SystemClock)).host(0),
        shared: portcullis::proxy::Shared::new(),
        listen: None,
    });
    let surroundings = Surroundings {
        variable: &|name| (name != "MISSING").then(|| "s3cr3t".to_owned()),
        variables: &|| vec!["TOKEN".to_owned()],
        file: &|_| Err("there are no files".to_owned()),
    };
    let plan = plan("routes.json", text, &surroundings, tools);
    assert_eq!(plan.generation.is_some(), !plan.report.has_errors());
    let (human, json) = (plan.report.to_string(), plan.report.to_json());
    assert!(text.contains("s3cr3t") || !(human.contains("s3cr3t") || json.contains("s3cr3t")), "{human}");
});
