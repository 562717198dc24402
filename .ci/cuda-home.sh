#!/usr/bin/env bash
# Build a CUDA_HOME good enough to COMPILE candle-core/cudarc with the `cuda` feature on a
# machine with no GPU, no driver and no CUDA toolkit, from PyPI wheels only (about 105 MB of
# downloads, 271 MB unpacked).
#
#   .ci/cuda-home.sh DIR [stub|lazy]      then:   source DIR/env.sh; cargo build --release --features cuda
#
# stub (default): lib*.so are empty shared objects with the real SONAMEs; the program gets
#                 DT_NEEDED entries and needs the real CUDA libraries to start.
# lazy:           lib*.so are linker scripts naming a static archive of trampolines that
#                 dlopen the real libraries at the first call, so the program starts anywhere
#                 (x86-64 only); libcudart is linked statically.
set -euo pipefail
DIR=$(mkdir -p "${1:?usage: cuda-home.sh DIR [stub|lazy]}" && cd "$1" && pwd)
MODE=${2:-stub}
# 13.0 = the newest toolkit whose PTX a 580 driver accepts. Never go above the driver's CUDA.
VER_NVCC=${VER_NVCC:-13.0.88} VER_RT=${VER_RT:-13.0.96} VER_CCCL=${VER_CCCL:-13.0.85}
PY=${PYTHON:-python3}
W="$DIR/.wheels"; H="$DIR/cu13"
mkdir -p "$W"
if [ ! -x "$H/bin/nvcc" ]; then
  "$PY" -m pip download -q --disable-pip-version-check --no-deps --only-binary=:all: \
    --python-version 3.12 --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 \
    --platform manylinux_2_12_x86_64 --platform manylinux2010_x86_64 -d "$W" \
    "nvidia-cuda-nvcc==$VER_NVCC" "nvidia-nvvm==$VER_NVCC" "nvidia-cuda-crt==$VER_NVCC" \
    "nvidia-cuda-runtime==$VER_RT" "nvidia-cuda-cccl==$VER_CCCL"
  for w in "$W"/*.whl; do
    "$PY" -m zipfile -e "$w" "$DIR/.x"
  done
  rm -rf "$H"; mv "$DIR/.x/nvidia/cu13" "$H"; rm -rf "$DIR/.x" "$W"
  chmod +x "$H"/bin/* "$H"/nvvm/bin/* 2>/dev/null || true   # zipfile drops the mode bits
  # nvcc.profile of the wheels looks in lib64, include and nvvm next to bin
  ln -sfn lib "$H/lib64"
  [ -e "$H/nvvm/lib64" ] || ln -sfn ../lib "$H/nvvm/lib64"
fi
# --- the libraries the linker asks for ---------------------------------------------------
# Names come from cudarc's own bindings, so the list follows the crate version in use.
CUDARC=${CUDARC_SRC:-$(ls -d ~/.cargo/registry/src/*/cudarc-0.19.* 2>/dev/null | sort -V | tail -1)}
[ -n "$CUDARC" ] || { echo "cudarc source not found: run 'cargo fetch' in your crate first, or set CUDARC_SRC" >&2; exit 1; }
S="$DIR/.stubs"; rm -rf "$S"; mkdir -p "$S"
rm -f "$H"/lib/lib{cuda,cublas,cublasLt,curand,nvrtc,cudart}.so "$H"/lib/lib*_lazy.a
gen() { # library, soname list (dlopen order), cudarc module, symbol prefix
  local lib=$1 sonames=$2 mod=$3 prefix=$4
  { grep -rhoE "fn ${prefix}[A-Za-z0-9_]+\(" "$CUDARC/src/$mod/sys" || true; } \
    | sed -E 's/fn ([A-Za-z0-9_]+)\(/\1/' | sort -u > "$S/$lib.sym"
  [ -s "$S/$lib.sym" ] || { echo "no symbols for $lib under $CUDARC/src/$mod/sys" >&2; exit 1; }
  local so; so=$(echo "$sonames" | cut -d' ' -f1)
  if [ "$MODE" = stub ]; then
    sed 's/.*/int &(void){return 999;}/' "$S/$lib.sym" > "$S/$lib.c"
    ${CC:-cc} -w -shared -fPIC -fno-builtin -Wl,-soname,"$so" -o "$H/lib/lib$lib.so" "$S/$lib.c"
  else
    "$PY" - "$lib" "$S/$lib.sym" "$S" $sonames <<'PYEOF'
import sys
lib, symfile, out, *sonames = sys.argv[1:]
syms = open(symfile).read().split()
with open(f"{out}/{lib}.S", "w") as f:
    f.write('.section .note.GNU-stack,"",@progbits\n.text\n')
    for i, s in enumerate(syms):
        # first call: save the argument registers, resolve, then jump through the table
        f.write(f""".globl {s}
.hidden {s}
.type {s},@function
{s}:
  movq {lib}_lazy_table+{8*i}(%rip), %rax
  testq %rax, %rax
  je 1f
  jmpq *%rax
1: pushq ${i}
  jmp {lib}_lazy_slow
.size {s},.-{s}
""")
    f.write(f"""{lib}_lazy_slow:
  pushq %rdi
  pushq %rsi
  pushq %rdx
  pushq %rcx
  pushq %r8
  pushq %r9
  subq $128, %rsp
  movups %xmm0, 0(%rsp)
  movups %xmm1, 16(%rsp)
  movups %xmm2, 32(%rsp)
  movups %xmm3, 48(%rsp)
  movups %xmm4, 64(%rsp)
  movups %xmm5, 80(%rsp)
  movups %xmm6, 96(%rsp)
  movups %xmm7, 112(%rsp)
  movq 176(%rsp), %rdi
  call {lib}_lazy_resolve
  movups 0(%rsp), %xmm0
  movups 16(%rsp), %xmm1
  movups 32(%rsp), %xmm2
  movups 48(%rsp), %xmm3
  movups 64(%rsp), %xmm4
  movups 80(%rsp), %xmm5
  movups 96(%rsp), %xmm6
  movups 112(%rsp), %xmm7
  addq $128, %rsp
  popq %r9
  popq %r8
  popq %rcx
  popq %rdx
  popq %rsi
  popq %rdi
  addq $8, %rsp
  jmpq *%rax
.bss
.p2align 4
.globl {lib}_lazy_table
.hidden {lib}_lazy_table
{lib}_lazy_table: .zero {8*len(syms)}
""")
with open(f"{out}/{lib}_r.c", "w") as f:
    f.write('#define _GNU_SOURCE\n#include <dlfcn.h>\n#include <stdio.h>\n#include <stdlib.h>\n')
    f.write('static const char *const names[] = {' + ",".join(f'"{s}"' for s in syms) + '};\n')
    f.write('static const char *const libs[] = {' + ",".join(f'"{s}"' for s in sonames) + ',0};\n')
    f.write(f'''extern void *{lib}_lazy_table[] __attribute__((visibility("hidden")));
static void *handle;
/* A function the library lacks, or any function when there is no library at all, answers
   this: CUDA_ERROR_NO_DEVICE (100) for libcuda, a plain error code for the others. */
static long missing(void) {{ return {100 if lib == "cuda" else 1}; }}
static void *load(void) {{
  void *h = 0; const char *dir = getenv("CUDA_LAZY_DIR"); char p[4096];
  for (int i = 0; !h && libs[i]; i++) {{
    if (dir) {{ snprintf(p, sizeof p, "%s/%s", dir, libs[i]); h = dlopen(p, RTLD_NOW | RTLD_GLOBAL); }}
    if (!h) h = dlopen(libs[i], RTLD_NOW | RTLD_GLOBAL);
  }}
  if (!h) fprintf(stderr, "cuda-lazy: cannot load %s: %s\\n", libs[0], dlerror());
  return h;
}}
__attribute__((visibility("hidden"))) void *{lib}_lazy_resolve(long i) {{
  void *h = __atomic_load_n(&handle, __ATOMIC_ACQUIRE);
  if (!h) {{ h = load(); if (!h) h = (void *)-1L; __atomic_store_n(&handle, h, __ATOMIC_RELEASE); }}
  void *f = h == (void *)-1L ? 0 : dlsym(h, names[i]);
  if (!f) f = (void *)missing;
  __atomic_store_n(&{lib}_lazy_table[i], f, __ATOMIC_RELEASE);
  return f;
}}
''')
PYEOF
    ${CC:-cc} -O2 -fPIC -c "$S/$lib.S" -o "$S/$lib.o"
    ${CC:-cc} -O2 -fPIC -c "$S/${lib}_r.c" -o "$S/${lib}_r.o"
    ar rcs "$H/lib/lib${lib}_lazy.a" "$S/$lib.o" "$S/${lib}_r.o"
    echo "INPUT($H/lib/lib${lib}_lazy.a)" > "$H/lib/lib$lib.so"
  fi
}
gen cuda     "libcuda.so.1"                                     driver   cu
gen cublas   "libcublas.so.13 libcublas.so.12 libcublas.so"     cublas   cublas
gen cublasLt "libcublasLt.so.13 libcublasLt.so.12"              cublaslt cublasLt
gen curand   "libcurand.so.10"                                  curand   curand
gen nvrtc    "libnvrtc.so.13 libnvrtc.so.12 libnvrtc.so"        nvrtc    nvrtc
if [ "$MODE" = stub ]; then
  ln -sf libcudart.so.13 "$H/lib/libcudart.so"
