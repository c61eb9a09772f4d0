//! Which clients a route serves, what its upstream speaks, and what gets lost between the two.

use serde_json::{Value, json};

use crate::{
    config::Era,
    proxy::{Direction, cannot},
    upstreams::catalogue::Eras,
};

/// Between a route's clients and its upstream.
pub(super) struct Translation {
    era: Era,
    /// None if the upstream was not asked, or is not there.
    upstream: Option<Eras>,
}

impl Translation {
    pub(super) fn new(era: Era, upstream: Option<Eras>) -> Self {
        // One that answers neither question says nothing about what it speaks.
        Self { era, upstream: upstream.filter(|eras| eras.legacy || eras.modern) }
    }

    pub(super) fn print(&self) {
        println!("    serves {}", self.serves());
        if let Some(eras) = self.upstream {
            println!("    speaks MCP {}", spoken(eras).join(", and "));
        }
        for direction in self.directions() {
            println!("    {}, but for", name(direction));
            for what in cannot(direction) {
                println!("      - {what}");
            }
        }
    }

    /// Members of the route's own object.
    pub(super) fn to_json(&self) -> [(&'static str, Value); 3] {
        let spoken = self.upstream.map(|eras| {
            let names = [("legacy", eras.legacy), ("modern", eras.modern)];
            names.into_iter().filter(|(_, speaks)| *speaks).map(|(name, _)| name).collect::<Vec<_>>()
        });
        let lost = self.directions().into_iter().map(|direction| (key(direction).to_owned(), json!(cannot(direction))));
        [
            ("era", self.era.name().into()),
            ("upstreamEras", spoken.into()),
            ("notTranslated", Value::Object(lost.collect())),
        ]
    }

    fn serves(&self) -> &'static str {
        match self.era {
            Era::Both => "clients of MCP 2025-03-26 to 2026-07-28, whichever of them the upstream speaks",
            Era::Upstream => "clients that speak as the upstream does: nothing is translated",
            Era::Legacy => "clients with sessions (MCP 2025-03-26 to 2025-11-25), and refuses others",
            Era::Modern => "clients of MCP 2026-07-28, and refuses others",
        }
    }

    /// Who is, or may have to be, translated for.
    fn directions(&self) -> Vec<Direction> {
        let lacks = |speaks: fn(&Eras) -> bool| self.upstream.as_ref().is_none_or(|eras| !speaks(eras));
        let mut directions = Vec::new();
        if matches!(self.era, Era::Both | Era::Modern) && lacks(|eras| eras.modern) {
            directions.push(Direction::ModernClient);
        }
        if matches!(self.era, Era::Both | Era::Legacy) && lacks(|eras| eras.legacy) {
            directions.push(Direction::LegacyClient);
        }
        directions
    }
}

fn spoken(eras: Eras) -> Vec<&'static str> {
    let names = [("up to 2025-11-25, with sessions", eras.legacy), ("2026-07-28", eras.modern)];
    names.into_iter().filter(|(_, speaks)| *speaks).map(|(name, _)| name).collect()
}

fn name(direction: Direction) -> &'static str {
    match direction {
        Direction::ModernClient => "clients of 2026-07-28 are translated for, where it has only sessions",
        Direction::LegacyClient => "clients with sessions are translated for, where it has none",
    }
}

fn key(direction: Direction) -> &'static str {
    match direction {
        Direction::ModernClient => "modernClients",
        Direction::LegacyClient => "legacyClients",
    }
}
