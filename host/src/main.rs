//! The `roh` command. All of it is in the library.

fn main() -> std::process::ExitCode {
    roh::cli::main()
}
