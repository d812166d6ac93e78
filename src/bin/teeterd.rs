//! The daemon `teeterd`. Its code is in the library.

fn main() -> std::process::ExitCode {
    teeter::daemon::main()
}
