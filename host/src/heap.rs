//! This process' heap: what is free of it goes back to the system.

/// Gives back all that is free. It takes a while where much is, so a thread of its own does it; who
/// allocates from the very heap that it is at waits for that. By itself the GNU C library gives back
/// what is free at the end of a heap, of which threads have their own: one small block that stays there
/// keeps all before it. Other libraries are left to themselves.
pub(crate) fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        let trim = || {
            // SAFETY: it takes the heaps' locks, and touches only what is free.
            #[expect(unsafe_code, reason = "no library has it")]
            unsafe {
                libc::malloc_trim(0);
            }
        };
        // Without a thread for it, it stays.
        let _ = std::thread::Builder::new().name("roh-heap".into()).spawn(trim);
    }
}
