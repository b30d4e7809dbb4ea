//! The program.

use std::process::ExitCode;

/// A hit that Redis serves allocates some twenty times: it takes 4 % less CPU than with the system's,
/// and memory that is freed in another order than it was taken is given back.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    cms_edge::cli::main()
}
