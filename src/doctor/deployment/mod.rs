//! The deployment of a configuration: the file, this machine, and the servers that the file names.
//!
//! ```text
//! configuration ┬ key → store → clock                       this machine
//!               ├ address → certificate → routes            what clients meet
//!               └ providers → upstreams → filters → policies   what the gateway asks
//! ```
//!
//! It makes no file, no key and no table, registers no client, and calls no tool.

mod address;
mod case;
mod certificate;
mod clock;
mod configuration;
mod filters;
mod key;
mod policies;
mod providers;
mod routes;
mod sign_in;
mod store;
mod upstreams;

pub(super) use self::case::Deployment;
use self::case::Fact;
use super::check::Check;

/// The checks, from the file outwards. A new one is a line here and a function.
pub(super) const ALL: &[Check<Deployment>] = &[
    Check { name: "config", question: "Can the configuration run?", needs: &[], run: configuration::problems },
    Check {
        name: "key",
        question: "Is the store's key there, and the right one?",
        needs: &[Fact::Plan, Fact::NeedOfStore],
        run: key::fits,
    },
    Check {
        name: "store",
        question: "Can the store be read and written to?",
        needs: &[Fact::Plan, Fact::NeedOfStore],
        run: store::usable,
    },
    Check {
        name: "clock",
        question: "Does this machine's clock agree with others?",
        needs: &[Fact::Plan],
        run: clock::agrees,
    },
    Check {
        name: "address",
        question: "Is the public URL one that clients can use?",
        needs: &[Fact::Plan],
        run: address::usable,
    },
    Check {
        name: "certificate",
        question: "Are the gateway's certificate and key good?",
        needs: &[Fact::Plan],
        run: certificate::good,
    },
    Check {
        name: "routes",
        question: "Does each route answer at its public URL?",
        needs: &[Fact::Plan],
        run: routes::answer,
    },
    Check {
        name: "provider",
        question: "Do the identity providers say what signing in takes?",
        needs: &[Fact::Plan],
        run: providers::usable,
    },
    Check {
        name: "upstream",
        question: "Do the upstreams answer as the gateway asks them?",
        needs: &[Fact::Plan],
        run: upstreams::answer,
    },
    Check {
        name: "filter",
        question: "Does each filter name what its upstream has?",
        needs: &[Fact::Plan, Fact::Offers],
        run: filters::fit,
    },
    Check {
        name: "policy",
        question: "Can the policies do their work here?",
        needs: &[Fact::Plan],
        run: policies::work,
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
