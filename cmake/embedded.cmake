# The libraries of SENVEC_EMBED, a folder with their sources (tools/python_sources.sh), in place of the system's.
#
# jansson and utf8proc: PkgConfig::JANSSON and PkgConfig::UTF8PROC are then only where their headers are, and senvec_embedded is
# their code, for the library and the command that carry it. What jansson's configure would find out is true of every Linux.
set(headers ${CMAKE_BINARY_DIR}/embedded)
set(jansson ${SENVEC_EMBED}/jansson/src)
set(json_inline inline)
foreach(answer json_have_long_long json_have_localeconv json_have_atomic_builtins json_have_sync_builtins)
  set(${answer} 1)
endforeach()
configure_file(${jansson}/jansson_config.h.in ${headers}/jansson_config.h @ONLY)
set(defines "#define INITIAL_HASHTABLE_ORDER 3\n")
foreach(name HAVE_STDINT_H HAVE_FCNTL_H HAVE_SCHED_H HAVE_UNISTD_H HAVE_SYS_STAT_H HAVE_SYS_TIME_H HAVE_SYS_TYPES_H HAVE_OPEN
             HAVE_CLOSE HAVE_READ HAVE_GETPID HAVE_GETTIMEOFDAY HAVE_SCHED_YIELD HAVE_ATOMIC_BUILTINS USE_URANDOM)
  string(APPEND defines "#define ${name} 1\n")
endforeach()
file(CONFIGURE OUTPUT ${headers}/jansson_private_config.h CONTENT ${defines})
configure_file(${jansson}/jansson.h ${headers}/jansson.h COPYONLY)
configure_file(${SENVEC_EMBED}/utf8proc/utf8proc.h ${headers}/utf8proc.h COPYONLY)

foreach(name JANSSON UTF8PROC)
  add_library(PkgConfig::${name} INTERFACE IMPORTED)
  target_include_directories(PkgConfig::${name} SYSTEM INTERFACE ${headers})
endforeach()
target_compile_definitions(PkgConfig::UTF8PROC INTERFACE UTF8PROC_STATIC)

file(GLOB jansson_sources ${jansson}/*.c)
add_library(senvec_embedded STATIC EXCLUDE_FROM_ALL ${jansson_sources} ${SENVEC_EMBED}/utf8proc/utf8proc.c)
target_include_directories(senvec_embedded PRIVATE ${headers})
target_compile_options(senvec_embedded PRIVATE -w -fvisibility=hidden -ffunction-sections)
target_compile_definitions(senvec_embedded PRIVATE UTF8PROC_STATIC HAVE_CONFIG_H)

if(NOT SENVEC_TOOLS)
  return()
endif()

# embedded_library(NAME INCLUDE SOURCES...): PkgConfig::NAME, compiled here, with the folder of its header.
function(embedded_library name include)
  string(TOLOWER senvec_embedded_${name} target)
  add_library(${target} STATIC EXCLUDE_FROM_ALL ${ARGN})
  add_library(PkgConfig::${name} ALIAS ${target})
  target_include_directories(${target} SYSTEM PUBLIC ${include})
  target_compile_options(${target} PRIVATE -w -ffunction-sections -fdata-sections)
endfunction()

set(zlib ${SENVEC_EMBED}/zlib)
embedded_library(ZLIB ${zlib} ${zlib}/adler32.c ${zlib}/crc32.c ${zlib}/inffast.c ${zlib}/inflate.c ${zlib}/inftrees.c
                 ${zlib}/zutil.c)
set(zstd ${SENVEC_EMBED}/libzstd/lib) # what decompresses, of the current format
file(GLOB zstd_sources ${zstd}/common/*.c ${zstd}/decompress/*.c)
embedded_library(ZSTD ${zstd} ${zstd_sources})
target_compile_definitions(senvec_embedded_zstd PRIVATE ZSTD_DISABLE_ASM ZSTD_LEGACY_SUPPORT=0)
embedded_library(PROTOBUF_C ${SENVEC_EMBED}/protobuf-c ${SENVEC_EMBED}/protobuf-c/protobuf-c/protobuf-c.c)

# libmicrohttpd without TLS: a TLS library inside of a wheel would grow old there. Its configure writes MHD_config.h.
set(microhttpd ${SENVEC_EMBED}/libmicrohttpd)
set(configured ${CMAKE_BINARY_DIR}/libmicrohttpd)
if(NOT EXISTS ${configured}/MHD_config.h)
  file(MAKE_DIRECTORY ${configured})
  execute_process(
    COMMAND ${microhttpd}/configure --host=${CMAKE_SYSTEM_PROCESSOR}-linux-gnu CC=${CMAKE_C_COMPILER} --disable-https
            --disable-postprocessor --disable-dauth --disable-bauth --disable-httpupgrade --disable-doc --disable-examples
            --disable-curl --disable-nls --disable-shared
    WORKING_DIRECTORY ${configured} OUTPUT_FILE configure.log ERROR_FILE configure.log COMMAND_ERROR_IS_FATAL ANY)
endif()
set(sources)
foreach(name connection reason_phrase daemon internal memorypool mhd_mono_clock sysfdsetsize mhd_str mhd_send mhd_sockets
             mhd_itc mhd_compat response mhd_threads mhd_panic)
  if(EXISTS ${microhttpd}/src/microhttpd/${name}.c) # one of them came with 1.0
    list(APPEND sources ${microhttpd}/src/microhttpd/${name}.c)
  endif()
endforeach()
embedded_library(MICROHTTPD ${microhttpd}/src/include ${sources})
target_include_directories(senvec_embedded_microhttpd PRIVATE ${configured})
target_compile_definitions(senvec_embedded_microhttpd PRIVATE BUILDING_MHD_LIB=1)
