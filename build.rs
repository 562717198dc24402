//! Tells the program which revision of its source it was built from.

use std::process::Command;

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

fn main() {
    println!("cargo::rerun-if-env-changed=PENTIMENTO_REVISION");
    // HEAD's reflog grows with every commit and checkout, also in linked worktrees.
    if let Some(path) = git(&["rev-parse", "--git-path", "logs/HEAD"]) {
        println!("cargo::rerun-if-changed={path}");
    }
    let revision = std::env::var("PENTIMENTO_REVISION").ok().or_else(|| git(&["rev-parse", "--short=12", "HEAD"]));
    println!("cargo::rustc-env=PENTIMENTO_REVISION={}", revision.unwrap_or_else(|| "unknown".to_owned()));
}
