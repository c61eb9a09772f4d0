//! What an upstream asks in the middle of a call, asked of the client.

use portcullis_policies::kit::{
    refusal::{Reason, Refusal},
    reply::Event,
};
use serde_json::json;
use tokio::time::{Instant, timeout_at};

use super::{
    call::Call,
    incoming::{InputRequired, Question, lacking},
    questions::Pending,
};
use crate::proxy::bridge::{object::Object, told::Teller};

/// How many questions an upstream may have at once.
const QUESTIONS: usize = 16;

impl Call {
    /// Asks the client everything at once, and gives its answers as JSON text.
    pub(super) async fn inquire(&self, input: &InputRequired, teller: &Teller) -> Result<Option<String>, Refusal> {
        if input.questions.is_empty() {
            return Ok(None);
        }
        if input.questions.len() > QUESTIONS {
            let why = format!("The upstream asks more than {QUESTIONS} questions at once.");
            return Err(Refusal::new(Reason::UpstreamInvalid, why));
        }
        let lacks =
            input.questions.iter().find_map(|(_, question)| self.client.lacks(&question.method, &question.params));
        if let Some(lacks) = lacks {
            return Err(lacking(lacks));
        }
        let mut pending = Vec::new();
        for (name, question) in &input.questions {
            let asked = self.rooms().questions.ask(&self.client.session, self.forward.shared().node())?;
            teller.tell(Event::message(self.put(question, &asked).as_bytes())).await;
            pending.push((name, question, asked));
        }
        let deadline = Instant::now() + self.forward.upstream().clocks.input;
        let mut answers = Object::default();
        for (name, question, mut asked) in pending {
            let answer = self.patiently(teller, timeout_at(deadline, asked.answer())).await;
            let answer = answer.map_err(|_| Refusal::from(Reason::NoInput))?;
            answers.set(name, answer.map_err(|why| declined(question, &why))?);
        }
        Ok(Some(answers.to_json()))
    }

    /// A question, as a request in the words of the client's revision.
    fn put(&self, Question { method, params }: &Question, asked: &Pending) -> String {
        let mut params = params.clone();
        if method == "elicitation/create" {
            match params["mode"].as_str() {
                // Since 2026-07-28 nothing refers to an elicitation by an id of its own.
                Some("url") if params["elicitationId"].is_null() => params["elicitationId"] = (*asked.id).into(),
                Some(_) if !self.client.knows_pages() => {
                    params.as_object_mut().map(|params| params.remove("mode"));
                }
                _ => {}
            }
        }
        let mut request = json!({ "jsonrpc": "2.0", "id": asked.id, "method": method });
        if params.is_object() {
            request["params"] = params;
        }
        request.to_string()
    }
}

/// The client answered with an error, for which upstreams have no place.
fn declined(Question { method, .. }: &Question, why: &str) -> Refusal {
    Refusal::new(Reason::NoInput, format!("The client did not answer `{method}`: {why}."))
}
