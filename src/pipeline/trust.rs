//! Which certificates other servers may show.

use std::path::Path;

use portcullis_policies::kit::policy::Problem;

use crate::{
    config::{FetchOptions, Pointer, Surroundings},
    fetch::Roots,
    proxy::Trust,
};

/// For upstreams: the system's roots, or Mozilla's where the system has none, and those of `files`.
pub(super) fn trust(files: &[String], surroundings: &Surroundings<'_>, at: &Pointer) -> Result<Trust, Vec<Problem>> {
    let roots = with_files(Roots::of_system(), files, surroundings, at)?;
    Ok(Trust::new(roots.client_config()))
}

/// For upstreams without TLS: nothing is trusted and nothing is read from the system.
pub(super) fn no_trust() -> Trust {
    Trust::new(Roots::none().client_config())
}

/// For what the gateway fetches: the system's roots and those of `gateway.fetch.roots`.
///
/// # Errors
///
/// A problem for each file that gives none.
pub fn fetch_roots(options: &FetchOptions, surroundings: &Surroundings<'_>) -> Result<Roots, Vec<Problem>> {
    with_files(Roots::of_system(), &options.roots, surroundings, &at_fetch_roots())
}

/// What [`fetch_roots`] would find wrong, without reading the system's roots.
pub(super) fn fetch_problems(options: &FetchOptions, surroundings: &Surroundings<'_>) -> Vec<Problem> {
    with_files(Roots::none(), &options.roots, surroundings, &at_fetch_roots()).err().unwrap_or_default()
}

fn at_fetch_roots() -> Pointer {
    Pointer::root().join("gateway").join("fetch").join("roots")
}

fn with_files(
    mut roots: Roots,
    files: &[String],
    surroundings: &Surroundings<'_>,
    at: &Pointer,
) -> Result<Roots, Vec<Problem>> {
    let mut problems = Vec::new();
    for (index, file) in files.iter().enumerate() {
        if let Err(why) = add_file(&mut roots, file, surroundings) {
            problems.push(Problem::new(at.join(index), why).hint("give a PEM file with certificates of authorities"));
        }
    }
    if problems.is_empty() { Ok(roots) } else { Err(problems) }
}

fn add_file(roots: &mut Roots, file: &str, surroundings: &Surroundings<'_>) -> Result<(), String> {
    let pem = (surroundings.file)(Path::new(file)).map_err(|error| format!("{file} cannot be read: {error}"))?;
    roots.add_pem(&pem).map_err(|bad| format!("{file} {bad}"))
}
