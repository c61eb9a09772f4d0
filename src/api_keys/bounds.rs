//! Keys that are made with a key: none may do more than the one that makes it.

use portcullis_policies::kit::{clock::Timestamp, host::Identity};

use super::{Wish, record::note_maker};
use crate::store::ApiKeyRecord;

impl Wish {
    /// The same wish of somebody who has only a key: what is not said is as in that key. Otherwise what it would do beyond it.
    pub fn within(mut self, maker: &ApiKeyRecord, now: Timestamp) -> Result<Self, String> {
        let own = maker.identity().unwrap_or_default();
        let scopes: Vec<_> = maker.scopes().map(str::to_owned).collect();
        among("scope", &self.scopes, &scopes)?;
        among("group", &self.identity.groups, &own.groups)?;
        among("role", &self.identity.roles, &own.roles)?;
        self.identity.email = email(&self.identity, &own)?;
        self.routes = match (self.routes, maker.route_list()) {
            (Some(routes), Some(own)) => {
                among("route", &routes, &own)?;
                Some(routes)
            }
            (wanted, own) => wanted.or(own),
        };
        let left = maker.expires_at.map(|end| end.since(now));
        self.lasting = match (self.lasting, left) {
            (Some(lasting), Some(left)) => Some(lasting.min(left)),
            (lasting, left) => lasting.or(left),
        };
        note_maker(&mut self.identity, maker);
        Ok(self)
    }
}

fn among(what: &str, wanted: &[String], own: &[String]) -> Result<(), String> {
    match wanted.iter().find(|one| !own.contains(one)) {
        Some(beyond) => Err(format!("The key that makes it does not have the {what} {beyond:?}.")),
        None => Ok(()),
    }
}

fn email(wanted: &Identity, own: &Identity) -> Result<Option<String>, String> {
    if wanted.email.is_some() && wanted.email != own.email {
        return Err("The key that makes it has another e-mail address.".to_owned());
    }
    Ok(wanted.email.clone())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::api_keys::make;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn list(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    fn maker() -> ApiKeyRecord {
        let identity = Identity {
            email: Some("ops@example.com".to_owned()),
            groups: list(&["ops"]),
            roles: list(&["reader"]),
            ..Identity::default()
        };
        let (scopes, routes) = (list(&["keys:write", "audit:read"]), Some(list(&["/api/v1", "/mcp"])));
        make(Wish { name: "maker".to_owned(), identity, scopes, routes, lasting: Some(Duration::from_hours(10)) }, NOW)
            .record
    }

    #[test]
    fn sec_a_key_makes_keys_that_may_do_less_and_none_that_may_do_more() {
        let (maker, wish) = (maker(), || Wish { scopes: list(&["audit:read"]), ..Wish::default() });
        let less = wish().within(&maker, NOW).unwrap();
        assert_eq!(less.routes, Some(list(&["/api/v1", "/mcp"])), "a key that is bound makes none that is not");
        assert_eq!(less.lasting, Some(Duration::from_hours(10)));
        let (identity, groups) = (Identity::default(), |group| list(&[group]));
        let more = [
            Wish { scopes: list(&["approvals:decide"]), ..wish() },
            Wish { routes: Some(list(&["/other"])), ..wish() },
            Wish { identity: Identity { groups: groups("admins"), ..identity.clone() }, ..wish() },
            Wish { identity: Identity { roles: groups("writer"), ..identity.clone() }, ..wish() },
            Wish { identity: Identity { email: Some("boss@example.com".to_owned()), ..identity }, ..wish() },
        ];
        for wish in more {
            assert!(wish.clone().within(&maker, NOW).is_err(), "{wish:?}");
        }
        let longer = Wish { lasting: Some(Duration::from_hours(100)), ..wish() };
        assert_eq!(longer.within(&maker, NOW).unwrap().lasting, Some(Duration::from_hours(10)));
    }

    #[test]
    fn keys_that_made_each_other_are_one_program() {
        let maker = maker();
        let child = make(Wish::default().within(&maker, NOW).unwrap(), NOW).record;
        let grandchild = make(Wish::default().within(&child, NOW).unwrap(), NOW).record;
        assert_eq!((child.root(), grandchild.root()), (maker.root(), maker.subject()));
        assert_ne!(make(Wish::default(), NOW).record.root(), maker.root());
    }
}
