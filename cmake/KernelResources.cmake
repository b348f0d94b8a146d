# Writes ptxas's figures for the kernels of every CUDA object to a file <object>.resources next to it, for
# tests/kernels/kernel_resources_test.cpp. The script calls the launcher given by
# CMAKE_CUDA_COMPILER_LAUNCHER, such as ccache.
add_compile_options($<$<COMPILE_LANGUAGE:CUDA>:-Xptxas=-v>)
list(PREPEND CMAKE_CUDA_COMPILER_LAUNCHER ${CMAKE_CURRENT_LIST_DIR}/record-kernel-resources)
