//! Whether the libraries that are opened at run time are there, asked before anything calls into them.

use std::sync::OnceLock;

/// Whether one of these libraries can be opened.
fn any(names: &[&str]) -> bool {
    // SAFETY: NVIDIA's libraries, whose initialisers do nothing but set themselves up.
    names.iter().any(|name| unsafe { libloading::Library::new(*name) }.is_ok())
}

/// The driver's library.
pub(super) fn has_driver() -> bool {
    static PRESENT: OnceLock<bool> = OnceLock::new();
    *PRESENT.get_or_init(|| any(&["libcuda.so", "libcuda.so.1", "nvcuda.dll"]))
}

/// NVRTC, under the names the bindings look for.
pub(super) fn has_compiler() -> bool {
    static PRESENT: OnceLock<bool> = OnceLock::new();
    *PRESENT.get_or_init(|| any(&["libnvrtc.so", "libnvrtc.so.13", "libnvrtc.so.12", "nvrtc64_130_0.dll", "nvrtc64_12.dll"]))
}
