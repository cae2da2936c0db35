//! The packages: what is in them, where they run, and what an install, an upgrade and a removal do.
