//! The `pentimento` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    #[cfg(feature = "record")]
    // SAFETY: no other thread is running yet.
    unsafe {
        pentimento::model::share_one_pool();
    }
    pentimento::cli::main()
}
