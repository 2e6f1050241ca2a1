# jansson and utf8proc from SENVEC_EMBED, a folder with their sources, in place of the system's: PkgConfig::JANSSON and
# PkgConfig::UTF8PROC are then only where their headers are, and senvec_embedded is their code, for the one library that
# carries it. What jansson's configure would find out is true of every Linux.
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
