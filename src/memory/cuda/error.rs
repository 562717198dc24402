//! What can go wrong on the way to a card, and what to do about it.

/// What can go wrong on the way to a card.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CudaError {
    /// The program was built without the engine for cards.
    #[error("this program was built without the engine for cards: build it with --features gpu, or use --device cpu")]
    NotBuilt,
    /// No NVIDIA driver.
    #[error("no NVIDIA driver was found (libcuda.so.1): install the driver of the card, or use --device cpu")]
    NoDriver,
    /// A driver that sees no card.
    #[error("the NVIDIA driver sees no card{}: check nvidia-smi and CUDA_VISIBLE_DEVICES, or use --device cpu", because(.0))]
    NoCard(String),
    /// A card that is not there.
    #[error("there is no card {ordinal}: this machine has {count} (numbered from 0); choose another with --device cuda:N")]
    UnknownCard {
        /// The card asked for.
        ordinal: usize,
        /// Cards there are.
        count: usize,
    },
    /// A card, or a driver, that is too old.
    #[error("{0}; use --device cpu, or another card")]
    TooOld(String),
    /// No NVRTC library.
    #[error(
        "the kernels cannot be compiled because NVRTC was not found (libnvrtc.so.13 or .12): install the CUDA toolkit or `pip install \
         nvidia-cuda-nvrtc`, and put the folder that holds the library into LD_LIBRARY_PATH; or use --device cpu"
    )]
    NoCompiler,
    /// A kernel that NVRTC refuses.
    #[error("kernel '{kernel}' does not compile with {options}: {log}")]
    Compile {
        /// Its name.
        kernel: &'static str,
        /// What it was compiled with: the card's architecture, and the kernel's macros.
        options: String,
        /// What the compiler said.
        log: String,
    },
    /// Not enough memory on the card. Nothing was allocated.
    #[error("{what} needs {} of card {card}, of which {} are free: {advice}", bytes(*.needed), bytes(*.free))]
    OutOfMemory {
        /// What was to be kept.
        what: String,
        /// Which card.
        card: usize,
        /// Bytes needed.
        needed: u64,
        /// Bytes free.
        free: u64,
        /// What to do.
        advice: String,
    },
    /// A recurrence the card's kernels do not take.
    #[error("{0}; use --device cpu")]
    Unsupported(String),
    /// Arrays that do not fit one another.
    #[error("{0}")]
    Shape(String),
    /// The driver reports an error.
    #[error("card {card}: {doing} failed: {message}")]
    Driver {
        /// Which card.
        card: usize,
        /// What was being done.
        doing: &'static str,
        /// What the driver says.
        message: String,
    },
}

fn because(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(" ({reason})") }
}

/// A number of bytes as people read it: `34.4 GB` (1e9 bytes).
pub fn bytes(n: u64) -> String {
    match n {
        0..1_000 => format!("{n} B"),
        1_000..1_000_000 => format!("{:.1} kB", n as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", n as f64 / 1e6),
        _ => format!("{:.1} GB", n as f64 / 1e9),
    }
}
