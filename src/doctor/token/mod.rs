//! An access token: what it says, what the routes of this gateway expect, and where the two differ.
//!
//! Nothing is asked over the network unless that is wanted, and then only the issuer's keys. Neither the token nor its
//! signature is shown.

mod case;
mod expected;
mod route;
mod said;
mod signature;
mod text;

use self::case::Fact;
pub(super) use self::case::Token;
pub use self::expected::Expectations;
use super::check::Check;

/// The checks, from the token's form to its signature.
pub(super) const ALL: &[Check<Token>] = &[
    Check { name: "form", question: "Is it a JWT?", needs: &[], run: text::form },
    Check { name: "claims", question: "What does it say?", needs: &[Fact::Said], run: text::claims },
    Check { name: "times", question: "Is it good at this moment?", needs: &[Fact::Said], run: text::times },
    Check { name: "kind", question: "Is it an access token?", needs: &[Fact::Said], run: text::kind },
    Check {
        name: "route",
        question: "Is it what a route of this gateway expects?",
        needs: &[Fact::Jwt, Fact::Routes],
        run: route::fits,
    },
    Check {
        name: "signature",
        question: "Is it signed with a key of its issuer?",
        needs: &[Fact::Jwt, Fact::Routes, Fact::Online],
        run: signature::verified,
    },
];

#[cfg(test)]
mod tests {
    use super::{super::check::assert_is_a_list, ALL};

    #[test]
    fn each_check_has_a_name_and_a_question_of_its_own() {
        assert_is_a_list(ALL);
    }
}
