//! The role's policy is just what the program needs: nothing it does is denied, and nothing it may do is unused.
