//! The daemon `teeterd`.

fn main() -> std::process::ExitCode {
    teeter::daemon::main()
}
