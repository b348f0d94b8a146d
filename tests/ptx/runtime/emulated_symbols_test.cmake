# cmake -DNM=nm -DLIBRARY=stand-in -DPROGRAMS=a;b -P emulated_symbols_test.cmake lists the functions of the CUDA
# runtime, cuBLAS and cuSOLVER that the programs import and the stand-in does not define; it fails if there are
# any, since the real libraries would answer such calls.
function(symbols kind file variable)
    execute_process(COMMAND ${NM} --dynamic --format=posix ${kind} ${file} OUTPUT_VARIABLE text COMMAND_ERROR_IS_FATAL ANY)
    string(REGEX MATCHALL "(^|\n)(__)?(cuda|cublas|cusolver)[A-Za-z0-9_]+" names "${text}")
    list(TRANSFORM names STRIP)
    set(${variable} ${names} PARENT_SCOPE)
endfunction()

symbols(--defined-only ${LIBRARY} emulated)
# Texts and versions, for which no device is needed, are those of the libraries themselves.
list(APPEND emulated cudaGetErrorName cudaGetErrorString cudaRuntimeGetVersion cublasGetProperty cublasGetStatusName
     cublasGetStatusString cublasGetVersion_v2 cusolverGetProperty cusolverGetVersion)
# Thrust launches its own kernels by this function. They are in no PTX that is executed (kernels/cuda/index_lists.cu);
# the call itself ends with an error.
list(APPEND emulated cudaLaunchKernelExC)
set(missing)
foreach(program ${PROGRAMS})
    symbols(--undefined-only ${program} imported)
    list(LENGTH imported count)
    if(count EQUAL 0)
        message(SEND_ERROR "${program} imports no function of the CUDA libraries")
    endif()
    get_filename_component(name ${program} NAME)
    message(STATUS "${name}: ${count} functions of the CUDA libraries")
    list(REMOVE_ITEM imported ${emulated})
    list(TRANSFORM imported APPEND " (${name})")
    list(APPEND missing ${imported})
endforeach()
if(missing)
    list(JOIN missing "\n  " text)
    message(FATAL_ERROR "Not emulated:\n  ${text}")
endif()
