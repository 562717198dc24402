//! From the embedded source to a function on the card: NVRTC at first use, then the cache in the user's folder.

use std::collections::HashMap;
use std::ffi::CString;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use cudarc::driver::{CudaContext, CudaFunction, CudaModule, sys::CUfunction_attribute_enum};
use cudarc::nvrtc::{Ptx, result as nvrtc, sys};

use super::error::CudaError;

/// One kernel and what it is compiled with.
pub(super) struct Kernel {
    /// The function's name in its source.
    pub name: &'static str,
    pub source: &'static str,
    /// Macros of the source.
    pub defines: Vec<(&'static str, usize)>,
    /// Bytes of shared memory a block gets.
    pub shared_bytes: usize,
}

const COMMON: &str = include_str!("common.cu");

impl Kernel {
    fn options(&self, architecture: &str) -> Vec<String> {
        let defines = self.defines.iter().map(|(name, value)| format!("-D{name}={value}"));
        // Products and sums stay as written where the source says so; elsewhere the compiler may fuse them.
        [format!("--gpu-architecture={architecture}"), "--std=c++17".to_owned(), "--extra-device-vectorization".to_owned()]
            .into_iter()
            .chain(defines)
            .collect()
    }

    /// The whole text that is compiled.
    fn text(&self) -> String {
        format!("{COMMON}\n{}", self.source)
    }

    fn defines_in_words(&self) -> String {
        self.defines.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
    }
}

type Key = (usize, &'static str, String);

/// By context, kernel and macros.
type Functions = HashMap<Key, (CudaFunction, Arc<CudaModule>)>;

/// Functions that were loaded.
static LOADED: LazyLock<Mutex<Functions>> = LazyLock::new(Mutex::default);

/// One lock per function that is being made, so that nobody compiles what another thread is compiling.
static IN_WORK: LazyLock<Mutex<HashMap<Key, Arc<Mutex<()>>>>> = LazyLock::new(Mutex::default);

fn loaded(key: &Key) -> Option<CudaFunction> {
    LOADED.lock().unwrap_or_else(PoisonError::into_inner).get(key).map(|(function, _)| function.clone())
}

/// The function, compiled if it never was, ready for its shared memory.
pub(super) fn function(context: &Arc<CudaContext>, architecture: &str, kernel: &Kernel) -> Result<CudaFunction, CudaError> {
    let key = (context.cu_ctx() as usize, kernel.name, kernel.defines_in_words());
    if let Some(function) = loaded(&key) {
        return Ok(function);
    }
    let own = IN_WORK.lock().unwrap_or_else(PoisonError::into_inner).entry(key.clone()).or_default().clone();
    let _own = own.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(function) = loaded(&key) {
        return Ok(function);
    }
    let binary = binary(architecture, kernel)?;
    let failed = |doing| super::driver_error(context, doing);
    let module = context.load_module(Ptx::from_binary(binary)).map_err(failed("loading a kernel"))?;
    let function = module.load_function(kernel.name).map_err(failed("finding a kernel"))?;
    if kernel.shared_bytes > 48 * 1024 {
        function
            .set_attribute(CUfunction_attribute_enum::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, kernel.shared_bytes as i32)
            .map_err(failed("asking for shared memory"))?;
    }
    LOADED.lock().unwrap_or_else(PoisonError::into_inner).insert(key, (function.clone(), module));
    Ok(function)
}

/// Machine code of a kernel, from the cache if it is there.
pub(super) fn binary(architecture: &str, kernel: &Kernel) -> Result<Vec<u8>, CudaError> {
    made(&Program { name: kernel.name, text: &kernel.text(), options: &kernel.options(architecture) })
}

/// Machine code of CUDA C++ that is none of the engine's, for an architecture (`sm_90`), without a card; from the cache if it is there.
///
/// # Errors
/// If there is no compiler, or it refuses the text.
pub fn machine_code(name: &'static str, text: &str, architecture: &str) -> Result<Vec<u8>, CudaError> {
    let options = [format!("--gpu-architecture={architecture}"), "--std=c++17".to_owned()];
    made(&Program { name, text, options: &options })
}

/// What is compiled.
struct Program<'a> {
    name: &'static str,
    text: &'a str,
    options: &'a [String],
}

/// From the cache, or compiled and kept there.
fn made(asked: &Program<'_>) -> Result<Vec<u8>, CudaError> {
    if !super::libraries::has_compiler() {
        return Err(CudaError::NoCompiler);
    }
    let cached = cache_file(asked);
    if let Some(binary) = cached.as_ref().and_then(|file| std::fs::read(file).ok()).filter(|binary| !binary.is_empty()) {
        return Ok(binary);
    }
    let binary = compile(asked)?;
    if let Some(file) = cached {
        // A cache that cannot be written only costs time.
        let _ = keep(&file, &binary);
    }
    Ok(binary)
}

/// Written whole or not at all, whoever else writes it.
fn keep(file: &std::path::Path, binary: &[u8]) -> std::io::Result<()> {
    let folder = file.parent().unwrap_or(file);
    std::fs::create_dir_all(folder)?;
    let mut part = tempfile::NamedTempFile::new_in(folder)?;
    part.write_all(binary)?;
    part.persist(file)?;
    Ok(())
}

/// `XDG_CACHE_HOME` or `~/.cache`, then `pentimento/cuda/DIGEST.cubin`.
fn cache_file(asked: &Program<'_>) -> Option<PathBuf> {
    let folder = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|folder| folder.is_absolute())
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))?;
    let mut version = (0, 0);
    // SAFETY: the library is there (see `binary`), and both numbers are ours.
    unsafe { sys::nvrtcVersion(&raw mut version.0, &raw mut version.1) }.result().ok()?;
    let mut digest = blake3::Hasher::new();
    digest.update(format!("{version:?}").as_bytes());
    for option in asked.options {
        digest.update(option.as_bytes()).update(b"\0");
    }
    digest.update(asked.text.as_bytes());
    Some(folder.join("pentimento").join("cuda").join(format!("{}.cubin", digest.finalize().to_hex())))
}

