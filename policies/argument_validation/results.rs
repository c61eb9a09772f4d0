//! What becomes of results.

use std::sync::{Arc, OnceLock};

use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::{
    ArgumentValidation, OnMisfit, RESULTS,
    misfit::Misfit,
    options::ValidationLimits,
    schema::{Fault, Schema, Unusable},
    tasks::Began,
    words,
};
use crate::kit::{
    answers::{Edit, EditResult, Verdict},
    chain::{Answer as Answered, Request, RequestId, Response, RouteService, then},
    decision::{Decided, Decisions},
    policy::Policy,
    refusal::{Addressee, Reason, Refusal},
    reply::Answer,
};

/// Compares the result of one request.
pub(super) struct Results {
    pub(super) tool: Box<str>,
    /// None where the tool has none.
    pub(super) schema: Result<Option<Arc<Schema>>, Unusable>,
    pub(super) mode: OnMisfit,
    pub(super) limits: Arc<ValidationLimits>,
    pub(super) request_id: Option<RequestId>,
    /// Where it is told that a task began instead.
    pub(super) began: Option<Began>,
    /// Does the result stand inside of a task's state (2026-07-28)?
    pub(super) in_task: bool,
    /// Was something wrong? Of streams it comes too late for metrics.
    pub(super) found: Arc<OnceLock<()>>,
}

/// The members of a result that count here.
#[derive(Deserialize)]
struct Said<'a> {
    #[serde(borrow, default, rename = "structuredContent")]
    structured: Option<&'a RawValue>,
    #[serde(default, rename = "isError")]
    is_error: bool,
    #[serde(borrow, default)]
    task: Option<&'a RawValue>,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(default, rename = "resultType")]
    kind: Option<String>,
}

/// Passes a request on, and compares what comes back.
pub(super) fn compared(
    request: Request,
    inner: &RouteService,
    results: Option<Results>,
    decided: Vec<Decided>,
) -> Answered {
    let judged = results.as_ref().map(|results| (results.mode, Arc::clone(&results.found)));
    let edit = results.and_then(|results| Edit::of(&request, |_| Some(results)));
    then(inner.run(request), |response| {
        let mut response = match edit {
            Some(edit) => edit.response(response),
            None => response,
        };
        if let Some((mode, _)) = judged.filter(|(_, found)| found.get().is_some()) {
            note(&mut response, mode);
        }
        Decisions::add(&mut response, decided);
        response
    })
}

fn note(response: &mut Response, mode: OnMisfit) {
    Decisions::add(response, vec![mode.decided(RESULTS)]);
    if mode == OnMisfit::Block {
        response.extensions_mut().insert(Reason::InvalidResult);
    }
}

impl EditResult for Results {
    const POLICY: &'static str = ArgumentValidation::NAME;

    fn result(&self, body: &[u8], answer: &Answer, id: &str) -> Verdict {
        let result = answer.payload().map(|span| span.of(body)).unwrap_or_default();
        let Err(fault) = self.compare(result) else { return Verdict::Keep };
        tracing::warn!(
            rule = RESULTS,
            outcome = self.mode.outcome(),
            tool = ?self.tool,
            why = words::why(&fault),
            "argument-validation"
        );
        let _ = self.found.set(());
        if self.mode != OnMisfit::Block {
            return Verdict::Keep;
        }
        let refusal = words::bad_result(&self.tool, &fault);
        Verdict::Replace(refusal.body(Addressee { id: Some(id), request_id: self.request_id.as_ref() }))
    }

    fn refusal(&self) -> Refusal {
        Reason::InvalidResult.into()
    }
}

impl Results {
    fn compare(&self, result: &[u8]) -> Result<(), Fault> {
        let mut said = said(result)?;
        if let Some(began) = &self.began {
            began.note(result);
        }
        if self.in_task {
            let Some(result) = said.result else { return Ok(()) };
            said = self::said(result.get().as_bytes())?;
        }
        if said.is_error {
            return Ok(());
        }
        let Some(schema) = self.schema.as_ref().map_err(|why| Fault::Uncomparable(why.clone()))? else { return Ok(()) };
        match said.structured {
            Some(structured) => {
                let value = value(structured, &self.limits).map_err(Fault::Uncomparable)?;
                schema.compare(&value, structured.get().len(), &self.limits)
            }
            None if said.is_unfinished() => Ok(()),
            None => Err(Fault::Misfits(vec![Misfit {
                at: String::new(),
                expected: "the result has no structuredContent".to_owned(),
            }])),
        }
    }
}

impl Said<'_> {
    /// Is it a task, or a question to the client, in the place of a result?
    fn is_unfinished(&self) -> bool {
        self.task.is_some() || matches!(self.kind.as_deref(), Some("task" | "input_required"))
    }
}

fn said(result: &[u8]) -> Result<Said<'_>, Fault> {
    serde_json::from_slice(result).map_err(|_| Fault::Uncomparable(Unusable::Value("it is no result of a tool")))
}

/// The value of some JSON, if it is not too long.
pub(super) fn value(raw: &RawValue, limits: &ValidationLimits) -> Result<Value, Unusable> {
    if raw.get().len() > limits.value_bytes {
        return Err(Unusable::Value("the value is longer than `limits.valueBytes`"));
    }
    serde_json::from_str(raw.get()).map_err(|_| Unusable::Value("the value has a number out of range, or is too deep"))
}
