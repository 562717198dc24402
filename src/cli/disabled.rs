//! What stands in for a sub-command whose feature is off: it says what to rebuild with.

#[allow(unused_macros, reason = "with every feature on, nothing is disabled")]
macro_rules! disabled {
    ($module:ident, $feature:literal, $($arguments:ident => $run:ident),+) => {
        pub mod $module {
            #![allow(dead_code, reason = "several sub-commands share one stand-in")]
            $(
                /// Anything: this build lacks the sub-command.
                #[derive(clap::Args, Default)]
                #[command(disable_help_flag = true)]
                pub struct $arguments {
                    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
                    rest: Vec<String>,
                }

                pub fn $run(_: $arguments) -> anyhow::Result<()> {
                    anyhow::bail!(concat!("this build has no `", $feature, "` feature, which the command needs: rebuild with `cargo build --release --features ", $feature, "`"))
                }
            )+
        }
    };
}

#[cfg(not(feature = "app"))]
disabled!(app, "app", Arguments => run);
#[cfg(not(feature = "experiment"))]
disabled!(experiment, "experiment", Arguments => run);
#[cfg(not(feature = "record"))]
disabled!(record, "record", Arguments => run, ModelsArguments => models, ParamsArguments => params);
#[cfg(not(feature = "probe"))]
disabled!(probe, "probe", Arguments => run, StatsArguments => stats, MergeArguments => merge, SolveArguments => solve);
#[cfg(not(feature = "figure"))]
disabled!(figure, "figure", Arguments => run);

/// What `knockout --model` says without models.
#[cfg(not(feature = "record"))]
pub mod network {
    pub fn run(_: &super::super::knockout::WithModel) -> anyhow::Result<()> {
        anyhow::bail!("this build has no `record` feature, which --model needs: rebuild with `cargo build --release --features record`")
    }
}

/// A part of `bench`.
#[cfg(not(feature = "record"))]
pub mod bench_model {
    pub fn run(_device: &crate::memory::Device, _seed: u64, _json: bool) -> anyhow::Result<()> {
        anyhow::bail!(
            "this build has no `record` feature, which `bench model` needs: rebuild with `cargo build --release --features record`"
        )
    }
}

/// A part of `bench`.
#[cfg(not(feature = "app"))]
pub mod bench_app {
    pub fn run(_quick: bool, _json: bool) -> anyhow::Result<()> {
        anyhow::bail!("this build has no `app` feature, which `bench app` needs: rebuild with `cargo build --release --features app`")
    }
}

/// What figures of results say without experiments.
#[cfg(all(feature = "figure", not(feature = "experiment")))]
pub mod figure_results {
    use super::super::figure_source::Part;
    use crate::export::Table;
    use crate::figure::{Figure, Options};

    /// Nothing: this build reads no results.
    pub enum Opened {}

    impl Opened {
        pub fn results(_: serde_json::Value) -> anyhow::Result<Self> {
            anyhow::bail!(
                "this build has no `experiment` feature, which results need: rebuild with `cargo build --release --features experiment`"
            )
        }

        pub fn cards(_: &str, value: serde_json::Value) -> anyhow::Result<Self> {
            Self::results(value)
        }

        pub fn parts(&self, _: Figure, _: &Options, _: &[String]) -> anyhow::Result<Vec<Part>> {
            match *self {}
        }

        pub fn tables(&self) -> Vec<(&'static str, Table)> {
            match *self {}
        }

        pub fn programme(&self) -> Vec<(Figure, Options)> {
            match *self {}
        }
    }
}
