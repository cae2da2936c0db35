//! The causes of an error: `io::Error` and the SDK's own wrappers keep what caused them as a source, however deep.

use std::error::Error;

/// An error and its causes, outermost first.
pub(crate) fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    // The SDK's chains are a handful deep; the bound is for a cycle that should not be there.
    std::iter::successors(Some(error), |error| (*error).source()).take(16)
}

/// The first error of type `T` among them.
pub(crate) fn find<'e, T: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e T> {
    causes(error).find_map(|error| error.downcast_ref())
}
