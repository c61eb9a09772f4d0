#![doc = include_str!("README.md")]

mod backtrack;
mod budget;
mod known;
mod look;
mod misfit;
mod options;
mod pattern;
mod results;
mod schema;
mod tasks;
#[cfg(test)]
mod tests;
mod words;

use std::{collections::BTreeSet, sync::Arc};

use serde::Deserialize;
use serde_json::value::RawValue;

pub use self::options::{ArgumentValidationOptions, OnMisfit, ValidationLimits};
use self::{
    known::{Known, Tool},
    results::{Results, compared, value},
    schema::{Fault, Schema, Unusable},
    tasks::{Began, Tasks},
};
use crate::kit::{
    answers::{Edit, EditResult, Verdict, edited},
    call::{connects, tool},
    chain::{Answer as Answered, Arrival, Request, Response, RouteLayer, RouteService, answered, direct, refuse},
    decision::{Decided, Decisions},
    definitions::Asker,
    host::Host,
    listing::{self, ListKind, Shown},
    message::{Message, Method},
    policy::{Fact, Policy, Problem},
    rehearsal::Rehearsal,
    reply::Answer,
    unjudged::ChainEnd,
};

/// What logs and metrics call the two comparisons.
const ARGUMENTS: &str = "arguments";
const RESULTS: &str = "results";

/// Compares calls of tools with what the tools say of themselves.
#[derive(Debug)]
pub struct ArgumentValidation;

impl Policy for ArgumentValidation {
    const NAME: &'static str = "argument-validation";
    const SUMMARY: &'static str = "compares arguments and results of tools with the tools' own schemas";
    const GIVES: &'static [Fact] = &[Fact::VALIDATED_CALL];
    const BEFORE: &'static [Fact] = &[Fact::RENAMED_TARGET, Fact::UPSTREAM_CREDENTIAL];
    const REHEARSAL: Rehearsal<Self::Options> = Rehearsal::AsItIs;
    type Options = ArgumentValidationOptions;

    fn layer(options: Self::Options, host: &Host) -> Result<RouteLayer, Vec<Problem>> {
        let validation = Arc::new(Validation {
            known: Known::new(&options.limits),
            tasks: Tasks::new(),
            arguments: options.arguments,
            results: options.results,
            except: options.except_tools,
            limits: Arc::new(options.limits),
            chain_end: host.chain_end,
        });
        Ok(direct(move |request, inner| validation.answer(request, inner)))
    }
}

impl OnMisfit {
    fn outcome(self) -> &'static str {
        if self == Self::Block { "denied" } else { "would_deny" }
    }

    fn decided(self, what: &'static str) -> Decided {
        Decided { policy: ArgumentValidation::NAME, rule: what.into(), outcome: self.outcome() }
    }
}

struct Validation {
    arguments: OnMisfit,
    results: OnMisfit,
    except: BTreeSet<String>,
    limits: Arc<ValidationLimits>,
    known: Known,
    tasks: Tasks,
    chain_end: ChainEnd,
}

/// What there is to say of a call before it is made.
struct Judged {
    /// Why its arguments do not pass, or cannot be judged.
    arguments: Result<(), Fault>,
    /// What its result is compared with.
    output: Result<Option<Arc<Schema>>, Unusable>,
}

impl Judged {
    fn is_fine(&self) -> bool {
        self.arguments.is_ok() && self.output.is_ok()
    }
}

impl Validation {
    fn answer(self: &Arc<Self>, request: Request, inner: &RouteService) -> Answered {
        match request.body().message().and_then(Message::method) {
            _ if self.arguments == OnMisfit::Off && self.results == OnMisfit::Off => inner.run(request),
            Some(Method::ListTools) => self.list(request, inner),
            Some(Method::CallTool) if !connects(&request) => self.call(request, inner),
            Some(Method::TaskResult | Method::GetTask) if self.results != OnMisfit::Off => self.task(request, inner),
            _ => inner.run(request),
        }
    }

    /// What passes by need not be asked for.
    fn list(self: &Arc<Self>, request: Request, inner: &RouteService) -> Answered {
        let lister = Lister { validation: Arc::clone(self), asker: Asker::of(&request) };
        let edit = Edit::of(&request, |_| Some(lister));
        edited(request, inner, edit, Vec::new())
    }

    fn call(self: &Arc<Self>, request: Request, inner: &RouteService) -> Answered {
        let tool = tool(&request);
        if self.except.contains(&tool) {
            return self.forward(request, inner, Ok(None), Vec::new());
        }
        let known = self.known.get(&Asker::of(&request), &tool);
        if let Some(judged) = known.map(|known| self.judge(&request, Ok(known))).filter(Judged::is_fine) {
            return self.forward(request, inner, judged.output, Vec::new());
        }
        let (this, inner) = (Arc::clone(self), inner.clone());
        Box::pin(async move {
            // What is remembered may be old: nothing is held against a call before the upstream was asked.
            let known = this.known.ask(&request, &inner, &tool).await;
            let judged = this.judge(&request, known);
            this.decide(request, judged, &inner).await
        })
    }

    fn judge(&self, request: &Request, tool: Result<Tool, Unusable>) -> Judged {
        let Tool { input, output } = match tool {
            Ok(tool) => tool,
            Err(why) => return Judged { arguments: Err(Fault::Uncomparable(why.clone())), output: Err(why) },
        };
        let fits = || {
            let input = input.map_err(Fault::Uncomparable)?;
            let arguments = arguments(request).map_err(Fault::Uncomparable)?;
            let value = value(arguments, &self.limits).map_err(Fault::Uncomparable)?;
            input.compare(&value, arguments.get().len(), &self.limits)
        };
        let usable = |schema: Arc<Schema>| schema.usable(&self.limits).map(|()| schema);
        Judged {
            arguments: if self.arguments == OnMisfit::Off { Ok(()) } else { fits() },
            output: if self.results == OnMisfit::Off { Ok(None) } else { output.map(usable).transpose() },
        }
    }

