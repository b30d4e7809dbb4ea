//! The program.

use std::process::ExitCode;

fn main() -> ExitCode {
    cms_edge::cli::main()
}
