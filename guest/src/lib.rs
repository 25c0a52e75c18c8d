//! The Python interpreter inside an instance.
