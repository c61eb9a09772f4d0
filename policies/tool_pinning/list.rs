//! What becomes of lists.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    Pinning, ToolPinning, decided,
    judge::{Fault, Why, judge},
    options::OnDifference,
    seen::{Present, Seen},
};
use crate::kit::{
    answers::{Edit, EditResult, Verdict},
    chain::{Answer as Answered, Request, RouteService, then},
    decision::Undecided,
    definitions::Asker,
    json::Flaw,
    listing::{self, ListKind, Rewritten, Shown},
    pins::{Pinned, Sighting},
    policy::Policy,
    reply::Answer,
};

/// Asks for the list, and leaves out of it what is not good.
pub(super) fn listed(
    pinning: &Arc<Pinning>,
    request: Request,
    inner: &RouteService,
    upstream: Arc<str>,
    pinned: Arc<Pinned>,
) -> Answered {
    let undecided = Undecided::default();
    let lister = Lister {
        pinning: Arc::clone(pinning),
        asker: Asker::of(&request),
        upstream,
        pinned,
        undecided: undecided.clone(),
    };
    let edit = Edit::of(&request, |_| Some(lister));
    let answer = inner.run(request);
    match edit {
        Some(edit) => then(answer, |response| {
            let mut response = edit.response(response);
            undecided.join(&mut response);
            response
        }),
        None => answer,
    }
}

/// What a list becomes.
struct Lister {
    pinning: Arc<Pinning>,
    asker: Asker,
    upstream: Arc<str>,
    pinned: Arc<Pinned>,
    undecided: Undecided,
}

/// One page, while it is looked through.
#[derive(Default)]
struct Look {
    tools: BTreeMap<String, Present>,
    sightings: Vec<Sighting>,
    faults: Vec<Fault>,
}

impl EditResult for Lister {
    const POLICY: &'static str = ToolPinning::NAME;

    fn result(&self, body: &[u8], answer: &Answer, _id: &str) -> Verdict {
        let mut look = Look::default();
        let mut rewritten = self.look(body, answer, &mut look, &BTreeSet::new());
        // What stands there twice has been shown once before that is known.
        let several = look.tools.iter().filter(|(_, present)| matches!(present, Present::Several));
        let several: BTreeSet<_> = several.map(|(name, _)| name.clone()).collect();
        if !several.is_empty() {
            look = Look::default();
            rewritten = self.look(body, answer, &mut look, &several);
        }
        self.tell(look, several);
        Verdict::with_result(body, answer, rewritten.map(|rewritten| rewritten.result))
    }
}

impl Lister {
    fn look(
        &self,
        body: &[u8],
        answer: &Answer,
        look: &mut Look,
        several: &BTreeSet<String>,
    ) -> Result<Rewritten, Flaw> {
        listing::list(body, answer, ListKind::Tools, |name, definition| {
            if self.pinning.options.except_tools.contains(name) {
                return Shown::AsItIs;
            }
            if several.contains(name) {
                return Shown::Not;
            }
            self.item(name, definition, look)
        })
    }

    fn item(&self, name: &str, definition: &[u8], look: &mut Look) -> Shown<'static> {
        let Some(seen) = self.pinning.reading.written(definition) else {
            look.faults.push(Fault { why: Why::Unknown, then: OnDifference::Block });
            return Shown::Not;
        };
        if let Some(before) = look.tools.remove(name) {
            look.tools.insert(name.to_owned(), before.and(&seen));
            return Shown::Not;
        }
        let is_shown = self.one(name, definition, &seen, look);
        look.tools.insert(name.to_owned(), Present::One(seen));
        if is_shown { Shown::AsItIs } else { Shown::Not }
    }

    fn one(&self, name: &str, definition: &[u8], seen: &Seen, look: &mut Look) -> bool {
        let (pinning, pin) = (&self.pinning, self.pinned.tools.get(name));
        let present = Present::One(seen.clone());
        let kept = || pinning.reading.kept(name, &serde_json::from_slice(definition).ok()?);
        look.sightings.extend(pinning.sighting(&self.upstream, name, pin, &present, kept));
        let fault = judge(&pinning.options, pin, Some(&present));
        look.faults.extend(fault);
        fault.is_none_or(Fault::passes)
    }

    fn tell(&self, look: Look, several: BTreeSet<String>) {
        for (name, present) in &look.tools {
            self.pinning.known.note(&self.asker, name, present.clone());
        }
        if !look.sightings.is_empty() {
            self.pinning.pins.note(&self.upstream, look.sightings);
        }
        for fault in look.faults {
            self.undecided.note(decided(fault));
        }
        for name in several {
            tracing::warn!(upstream = &*self.upstream, tool = ?name, "{}: it stands in one list with several definitions", Self::POLICY);
            self.pinning.known.note(&self.asker, &name, Present::Several);
            self.undecided.note(decided(Fault { why: Why::Ambiguous, then: OnDifference::Block }));
        }
    }
}
