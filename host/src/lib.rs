//! ROH: a distributed Python task manager.
