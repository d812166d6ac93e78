//! The command `teeter`. Its code is in the library.

fn main() -> std::process::ExitCode {
    teeter::cli::main()
}