    /// Makes the call or refuses it. A result that could not be compared afterwards is a reason not to make it.
    fn decide(&self, request: Request, judged: Judged, inner: &RouteService) -> Answered {
        let mut decided = Vec::new();
        if let Err(fault) = &judged.arguments
            && self.arguments != OnMisfit::Off
        {
            decided.push(noted(self.arguments, ARGUMENTS, &request, &words::why(fault)));
            if self.arguments == OnMisfit::Block {
                return match fault {
                    Fault::Misfits(misfits) => with(words::misfitting_arguments(&request, misfits), decided),
                    Fault::Uncomparable(why) => self.refuse(request, "inputSchema", why, decided, inner),
                };
            }
        }
        if let Err(why) = &judged.output
            && self.results != OnMisfit::Off
        {
            decided.push(noted(self.results, RESULTS, &request, &why.to_string()));
            if self.results == OnMisfit::Block {
                return self.refuse(request, "outputSchema", why, decided, inner);
            }
        }
        // What is wrong with the schema has been said.
        self.forward(request, inner, Ok(judged.output.unwrap_or_default()), decided)
    }

    /// Refuses a call that cannot be compared. What the upstream does not name may be so because its caller must connect.
    fn refuse(
        &self,
        request: Request,
        schema: &str,
        why: &Unusable,
        decided: Vec<Decided>,
        inner: &RouteService,
    ) -> Answered {
        let refusal = words::uncomparable(&request, schema, why);
        match why {
            Unusable::Unknown => self.chain_end.refuse_last(request, refusal, decided, inner),
            _ => with(refuse(&request, refusal), decided),
        }
    }

    fn forward(
        &self,
        request: Request,
        inner: &RouteService,
        schema: Result<Option<Arc<Schema>>, Unusable>,
        decided: Vec<Decided>,
    ) -> Answered {
        if self.results == OnMisfit::Off && decided.is_empty() {
            return inner.run(request);
        }
        let tool = tool(&request);
        let began = self.tasks.watch(Asker::of(&request), &tool);
        let results = self.results_of(&request, &tool, schema, Some(began));
        compared(request, inner, results, decided)
    }

    fn results_of(
        &self,
        request: &Request,
        tool: &str,
        schema: Result<Option<Arc<Schema>>, Unusable>,
        began: Option<Began>,
    ) -> Option<Results> {
        let is_task = began.is_none();
        (self.results != OnMisfit::Off).then(|| Results {
            tool: tool.into(),
            schema,
            mode: self.results,
            limits: Arc::clone(&self.limits),
            request_id: request.extensions().get::<Arrival>().map(|arrival| arrival.request_id),
            began,
            in_task: is_task && request.body().message().and_then(Message::method) == Some(&Method::GetTask),
            found: Arc::default(),
        })
    }

    /// The result of a task is one of the tool that it began with.
    fn task(self: &Arc<Self>, request: Request, inner: &RouteService) -> Answered {
        let asker = Asker::of(&request);
        let task = request.body().message().and_then(Message::target).map(|(_, task)| task).unwrap_or_default();
        let tool = self.tasks.tool(&asker, task);
        let (this, inner) = (Arc::clone(self), inner.clone());
        Box::pin(async move {
            let schema = match &tool {
                Some(tool) if this.except.contains(&**tool) => Ok(None),
                Some(tool) => match this.known.get(&asker, tool) {
                    Some(known) => Ok(known.output),
                    None => this.known.ask(&request, &inner, tool).await.map(|known| known.output),
                },
                None => Err(Unusable::Forgotten),
            };
            let results = this.results_of(&request, tool.as_deref().unwrap_or("a task"), schema, None);
            compared(request, &inner, results, Vec::new()).await
        })
    }
}

/// Learns from a list.
struct Lister {
    validation: Arc<Validation>,
    asker: Asker,
}

impl EditResult for Lister {
    const POLICY: &'static str = ArgumentValidation::NAME;

    fn result(&self, body: &[u8], answer: &Answer, _id: &str) -> Verdict {
        let learn = |_: &str, definition: &[u8]| {
            self.validation.known.learn(&self.asker, &serde_json::from_slice(definition).unwrap_or_default());
            Shown::AsItIs
        };
        let _ = listing::list(body, answer, ListKind::Tools, learn);
        Verdict::Keep
    }
}

/// The arguments of a call as they are written. The message has been read strictly, so there is one reading of them.
fn arguments(request: &Request) -> Result<&RawValue, Unusable> {
    #[derive(Deserialize)]
    struct Params<'a> {
        #[serde(borrow, default = "nothing")]
        arguments: &'a RawValue,
    }
    let params = request.body().message().and_then(Message::params).unwrap_or("{}");
    let params: Params<'_> =
        serde_json::from_str(params).map_err(|_| Unusable::Value("the call's parameters cannot be read"))?;
    Ok(params.arguments)
}

/// A call without arguments is one with none of them.
fn nothing() -> &'static RawValue {
    serde_json::from_str("{}").unwrap_or(RawValue::NULL)
}

fn noted(mode: OnMisfit, what: &'static str, request: &Request, why: &str) -> Decided {
    tracing::info!(rule = what, outcome = mode.outcome(), tool = ?tool(request), why, "argument-validation");
    mode.decided(what)
}

fn with(mut response: Response, decided: Vec<Decided>) -> Answered {
    Decisions::add(&mut response, decided);
    answered(response)
}
