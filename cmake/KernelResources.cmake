# Every CUDA object gets a file <object>.resources beside it with ptxas's figures of its kernels, which
# tests/kernels/kernel_resources_test.cpp collects. A launcher given with CMAKE_CUDA_COMPILER_LAUNCHER, such as ccache, runs below.
add_compile_options($<$<COMPILE_LANGUAGE:CUDA>:-Xptxas=-v>)
list(PREPEND CMAKE_CUDA_COMPILER_LAUNCHER ${CMAKE_CURRENT_LIST_DIR}/record-kernel-resources)
