//! Comparing secrets.

use aws_lc_rs::constant_time::verify_slices_are_equal;

/// Compares in the same time wherever the difference is.
pub(super) fn is_same(shown: &str, expected: &str) -> bool {
    verify_slices_are_equal(shown.as_bytes(), expected.as_bytes()).is_ok()
}