fn compile(asked: &Program<'_>) -> Result<Vec<u8>, CudaError> {
    let failed = |log: String| CudaError::Compile { kernel: asked.name, options: asked.options.join(" "), log };
    let source = CString::new(asked.text).map_err(|error| failed(error.to_string()))?;
    let name = CString::new(format!("{}.cu", asked.name)).map_err(|error| failed(error.to_string()))?;
    let program = nvrtc::create_program(&source, Some(&name)).map_err(|error| failed(error.to_string()))?;
    // SAFETY: the program was just made, and is destroyed once, below.
    unsafe {
        let compiled = nvrtc::compile_program(program, asked.options).map_err(|error| {
            let log = nvrtc::get_program_log(program).unwrap_or_default();
            let log: Vec<u8> = log.into_iter().map(|c| c as u8).take_while(|&c| c != 0).collect();
            failed(format!("{error}: {}", String::from_utf8_lossy(&log)))
        });
        let binary = compiled.and_then(|()| machine_code_in(program).map_err(|error| failed(error.to_string())));
        let _ = nvrtc::destroy_program(program);
        binary
    }
}

/// # Safety
/// The program was compiled and not destroyed.
unsafe fn machine_code_in(program: sys::nvrtcProgram) -> Result<Vec<u8>, nvrtc::NvrtcError> {
    let mut size = 0;
    // SAFETY: as the caller's; the buffer has the size the library asks for.
    unsafe {
        sys::nvrtcGetCUBINSize(program, &raw mut size).result()?;
        let mut code = vec![0_u8; size];
        sys::nvrtcGetCUBIN(program, code.as_mut_ptr().cast()).result()?;
        Ok(code)
    }
}
