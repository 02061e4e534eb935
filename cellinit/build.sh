#!/bin/sh
# Builds the first process of a cell for both architectures, into the folder that is the argument (default: this one).
# The result is the same bytes wherever the compilers are of the version in src/compilers.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=$(mkdir -p "${1:-$here}" && cd "${1:-$here}" && pwd)
cd "$here/src"

build() { # architecture, compiler, page size
	"$2" -std=gnu11 -Os -Wall -Wextra -Werror -ffreestanding -nostdlib -static -no-pie -fno-pic -fno-ident \
		-fno-stack-protector -fno-asynchronous-unwind-tables -fno-unwind-tables -fno-tree-loop-distribute-patterns \
		-mgeneral-regs-only -fno-strict-aliasing -s \
		-Wl,--build-id=none -Wl,-z,noexecstack -Wl,-z,noseparate-code -Wl,-z,norelro -Wl,-z,max-page-size="$3" \
		$4 -o "$out/init_$1.bin" init.c "start_$1.S"
	"$2" --version | head -n 1
}

build amd64 "${CC_AMD64:-x86_64-linux-gnu-gcc-12}" 4096 -fcf-protection=none
build arm64 "${CC_ARM64:-aarch64-linux-gnu-gcc-12}" 65536 -mbranch-protection=none
