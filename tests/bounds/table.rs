//! docs/bounds.md and the tree say the same: each constant is where the page says, with that value, and each test is there.
