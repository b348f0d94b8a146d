# cmake -DINPUT=file -DOUTPUT=file.cpp -P EmbedFile.cmake writes the bytes of INPUT as a C++ array.
get_filename_component(name ${INPUT} NAME)
string(MAKE_C_IDENTIFIER ${name} name)
file(READ ${INPUT} hex HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
string(REGEX REPLACE "(................................................................................)" "\\1\n" bytes "${bytes}")
file(WRITE ${OUTPUT} "#include <cstddef>\nnamespace espectra {\n"
     "extern const unsigned char embedded_${name}[] = {\n${bytes}};\n"
     "extern const std::size_t embedded_${name}_size = sizeof(embedded_${name});\n}\n")