else
  echo "INPUT($H/lib/libcudart_static.a -ldl -lrt -lpthread)" > "$H/lib/libcudart.so"
fi
rm -rf "$S"
# --- optional compiler wrapper ------------------------------------------------------------
cat > "$H/bin/nvcc-nogguf" <<'WRAP'
#!/usr/bin/env bash
# nvcc for candle-kernels without its GGUF/MoE kernels (ten mmq_*.cu, mmvq_gguf.cu, moe/*.cu):
# 15 of the 26 files and about 90% of the compile time, none of which runs unless the program
# uses quantised tensors. Their entry points become functions that abort with a message.
# Use: NVCC=$CUDA_HOME/bin/nvcc-nogguf cargo build --features cuda
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
src="" out="" prev=""
for a in "$@"; do
  case $a in *.cu) src=$a ;; esac
  [ "$prev" = -o ] && out=$a
  prev=$a
done
case "$src" in
  */moe/moe_gguf.cu)
    c=$(mktemp --suffix=.c)
    { echo '#include <stdio.h>'; echo '#include <stdlib.h>'
      grep -oE 'pub fn [a-z0-9_A-Z]+\(' "${src%/moe/*}/ffi.rs" | sed -E 's/pub fn ([A-Za-z0-9_]+)\(/\1/' | sort -u |
        while read -r f; do echo "void $f(void){fprintf(stderr,\"$f: built without candle's GGUF kernels\\n\");abort();}"; done
    } > "$c"
    cc -O1 -fPIC -w -ffunction-sections -c "$c" -o "$out"; rc=$?; rm -f "$c"; exit $rc ;;
  */mmq_gguf/*.cu | *mmvq_gguf.cu | */moe/moe_*.cu)
    exec cc -xc -c -o "$out" - </dev/null ;;
esac
exec "$here/nvcc" "$@"
WRAP
chmod +x "$H/bin/nvcc-nogguf"
cat > "$DIR/env.sh" <<E
export CUDA_HOME=$H CUDA_PATH=$H
export PATH=$H/bin:\$PATH
export CUDAFORGE_THREADS=\${CUDAFORGE_THREADS:-\$(nproc)}   # its default is half the cores
# export NVCC=$H/bin/nvcc-nogguf   # quick builds: leaves out candle's GGUF/MoE kernels
export CUDA_COMPUTE_CAP=\${CUDA_COMPUTE_CAP:-90}   # Hopper; 80 runs from Ampere on
E
"$H/bin/nvcc" --version | tail -2
du -sh "$H" | cut -f1
echo "ready ($MODE): source $DIR/env.sh"
