//! Publishes tasks to ROH and waits for their replies.
fn main() {}
