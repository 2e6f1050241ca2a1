# The script behind embed(): INPUT's bytes as a C array in OUTPUT.
file(READ ${INPUT} bytes HEX)
string(REGEX REPLACE "(................................)" "\\1\n" bytes "${bytes}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," bytes "${bytes}")
file(WRITE ${OUTPUT}
     "#include <stddef.h>\n"
     "extern const char ${SYMBOL}[];\nextern const size_t ${SYMBOL}_size;\n"
     "const char ${SYMBOL}[] = {\n${bytes}0};\n"
     "const size_t ${SYMBOL}_size = sizeof ${SYMBOL} - 1;\n")
