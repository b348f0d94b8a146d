# Imported targets of the libraries that Espectra links, for the build and for the installed package.
# docs/dependencies.md gives the version and the purpose of each library.

find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(tomlplusplus REQUIRED)
find_package(ZLIB REQUIRED)
find_package(nlohmann_json REQUIRED)

# espectra_find(<target> HEADER <file> LIBRARY <name> PATH_SUFFIXES …) defines an imported target for a
# library without a CMake package.
function(espectra_find target)
    cmake_parse_arguments(ARG "" "HEADER;LIBRARY" "PATH_SUFFIXES" ${ARGN})
    if(TARGET espectra_${target})
        return()
    endif()
    find_path(ESPECTRA_${target}_INCLUDE ${ARG_HEADER} PATH_SUFFIXES ${ARG_PATH_SUFFIXES} REQUIRED)
    mark_as_advanced(ESPECTRA_${target}_INCLUDE)
    add_library(espectra_${target} INTERFACE IMPORTED)
    target_include_directories(espectra_${target} SYSTEM INTERFACE ${ESPECTRA_${target}_INCLUDE})
    if(ARG_LIBRARY)
        find_library(ESPECTRA_${target}_LIBRARY ${ARG_LIBRARY} PATH_SUFFIXES ${ARG_PATH_SUFFIXES} REQUIRED)
        mark_as_advanced(ESPECTRA_${target}_LIBRARY)
        target_link_libraries(espectra_${target} INTERFACE ${ESPECTRA_${target}_LIBRARY})
    endif()
endfunction()

# OpenBLAS is linked by name, its pthread build first: libblas may be the reference BLAS, which is 50 times
# slower.
espectra_find(openblas HEADER cblas.h LIBRARY openblas PATH_SUFFIXES openblas-pthread
              ${CMAKE_LIBRARY_ARCHITECTURE}/openblas-pthread)
espectra_find(lapacke HEADER lapacke.h LIBRARY lapacke)
espectra_find(hdf5 HEADER hdf5.h LIBRARY hdf5 PATH_SUFFIXES hdf5/serial ${CMAKE_LIBRARY_ARCHITECTURE}/hdf5/serial)
espectra_find(matio HEADER matio.h LIBRARY matio)
espectra_find(random123 HEADER Random123/philox.h)
